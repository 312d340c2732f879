"""Pages of users' own models: what they write out of a step is what Python computes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

from minigrad import Tensor, nn, optim
from minigrad.data import BatchLoader
from minigrad.functional import cross_entropy, mse_loss
from minigrad.playground import play
from tests.browser.conftest import Opens
from tests.browser.test_play_page import frame, number, press, select, settled, table

RNG = np.random.default_rng(3)
X = RNG.normal(size=(30, 3)).astype(np.float32)
Y = np.arange(30) % 3
# What is selected: its title, the sums beside its table, the note below it.
SUMS = """() => Object.fromEntries([...document.querySelectorAll(".sums > div")].map(
    (line) => [...line.children].map((part) => part.textContent)))"""


def linears(*sizes: tuple[int, int]) -> list[nn.Linear]:
    rng = np.random.default_rng(1)
    return [nn.Linear(a, b, rng=rng) for a, b in sizes]


class Residual(nn.Module):
    def __init__(self) -> None:
        self.a, self.b, self.c = linears((3, 4), (4, 4), (4, 3))

    def forward(self, x: Any) -> Any:
        h = np.tanh(self.a(x))
        return self.c(h + np.sin(self.b(h)))


class Shared(nn.Module):
    def __init__(self) -> None:
        self.a, self.b = linears((3, 3), (3, 3))

    def forward(self, x: Any) -> Any:
        return self.b(np.tanh(self.a(np.tanh(self.a(x)))))


class Part(nn.Module):
    def __init__(self) -> None:
        self.a, self.b = linears((2, 4), (4, 3))
        self.scale = Tensor(np.full(4, 0.5, np.float32), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return self.b(np.tanh(self.a(x[:, 1:] / 3.0)) * self.scale)


def normalized() -> nn.Module:
    a, b = linears((3, 5), (5, 3))
    return nn.Sequential(a, nn.BatchNorm1d(5), nn.GELU(), nn.Dropout(0.0), b)


def smooth() -> nn.Module:
    a, b, c = linears((3, 5), (5, 4), (4, 3))
    return nn.Sequential(a, nn.GELU(), b, nn.LeakyReLU(0.3), c)


def with_penalty(model: nn.Module) -> Callable[..., Any]:
    def loss(scores: Any, y: Any) -> Any:
        return cross_entropy(scores, y) + 0.1 * sum((p * p).sum() for p in model.parameters())

    return loss


def opened(opens: Opens, path: Path, model: nn.Module, *how: Any, **more: Any) -> Page:
    """The page of a model, by default of one batch of all examples in their order."""
    loss, data = how or (cross_entropy, BatchLoader(X, Y, batch_size=30, shuffle=False))
    optimizer = more.pop("optimizer", None) or optim.SGD(model.parameters(), lr=0.1)
    play(model, loss, optimizer, data, **more).html(path / "own.html")
    return opens(path / "own.html")


def gradients(model: nn.Module, loss: Any) -> dict[str, np.ndarray]:
    loss(model.train()(X), Y).backward()
    return {name: np.array(p.grad) for name, p in model.named_parameters()}


@pytest.mark.parametrize("make", [Residual, Shared, Part, normalized, smooth])
@pytest.mark.parametrize("penalty", [False, True])
def test_sums_are_the_gradients_of_python(
    opens: Opens, tmp_path: Path, make: Callable[[], nn.Module], penalty: bool
) -> None:
    model = make()
    loss = with_penalty(model) if penalty else cross_entropy
    data = BatchLoader(X, Y, batch_size=30, shuffle=False)
    page = opened(opens, tmp_path, model, loss, data)
    expected = gradients(model, loss)
    press(page, "step")
    shown = page.evaluate("playground.shape.layers")
    drawn = [(k, layer) for k, layer in enumerate(shown) if layer["kind"] == "units"]
    assert drawn
    for k, layer in drawn:
        select(page, f"{k} output 1 ")
        assert page.locator(".chain h2").inner_text() == f"Unit 2 of {layer['title']}, forward"
        z = number(page.evaluate(SUMS)["z"])
        assert number(table(page)[-1][-1]) == pytest.approx(z, rel=0.01, abs=2e-3)
        # A row leads to the chain rule of its weight, the last one to that of the bias.
        for row, own in ((0, "weight"), (layer["fanIn"], "bias")):
            select(page, f"{k} output 1 ")
            page.locator(".terms tbody tr").nth(row).dispatch_event("click")
            gradient = expected[layer["held"][own]][(1, 0) if own == "weight" else 1]
            sums = page.evaluate(SUMS)
            total = next(number(x) for name, x in sums.items() if name.startswith("= gradient"))
            parts = number(table(page)[-1][-1]) + sum(
                number(x) for name, x in sums.items() if name.startswith("+ ")
            )
            assert total == pytest.approx(gradient, rel=6e-3, abs=1e-6)
            assert parts == pytest.approx(gradient, rel=0.02, abs=2e-4)
    # In reverse: of each unit dL/dh, the slope, dL/dz; and what of dL/dh the next layer gives.
    page.locator("label:has(#view-reverse)").click()
    for k, layer in drawn[:-1]:
        select(page, f"{k} output 0 ")
        sums = page.evaluate(SUMS)
        h, slope, z = (number(x) for name, x in sums.items() if not name.startswith("+ "))
        assert h * slope == pytest.approx(z, rel=0.02, abs=1e-4), layer
        if rows := table(page):
            other = number(sums.get("+ by other ways to the loss", "0"))
            assert number(rows[-1][-1]) + other == pytest.approx(h, rel=0.02, abs=2e-4)


def test_lines_lead_from_units_only_where_their_numbers_go(opens: Opens, tmp_path: Path) -> None:
    page = opened(opens, tmp_path, Residual())
    follows = page.evaluate("playground.shape.layers.map((layer) => layer.follows)")
    assert follows == [True, True, False]
    into = "playground.network.edges.filter(({ target }) => target.layer === {}).length"
    assert [page.evaluate(into.replace("{}", k)) for k in "012"] == [12, 16, 0]
    activations = page.evaluate("playground.shape.layers.map((layer) => layer.activation)")
    assert activations == ["tanh", "sin", "linear"]


def test_the_targets_of_several_outputs(opens: Opens, tmp_path: Path) -> None:
    model = nn.Sequential(*linears((3, 2)))
    y = RNG.normal(size=(30, 2)).astype(np.float32)
    page = opened(opens, tmp_path, model, mse_loss, BatchLoader(X, y, batch_size=30, shuffle=False))
    press(page, "step")
    names = page.evaluate("playground.network.units.map(({ name }) => name.textContent)")
    assert names[-2:] == ["output 1", "output 2"]
    page.locator("label:has(#view-reverse)").click()
    select(page, "0 output 1 ")
    assert [number(row[2]) for row in table(page)] == pytest.approx(y[:, 1], rel=6e-3, abs=1e-3)
    assert "2" in page.locator(".chain .formula").inner_text()
    select(page, "0 bias 1 ")
    assert "2(z\u2082 \u2212 y\u2082)/60" in page.locator(".chain .note").inner_text()


def test_of_another_loss_nothing_is_said_that_does_not_hold(opens: Opens, tmp_path: Path) -> None:
    model = nn.Sequential(*linears((3, 3)))

    def smoothed(scores: Any, y: Any) -> Any:
        return cross_entropy(scores, y, label_smoothing=0.2)

    page = opened(opens, tmp_path, model, smoothed, BatchLoader(X, Y, batch_size=30))
    press(page, "step")
    page.locator("label:has(#view-reverse)").click()
    select(page, "0 output 0 ")
    assert "p" not in page.locator(".chain .formula").inner_text()
    assert "of this loss" in page.locator(".chain .note").inner_text()


def test_a_weight_that_is_frozen_says_so(opens: Opens, tmp_path: Path) -> None:
    first, last = linears((3, 2), (2, 3))
    first.weight.requires_grad = False
    page = opened(opens, tmp_path, nn.Sequential(first, nn.Tanh(), last))
    press(page, "step")
    select(page, "0 output 0 ")
    page.evaluate("playground.chain.on.select({layer: 0, kind: 'weight', unit: 0, input: 0})")
    assert "not trained" in page.locator(".chain .note").inner_text()
    assert not page.locator("#notice").is_visible()


def test_whole_numbers_have_no_plane(opens: Opens, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), *linears((8, 3)))
    for dtype in (np.int64, np.int32):
        x = RNG.integers(0, 9, (30, 2)).astype(dtype)
        page = opened(opens, tmp_path, model, cross_entropy, (x, Y))
        press(page, "step")
        assert not page.locator(".plane-panel").is_visible()
        assert frame(page)["loss"]["train"] is not None
        assert not page.locator("#notice").is_visible()


def test_each_of_ten_classes_has_its_own_mark(opens: Opens, tmp_path: Path) -> None:
    y = np.arange(30) % 10 - 1  # of which -1 is to be ignored

    def loss(scores: Any, labels: Any) -> Any:
        return cross_entropy(scores, labels, ignore_index=-1)

    model = nn.Sequential(*linears((2, 10)))
    page = opened(opens, tmp_path, model, loss, (X[:, :2].copy(), y))
    pictures = page.evaluate(
        "[...document.querySelectorAll('#plane-legend canvas')].map((one) => one.toDataURL())"
    )
    assert len(pictures) == len(set(pictures)) == 10  # and none for held-out data


def test_a_link_opens_a_page_of_ones_own_as_it_was(opens: Opens, tmp_path: Path) -> None:
    model = nn.Sequential(*linears((3, 3)))
    page = opened(opens, tmp_path, model, cross_entropy, (X, Y), optimizer=optim.Adam(
        model.parameters(), lr=0.02
    ))  # fmt: skip
    assert page.evaluate("location.hash") == "#v=1"
    page.select_option("#rate", "0.3")
    page.locator("label:has(#fault-unshuffled)").click()
    page.locator("#reseed").click()
    settled(page)
    for _ in range(4):
        press(page, "step")
    before = frame(page)
    press(page, "share")
    address = page.evaluate("location.href")
    assert address.endswith("#v=1&seed=1&rate=0.3&shuffle=no&step=4")
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("html[data-ready=yes]")
    after = frame(page)
    assert after["step"] == 4 and after["layers"][0]["weight"] == before["layers"][0]["weight"]
    page.goto(address.replace("rate=0.3", "layers=8"))
    settled(page)
    assert "layers is given with this network" in page.locator("#notice").inner_text()
    assert page.evaluate("playground.settings.rate") == 0.02


def test_a_step_that_is_refused_changes_nothing(opens: Opens, tmp_path: Path) -> None:
    page = opened(opens, tmp_path, normalized(), cross_entropy, BatchLoader(X, Y, batch_size=10))
    for _ in range(2):
        press(page, "step")
    before = frame(page)
    press(page, "example")
    assert "takes no batch of one example" in page.locator("#notice").inner_text()
    after = frame(page)
    assert (after["step"], after["epoch"], after["back"]) == (2, 2 / 3, before["back"])
    press(page, "back")
    assert frame(page)["step"] == 1


def test_a_long_seed_and_a_plain_rate_of_one(opens: Opens, tmp_path: Path) -> None:
    model = nn.Sequential(*linears((3, 3)))
    loader = BatchLoader(X, Y, batch_size=10, seed=2**53 - 2)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    page = opened(opens, tmp_path, model, cross_entropy, loader, optimizer=optimizer)
    press(page, "reseed")
    assert page.evaluate("location.hash") == f"#v=1&seed={2**53 - 1}"
    ends = """() => ["training-title", "reseed"].map((id) => {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(id));
        const { left, right } = range.getBoundingClientRect();
        return [left, right];
    })"""
    (_, title), (seed, _) = page.evaluate(ends)
    assert title < seed
    assert not page.locator("#fault-rate").is_checked()


class PerPlace(nn.Module):
    """Scores (N, C, T) of T labels of an example."""

    def __init__(self) -> None:
        (self.a,) = linears((2, 3))

    def forward(self, x: Any) -> Any:
        return self.a(x).transpose(0, 2, 1)


def test_accuracies_of_several_labels_and_of_batches_without_any(
    opens: Opens, tmp_path: Path
) -> None:
    x = RNG.normal(size=(30, 4, 2)).astype(np.float32)
    y = RNG.integers(0, 3, (30, 4))
    y[20:] = -100  # the last batch: it has no loss, and the others have
    model = PerPlace()
    page = opened(opens, tmp_path, model, cross_entropy, BatchLoader(x, y, batch_size=10))
    press(page, "step")
    press(page, "back")
    expected = np.mean(np.argmax(model(x).data, axis=1) == y)
    assert frame(page)["accuracy"]["train"] == pytest.approx(expected)
