"""The playground's engine trains as Python does: values, gradients, updates and explanations are
those of the small network, and of a user's own step."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser

import minigrad
from minigrad import Tensor, nn, optim
from minigrad import data as datasets
from minigrad import functional as F
from minigrad.playground import Playground, play
from minigrad.playground.networks import ACTIVATIONS, MODULES, OPTIMIZERS
from minigrad.playground.playground import ready_about
from minigrad.playground.program import ready_module
from minigrad.viz.backprop.steps import trace
from minigrad.viz.page.numbers import all_arrays
from tests.browser.node import node

LARGEST = 1_500_000  # bytes of the page
BASE: dict[str, Any] = {
    "seed": 3,
    "features": ["x1", "x2"],
    "layers": [8, 8],
    "activation": "tanh",
    "optimizer": "adam",
    "rate": 0.01,
    "batch": 10,
    "l1": 0,
    "l2": 0,
    "init": "uniform",
    "zeroGradients": True,
    "shuffle": True,
}
FEATURES: dict[str, Callable[..., Any]] = {
    "x1": lambda a, b: a,
    "x2": lambda a, b: b,
    "x1^2": lambda a, b: a * a,
    "x2^2": lambda a, b: b * b,
    "x1*x2": lambda a, b: a * b,
    "sin(x1)": lambda a, b: np.sin(a),
    "sin(x2)": lambda a, b: np.sin(b),
}
# Each switch, and each kind of network, beside plain Python.
CASES: dict[str, dict[str, Any]] = {
    "momentum": {"optimizer": "momentum"},
    "no hidden layer, three classes": {"layers": [], "classes": 3, "optimizer": "sgd", "rate": 0.1},
    "narrow sigmoids": {"activation": "sigmoid", "layers": [5, 3, 2], "optimizer": "rmsprop"},
    "six layers": {"layers": [2, 3, 4, 5, 6, 7], "activation": "leaky_relu", "batch": 7},
    "regression": {"classes": 0, "layers": [4], "optimizer": "sgd"},
    "gelu, four classes": {"activation": "gelu", "layers": [3], "classes": 4},
    "linear": {"activation": "linear", "layers": [3, 3]},
    "seven features": {"features": [*FEATURES], "layers": [8]},
    "regularised": {"activation": "relu", "optimizer": "momentum", "l1": 0.0005, "l2": 0.001},
    "gradients not zeroed": {"zeroGradients": False, "rate": 1e-4, "optimizer": "sgd"},
    "no shuffle, decay": {"shuffle": False, "optimizer": "adamw", "batch": 32},
    "one example": {"batch": 1, "optimizer": "sgd"},
    "weights all zero": {"init": "zero", "optimizer": "sgd", "rate": 0.1},
    "dead relus": {"activation": "relu", "layers": [4], "rate": 1.0, "optimizer": "sgd"},
    "vanishing": {"activation": "sigmoid", "layers": [4] * 6, "optimizer": "sgd"},
}

READY = """
    const { Program } = await load("compiler/export/program.js");
    const { Engine } = await load("playground/page/engine.js");
    const { ReadyNetwork } = await load("playground/page/ready.js");
    const { Numbers } = await load("viz/page/numbers.js");
    const program = await Program.load(fs.readFileSync(data.module));
    const engine = new Engine(new ReadyNetwork(program, { about: data.about }));
    const floats = ({ x, y }) => ({ x: Float32Array.from(x), y: Float32Array.from(y) });
    const begin = ({ settings, data }) => engine.configure(
        settings, { ...data, train: floats(data.train), test: floats(data.test) });
    const plain = (x) => JSON.parse(JSON.stringify(x, (key, value) => ArrayBuffer.isView(value)
        ? Array.from(value, (each) => Number.isFinite(each) ? each : String(each)) : value));
    const losses = (n) => Array.from({ length: n }, () => {
        engine.step();
        return engine.network.meanLoss;
    });
"""


@pytest.fixture(scope="session")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ready") / "playground.wasm"
    path.write_bytes(ready_module())
    return str(path)


def ready(module: str, script: str, **given: Any) -> Any:
    return node(f"{READY}{script}", {"module": module, "about": ready_about("Ready"), **given})


def spirals(n: int, seed: int, turns: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two arms."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    along = (np.arange(n) // 2 + 1) / (n / 2)
    angle = turns * 2 * np.pi * along + labels * np.pi
    arms = 3 * along[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    return (arms + rng.normal(0, 0.05, (n, 2))).astype(np.float32), labels


def job_of(case: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """What the engine is given, and the training data."""
    settings = BASE | {name: x for name, x in case.items() if name != "classes"}
    classes = case.get("classes", 2)
    x, labels = spirals(64, 0)
    y: Any = np.arange(64) % classes if classes > 2 else labels
    y = y if classes else x[:, 0] * x[:, 1]
    parts = {"train": slice(0, 53), "test": slice(53, 64)}
    given = {name: {"x": x[at].ravel().tolist(), "y": y[at].tolist()} for name, at in parts.items()}
    job = {"settings": settings, "data": {"columns": ["x1", "x2"], "classes": classes, **given}}
    return job, x[:53], y[:53].astype(np.int64 if classes else np.float32)


class Plain:
    """The same training in Python."""

    def __init__(self, settings: dict[str, Any], x: np.ndarray, y: np.ndarray, classes: int):
        wide = x.astype(np.float64).T
        self.x = np.stack([FEATURES[k](*wide) for k in settings["features"]], 1).astype(np.float32)
        self.y, self.classes, self.settings = y, classes, settings
        rng = np.random.default_rng(settings["seed"])
        sizes = [len(settings["features"]), *settings["layers"], classes or 1]
        self.layers = [nn.Linear(*pair, rng=rng) for pair in itertools.pairwise(sizes)]
        parameters = [p for layer in self.layers for p in layer.parameters()]
        if settings["init"] == "zero":
            for p in parameters:
                p.data[...] = 0
        self.optimizer = OPTIMIZERS[settings["optimizer"]](parameters)
        self.optimizer.lr = settings["rate"]
        self.batches = self.endless()

    def endless(self) -> Iterator[Any]:
        settings = self.settings
        loader = datasets.BatchLoader(
            *(self.x, self.y),
            batch_size=settings["batch"],
            shuffle=settings["shuffle"],
            seed=settings["seed"],
        )
        while True:
            yield from loader

    def loss(self, x: Any, y: Any) -> Any:
        h = x
        for k, layer in enumerate(self.layers):
            h = layer(h)
            if k + 1 < len(self.layers):
                h = ACTIVATIONS[self.settings["activation"]](h)
        return F.cross_entropy(h, y) if self.classes else F.mse_loss(h[:, 0], y)

    def step(self, x: Any, y: Any) -> Any:
        if self.settings["zeroGradients"]:
            self.optimizer.zero_grad()
        loss = self.loss(x, y)
        l1, l2 = self.settings["l1"], self.settings["l2"]
        penalty: Any = 0
        for layer in self.layers if l1 or l2 else []:
            penalty += l1 * abs(layer.weight).sum() + l2 / 2 * (layer.weight**2).sum()
        (loss + penalty).backward()
        self.optimizer.step()
        return loss

    def train(self, steps: int, compiled: bool = False) -> list[float]:
        step = minigrad.compile(self.step) if compiled else self.step
        return [step(*batch).item() for batch in itertools.islice(self.batches, steps)]


def near(found: Any, expected: Any, tolerance: float = 1e-4) -> None:
    expected = np.asarray(expected, np.float64)
    scale = np.abs(expected).max(initial=0) + 1e-6
    found = np.asarray(found, np.float64).reshape(expected.shape)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("name", CASES)
def test_every_number_is_pythons(module: str, name: str) -> None:
    """Of 60 steps, the losses; and of the last, all numbers of a frame."""
    job, x, y = job_of(CASES[name])
    plain = Plain(job["settings"], x, y, job["data"]["classes"])
    found = ready(
        module,
        """
        begin(data.job);
        const first = losses(59);
        const [last] = losses(1);
        const { classes } = data.job.data;
        const plane = { size: 5, columns: [0, 1], low: [-1, -2], high: [1, 2] };
        const frame = engine.frame({ gradients: true, losses: true, plane });
        return { losses: [...first, last], frame: plain(frame) };
        """,
        job=job,
    )
    before = plain.train(59)
    weights = [layer.weight.data.copy() for layer in plain.layers]
    (batch,) = itertools.islice(plain.batches, 1)
    last = plain.step(*batch).item()
    near(found["losses"], [*before, last])
    frame = found["frame"]
    assert frame["step"] == 60 and not frame["diverged"] and frame["back"] == 60
    near(frame["batch"]["inputs"], batch[0])
    near(frame["batch"]["y"], batch[1])
    near(np.mean(frame["batch"]["losses"]), last)
    points = (np.arange(5) + 0.5) / 5 * 2 - 1
    grid = np.stack(np.broadcast_arrays(points, 2 * points[:, None]), -1).reshape(-1, 2)
    h: Any = Plain(plain.settings, grid.astype(np.float32), y[:25], plain.classes).x
    for k, (layer, shown) in enumerate(zip(plain.layers, frame["layers"], strict=True)):
        assert layer.bias is not None
        # Adam turns rounding of a gradient near 0 into a step.
        near(shown["weight"], layer.weight.data, 1e-3)
        near(shown["bias"], layer.bias.data, 1e-3)
        near(shown["weightBefore"], weights[k], 1e-3)
        near(shown["weightGradient"], layer.weight.grad, 1e-3)
        near(shown["biasGradient"], layer.bias.grad, 1e-3)
        near(shown["weightUpdate"], layer.weight.data - weights[k], 1e-2)
        h = layer(h).data
        h = ACTIVATIONS[shown["activation"]](h)
        near(np.reshape(frame["plane"]["layers"][k], (-1, 25)).T, h, 1e-3)
    # Losses and accuracy of all examples
    scores = h = plain.x
    for k, layer in enumerate(plain.layers):
        scores = layer(h).data
        h = ACTIVATIONS[frame["layers"][k]["activation"]](scores)
    if plain.classes:
        near(frame["loss"]["train"], F.cross_entropy(scores, plain.y))
        near(frame["accuracy"]["train"], np.mean(scores.argmax(1) == plain.y))
    else:
        near(frame["loss"]["train"], F.mse_loss(scores[:, 0], plain.y))
        assert frame["accuracy"]["train"] is None


@pytest.mark.parametrize("name", ["gelu, four classes", "six layers", "regularised", "one example"])
def test_an_explanation_has_every_number_of_the_last_batch(module: str, name: str) -> None:
    job, x, y = job_of(CASES[name])
    plain = Plain(job["settings"], x, y, job["data"]["classes"])
    found = ready(
        module,
        """
        begin(data.job);
        losses(4);
        const all = engine.explain();
        const at = {};
        engine.frame({}).layers.forEach((_, layer) => {
            for (const kind of ["weight", "bias", "preactivation", "output"]) {
                at[`${layer} ${kind}`] = engine.explain({ layer, kind, unit: 0, input: 0 }).at;
            }
        });
        const again = losses(1);
        return { arrays: plain(all.numbers.arrays), structure: all.structure, at, again };
        """,
        job=job,
    )
    plain.train(3)
    (batch,) = itertools.islice(plain.batches, 1)
    modules: list[nn.Module] = []
    for k, layer in enumerate(plain.layers):
        modules += [layer] if k == 0 else [MODULES[job["settings"]["activation"]](), layer]
    steps = trace(F.cross_entropy(nn.Sequential(*modules)(batch[0]), batch[1]).node)
    assert [step["op"] for step in found["structure"]["steps"]] == [
        step.op.name if step.op else None for step in steps
    ]
    for step, told in zip(steps, found["structure"]["steps"], strict=True):
        assert told["shape"] == [*step.value.shape] and told["name"] in (step.name, "x")
    for array, expected in zip(found["arrays"], all_arrays(steps), strict=True):
        near(array, expected, 2e-3)
    assert str(len(batch[0])) in str(found["structure"]["formulas"])  # the mean is a sum over it
    labels = [step["name"] or step["op"] for step in found["structure"]["steps"]]
    for k, _ in enumerate(plain.layers):
        assert labels[found["at"][f"{k} weight"]] == f"{2 * k}.weight"
        assert labels[found["at"][f"{k} bias"]] == f"{2 * k}.bias"
        assert labels[found["at"][f"{k} preactivation"]] == "add"
    plain.step(*batch)
    near(found["again"], plain.train(1))  # the explanation has changed nothing


def test_back_set_example_and_states(module: str) -> None:
    job, *_ = job_of({"layers": [4], "optimizer": "momentum"})
    found = ready(
        module,
        """
        const seen = {};
        begin(data.job);
        const all = losses(40);
        const early = engine.state();
        const more = losses(10);
        engine.back(10);
        seen.back = [engine.frame({}).step, engine.network.meanLoss === all[39]];
        seen.again = JSON.stringify(losses(10)) === JSON.stringify(more);
        engine.load(early);
        seen.load = [engine.frame({}).step, engine.frame({}).back];
        seen.more = JSON.stringify(losses(10)) === JSON.stringify(more);
        engine.back(1e6);
        seen.start = engine.frame({}).step;
        begin(data.job);
        engine.step(1500);
        engine.back(1000);
        seen.far = engine.frame({}).step;
        engine.example();
        const one = engine.frame({ gradients: true });
        seen.example = [one.step, one.batch.index.length, one.layers[0].output.length];
        engine.set({ layer: 0, kind: "weight", unit: 3, input: 1 }, 0.25);
        engine.set({ layer: 1, kind: "bias", unit: 1 }, -2);
        const { layers } = engine.frame({});
        seen.set = [layers[0].weight[7], layers[1].bias[1]];
        seen.wrong = [
            () => engine.set({ layer: 0, kind: "weight", unit: 4, input: 0 }, 1),
            () => engine.set({ layer: 0, kind: "bias", unit: 0 }, NaN),
            () => engine.load({ step: 1, epoch: 0, position: 0, memory: new Uint8Array(3) }),
            () => engine.adjust({ rate: 0 }),
            () => engine.adjust({ batch: 33 }),
            () => engine.adjust({ optimizer: "newton" }),
            () => engine.configure({ ...data.job.settings, layers: [9] }, job_data()),
            () => engine.configure({ ...data.job.settings, features: ["x3"] }, job_data()),
            () => engine.configure({ ...data.job.settings, seed: -1 }, job_data()),
            () => engine.frame({ plane: { size: 101, columns: [0], low: [0], high: [1] } }),
            () => engine.frame({ plane: { size: 9, columns: [2], low: [0], high: [1] } }),
        ].map((call) => { try { call(); return null; } catch (error) { return error.message; } });
        function job_data() {
            const { data: own } = data.job;
            return { ...own, train: floats(own.train), test: floats(own.test) };
        }
        return seen;
        """,
        job=job,
    )
    assert found["back"] == [40, True] and found["again"] and found["more"]
    assert found["load"] == [40, 0] and found["start"] == 40
    assert found["far"] == 500 and found["example"] == [501, 1, 4]
    assert found["set"] == [0.25, -2]
    assert None not in found["wrong"]


def test_settings_that_change_while_it_trains(module: str) -> None:
    """An optimiser begins with a state of zeros; a batch with the next rows; an activation with the
    weights that there are, from the sigmoid and back."""
    job, x, y = job_of({"layers": [3]})
    changes: list[dict[str, Any]] = [
        {"optimizer": "rmsprop", "rate": 0.02},
        {"optimizer": "adam"},
        {"activation": "sigmoid"},
        {"activation": "relu", "l2": 0.01},
        {"zeroGradients": False, "rate": 0.001},
    ]
    found = ready(
        module,
        """
        begin(data.job);
        const all = losses(5);
        for (const each of data.changes) {
            engine.adjust(each);
            all.push(...losses(5));
        }
        return all;
        """,
        job=job,
        changes=changes,
    )
    plain = Plain(job["settings"], x, y, 2)
    expected = plain.train(5)
    for change in changes:
        plain.settings = plain.settings | change
        if "optimizer" in change:
            parameters = plain.optimizer.parameters
            plain.optimizer = OPTIMIZERS[change["optimizer"]](parameters)
        plain.optimizer.lr = plain.settings["rate"]
        expected += plain.train(5)
    near(found, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"rate": 1.0},
        {"l1": 0.1, "l2": 0.5},
        {"batch": 3},
        {"shuffle": False},
        {"zeroGradients": False},
    ],
    ids=str,
)
def test_the_way_back_is_by_the_settings_of_then(module: str, change: dict[str, Any]) -> None:
    job, *_ = job_of({"layers": [3], "optimizer": "momentum"})
    found = ready(
        module,
        """
        const now = () => Buffer.from(engine.state().memory).toString("base64");
        const shown = () => {
            const { batch, layers } = engine.frame({ gradients: true });
            return JSON.stringify([batch, layers.map((layer) => [...layer.weightGradient])]);
        };
        begin(data.job);
        engine.step(5);
        const [state, step] = [now(), shown()];
        engine.step(1);
        engine.adjust(data.change);
        const last = engine.frame({ gradients: true }).batch.settings;
        engine.step(2);
        const present = engine.frame({ gradients: true }).batch.settings;
        engine.back(3);
        return { last, present, same: [now() === state, shown() === step] };
        """,
        job=job,
        change=change,
    )
    assert found["same"] == [True, True]
    assert found["last"].items() >= job["settings"].items()
    assert found["present"].items() >= (job["settings"] | change).items()


def test_training_that_diverges_stops(module: str) -> None:
    job, *_ = job_of({"optimizer": "sgd", "rate": 1e30, "activation": "relu"})
    found = ready(
        module,
        """
        begin(data.job);
        engine.run();
        engine.step(1000);
        const { step, diverged, running } = engine.frame({ losses: true });
        engine.back(1000);
        begin(data.job);
        const anew = engine.frame({ losses: true });
        return { step, diverged, running, anew: [anew.diverged, anew.loss.train] };
        """,
        job=job,
    )
    assert found["diverged"] and not found["running"] and found["step"] < 100
    assert found["anew"][0] is False and found["anew"][1] < 2


# The page


def test_ten_thousand_steps_in_a_page_from_a_file(browser: Browser, tmp_path: Path) -> None:
    job, x, y = job_of({})
    page_file = tmp_path / "playground.html"
    play().html(page_file)
    assert page_file.stat().st_size <= LARGEST
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
    found = page.evaluate(
        """async ({ settings, data }) => {
            const { engine } = playground;
            const floats = ({ x, y }) => ({ x: Float32Array.from(x), y: Float32Array.from(y) });
            const own = { ...data, train: floats(data.train), test: floats(data.test) };
            await engine.configure(settings, own);
            const losses = [];
            for (let k = 0; k < 100; k++) {
                await engine.step(100);
                losses.push((await engine.frame({ gradients: true })).batch.loss);
            }
            return { losses };
        }""",
        job,
    )
    context.close()
    expected = Plain(job["settings"], x, y, 2).train(10_000, compiled=True)[99::100]
    np.testing.assert_allclose(found["losses"], expected, rtol=1e-2, atol=1e-4)
    near(found["losses"][:20], expected[:20], 1e-3)


def accuracies(module: str, seeds: list[int]) -> list[tuple[float, float]]:
    """Of spirals for each seed: the accuracy that the engine reaches, and Python."""
    jobs, plains = [], []
    for seed in seeds:
        x, y = spirals(100, seed, turns=1.5)
        settings = BASE | {"seed": seed, "features": ["x1", "x2", "sin(x1)", "sin(x2)"]}
        settings |= {"rate": 0.02}
        given = {"x": x.ravel().tolist(), "y": y.tolist()}
        told = {"columns": ["x1", "x2"], "classes": 2, "train": given, "test": given}
        jobs.append({"settings": settings, "data": told})
        plains.append(Plain(settings, x, y, 2))
    found = ready(
        module,
        """
        return data.jobs.map((job) => {
            begin(job);
            engine.step(2000);
            return engine.frame({ losses: true }).accuracy.train;
        });
        """,
        jobs=jobs,
    )
    expected = []
    for plain in plains:
        plain.train(2000, compiled=True)
        scores: Any = plain.x
        for k, layer in enumerate(plain.layers):
            scores = layer(np.tanh(scores) if k else scores).data
        expected.append(float(np.mean(scores.argmax(1) == plain.y)))
    return list(zip(found, expected, strict=True))


def test_spirals_reach_pythons_accuracy(module: str) -> None:
    for found, expected in accuracies(module, [0, 1, 2]):
        assert abs(found - expected) <= 0.02 and found > 0.9


def test_a_hundred_seeds_of_spirals_reach_pythons_accuracy(module: str) -> None:
    both = accuracies(module, [*range(100)])
    for found, expected in both:
        assert abs(found - expected) <= 0.05
    means = np.mean(both, axis=0)
    assert abs(means[0] - means[1]) < 0.005 and means[0] > 0.95


# A user's own step


def moons() -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    x, y = datasets.make_moons(200, noise=0.1, seed=0)
    model = nn.Sequential(
        nn.Linear(2, 8, rng=rng), nn.Tanh(), nn.Linear(8, 4, rng=rng), nn.ReLU(),
        nn.Linear(4, 2, rng=rng),
    )  # fmt: skip
    loader = datasets.BatchLoader(x[:150], y[:150], batch_size=20, seed=5)
    return model, F.cross_entropy, optim.Adam(model.parameters(), lr=0.02), loader


def images() -> tuple[Any, ...]:
    """With dropout and BatchNorm."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3, rng=rng),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10, rng=rng),
    )  # fmt: skip
    digits = datasets.load_digits()
    pictures = digits.train_images[:150].reshape(-1, 1, 8, 8).astype(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, F.cross_entropy, optimizer, (pictures, digits.train_labels[:150])


class Recurrent(nn.Module):
    def __init__(self, rng: np.random.Generator) -> None:
        self.cells = nn.LSTM(3, 5, rng=rng, batch_first=True)
        self.last = nn.Linear(5, 1, rng=rng, bias=False)

    def forward(self, x: Any) -> Any:
        return self.last(np.tanh(self.cells(x)[0][:, -1]))[:, 0]


def sequences() -> tuple[Any, ...]:
    """With two groups of parameters, and float64 targets."""
    rng = np.random.default_rng(0)
    model = Recurrent(rng)
    x = rng.normal(size=(70, 7, 3)).astype(np.float32)
    groups: list[Any] = [
        {"params": model.cells.parameters()},
        {"params": model.last.parameters(), "lr": 0.1},
    ]
    return model, F.mse_loss, optim.AdamW(groups, lr=0.01), (x, x.sum((1, 2)))


OWN = """
    const { Program } = await load("compiler/export/program.js");
    const { Engine } = await load("playground/page/engine.js");
    const { OwnNetwork } = await load("playground/page/own.js");
    const program = await Program.load(fs.readFileSync(data.module));
    const engine = new Engine(new OwnNetwork(program, data.description));
    const { network } = engine;
    const loss = () => network.lossOf(network.functionFor(network.kind, engine.last.length));
"""


def own(made: Playground, folder: Path, script: str) -> Any:
    (folder / "own.wasm").write_bytes(made.build(False))
    given = {"module": str(folder / "own.wasm"), "description": made.description}
    return node(f"{OWN}{script}", given)


class Block(nn.Module):
    """With a parameter of its own beside those of a child."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.inner = nn.Linear(3, 3, rng=rng)
        self.scale = Tensor(np.float32(0.5), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return x + self.scale * self.inner(x)


def shared() -> tuple[Any, ...]:
    """A block that is called twice, and a loss that depends on the parameters themselves."""
    rng = np.random.default_rng(0)
    block = Block(rng)
    model = nn.Sequential(block, nn.Tanh(), block, nn.Linear(3, 1, rng=rng))

    def loss(output: Any, y: Any) -> Any:
        return F.mse_loss(output[:, 0], y) + 0.01 * sum(np.sum(p**2) for p in model.parameters())

    x = rng.normal(size=(70, 3)).astype(np.float32)
    return model, loss, optim.SGD(model.parameters(), lr=0.1), (x, x[:, 0] * x[:, 1])


@pytest.mark.parametrize("make", [moons, images, sequences, shared])
def test_a_users_own_step(make: Callable[[], tuple[Any, ...]], tmp_path: Path) -> None:
    model, loss, optimizer, data = make()
    given = data.dataset[:] if isinstance(data, datasets.BatchLoader) else data
    made = play(model, loss, optimizer, data, test=tuple(part[:9] for part in given))
    found = own(
        made,
        tmp_path,
        """
        engine.configure({});
        const losses = [];
        for (let k = 0; k < 40; k++) {
            engine.step();
            losses.push(loss());
            engine.frame({ gradients: k % 3 === 0, losses: k % 7 === 0 });
        }
        const last = engine.frame({ gradients: true, losses: true });
        const { structure, numbers } = engine.explain();
        const explained = Array.from(numbers.arrays[structure.steps.length - 1]);
        engine.back(30);
        const back = [engine.frame({}).step, loss() === losses[9]];
        engine.step(30);
        const again = loss() === losses[39];
        const gradients = last.layers.map((layer) => layer.kind === "units"
            ? { weight: [...layer.weightGradient] }
            : Object.fromEntries(layer.parameters.map((p) => [p.name, [...p.gradient]])));
        engine.example();
        const one = engine.frame({ gradients: true }).batch.index.length;
        return { losses, batch: last.batch.loss, explained, back, again, gradients, one,
            loss: last.loss, accuracy: last.accuracy };
        """,
    )
    size = made.description["batch"]
    seed = made.description["about"]["settings"]["seed"]
    loader = datasets.BatchLoader(*given, batch_size=size, seed=seed)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    model.train()
    expected = []
    for x, y in itertools.islice(batches, 40):
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        expected.append(value.item())
    near(found["losses"], expected, 1e-3)
    assert found["batch"] == pytest.approx(found["losses"][-1], rel=1e-5)
    assert found["explained"] == pytest.approx([found["losses"][-1]], rel=1e-5)
    assert found["back"] == [10, True] and found["again"]
    grads = {name: p.grad for name, p in model.named_parameters()}
    for layer, shown in zip(made.description["network"]["layers"], found["gradients"], strict=True):
        for name, gradient in shown.items():
            expected_gradient = grads[layer["held"][name]]
            if np.abs(expected_gradient).max() > 1e-6:  # of a bias before BatchNorm, it is 0
                near(gradient, expected_gradient, 2e-2)
    model.eval()
    with minigrad.no_grad():
        output = model(given[0])
        near(found["loss"]["train"], loss(output, given[1]), 1e-3)
    if make in (moons, images):
        right = np.mean(np.argmax(output.data, 1) == given[1])
        assert found["accuracy"]["train"] == pytest.approx(right)
        assert 0 <= found["accuracy"]["test"] <= 1
    assert found["one"] == 1


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.b = nn.Linear(2, 2, rng=rng), nn.Linear(2, 2, rng=rng)
        self.b.weight = self.a.weight

    def forward(self, x: Any) -> Any:
        return self.b(np.tanh(self.a(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.a, self.norm = nn.Linear(2, 6, rng=rng), nn.LayerNorm(6)
        self.b, self.c = nn.Linear(6, 6, rng=rng), nn.Linear(6, 2, rng=rng)
        self.a.weight.requires_grad = False

    def forward(self, x: Any) -> Any:
        h = F.relu(self.a(x))
        return self.c(h + F.gelu(self.b(self.norm(h))))


KINDS: dict[str, tuple[Callable[[], nn.Module], Callable[..., Any], bool]] = {
    "one weight of two layers": (Tied, F.cross_entropy, True),
    "a frozen layer, LayerNorm, a sum": (Residual, F.cross_entropy, True),
    "a loss that is a module": (Tied, nn.CrossEntropyLoss(), True),
    # How many there are is in the formulas, which are those of the first batch.
    "labels that are ignored": (
        Tied,
        lambda scores, y: F.cross_entropy(scores, y, ignore_index=0),
        False,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_models_and_losses(name: str, tmp_path: Path) -> None:
    make, loss, is_explained = KINDS[name]
    x = np.random.default_rng(1).normal(size=(70, 2)).astype(np.float32)
    y = (np.arange(70) * x[:, 0] > 5).astype(np.int64)
    model = make()
    optimizer = optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    made = play(model, loss, optimizer, (x, y))
    found = own(
        made,
        tmp_path,
        """
        engine.configure({});
        const losses = [], explained = [];
        for (let k = 0; k < 4; k++) {
            engine.step();
            losses.push(loss());
            engine.frame({ gradients: true, losses: true });
            try {
                const { structure, numbers, at } = engine.explain({ layer: 0, kind: "bias" });
                const { steps } = structure;
                explained.push([numbers.arrays[steps.length - 1][0], steps[at].name]);
            } catch (error) { explained.push(error.message); }
        }
        return { losses, explained };
        """,
    )
    loader = datasets.BatchLoader(x, y, batch_size=32, seed=0)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    for k, (rows, labels) in enumerate(itertools.islice(batches, 4)):
        optimizer.zero_grad()
        value = loss(model(rows), labels)
        value.backward()
        optimizer.step()
        assert found["losses"][k] == pytest.approx(value.item(), rel=1e-4)
        if is_explained:
            number, called = found["explained"][k]
            assert number == pytest.approx(value.item(), rel=1e-4) and "a.bias" in called
    assert is_explained or any("ignored" in str(each) for each in found["explained"])


def test_gradients_of_a_users_own_step_add_up(tmp_path: Path) -> None:
    made = play(*moons())
    found = own(
        made,
        tmp_path,
        """
        engine.configure({ zeroGradients: false, rate: 0.001 });
        const losses = [];
        for (let k = 0; k < 30; k++) {
            engine.step();
            losses.push(loss());
        }
        const { layers, batch } = engine.frame({ gradients: true });
        engine.adjust({ zeroGradients: true });
        engine.step();
        const wrong = [{ batch: 7 }, { rate: -1 }].map((settings) => {
            try { engine.adjust(settings); return null; } catch (error) { return error.message; }
        });
        return { losses, gradient: [...layers[0].weightGradient], batch: batch.loss, wrong };
        """,
    )
    model, loss, optimizer, loader = moons()
    optimizer.lr = 0.001
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    expected = []
    for x, y in itertools.islice(batches, 30):
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        expected.append(value.item())
    near(found["losses"], expected, 1e-3)
    near(found["gradient"], model[0].weight.grad, 1e-2)
    assert found["batch"] == pytest.approx(expected[-1], rel=1e-4)
    assert None not in found["wrong"]


class Scale(nn.Module):
    """With a parameter of shape ()."""

    def __init__(self) -> None:
        self.factor = Tensor(np.float32(2), requires_grad=True)

    def forward(self, x: Any) -> Any:
        return self.factor * x


def test_the_page_of_a_users_own_step(browser: Browser, tmp_path: Path) -> None:
    model, loss, optimizer, data = moons()
    model.append(Scale())
    made = play(model, loss, optimizer, data, title="My moons")
    made.html(tmp_path / "own.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text))
    page.goto((tmp_path / "own.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
    assert "My moons" in page.title()
    page.locator("#step").click()
    for _ in range(100):
        if page.locator("#step-count").inner_text() == "1":
            break
        page.wait_for_timeout(20)
    assert page.locator("#step-count").inner_text() == "1"
    context.close()
    assert not wrong


def test_the_chain_rule_shown_is_that_of_the_users_own_loss_and_network(
    browser: Browser, tmp_path: Path
) -> None:
    """Not of cross entropy or of the next layer alone, if another loss or path is there."""
    rng = np.random.default_rng(0)
    model = Tied()
    x = rng.normal(size=(32, 2)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64)
    smoothed = nn.CrossEntropyLoss(label_smoothing=0.2)
    play(model, smoothed, optim.SGD(model.parameters(), lr=0.1), (x, y)).html(tmp_path / "own.html")
    page = browser.new_page()
    page.goto((tmp_path / "own.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]", timeout=30_000)
    page.locator("#step").click()
    page.locator("#step-count", has_text="1").wait_for()
    upstream = "playground.chain.upstream(playground.frame, {}, 0, 0)"
    assert "softmax minus one-hot" not in page.evaluate(upstream.format(1))
    assert "of the next layer" in page.evaluate(upstream.format(0))
    page.close()


def test_a_loss_that_is_used_as_a_tensor(tmp_path: Path) -> None:
    """A loss of the user's own, of labels that are computed with."""
    model = nn.Linear(2, 1, rng=np.random.default_rng(0))
    x = np.random.default_rng(1).normal(size=(32, 2)).astype(np.float32)

    def loss(output: Tensor, y: Any) -> Any:
        signs = np.where(y > 0, 1, -1).astype(np.float32)
        return np.mean(np.logaddexp(0, -signs * output[:, 0]))

    made = play(model, loss, optim.SGD(model.parameters(), lr=0.1), (x, x[:, 0]))
    script = "engine.configure({}); engine.step(3); return [loss(), engine.frame({}).step];"
    value, step = own(made, tmp_path, script)
    order = np.random.default_rng([0, 2]).permutation(32)
    assert step == 3 and value == pytest.approx(0, abs=2) and len(order) == 32


def test_a_loss_that_is_compiled_into_other_ops_has_no_explanation() -> None:
    # While it is compiled, targets are not known: wrong ones make it NaN, by one more op.
    model = nn.Linear(2, 1, rng=np.random.default_rng(1))
    x = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    made = play(model, F.hinge_loss, optimizer, (x, np.sign(x[:, :1])))
    module = made.build(False)
    assert b"is compiled into other ops" in module and b"pool." not in module
