"""Text drawn from a network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minigrad.errors import ArgumentError
from minigrad.recipes.run import train
from minigrad.recipes.sample import sample, texts
from minigrad.recipes.tasks import configure


class Fixed:
    """Gives the same scores for what comes next, and remembers what it was shown."""

    context = 3

    def __init__(self, scores: list[float]) -> None:
        self.scores = np.array(scores, np.float32)
        self.seen: list[list[int]] = []

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        self.seen.append(tokens[0].tolist())
        return np.broadcast_to(self.scores, (*tokens.shape, len(self.scores)))


def drawn(model: Any, length: int = 2000, **settings: Any) -> np.ndarray:
    return np.array(sample(model, [0], length, np.random.default_rng(0), **settings))


def test_tokens_are_drawn_by_their_probability() -> None:
    tokens = drawn(Fixed(list(np.log([0.1, 0.3, 0.6]))))
    assert np.bincount(tokens) / 2000 == pytest.approx([0.1, 0.3, 0.6], abs=0.03)


def test_a_low_temperature_makes_the_likely_likelier() -> None:
    tokens = drawn(Fixed(list(np.log([0.1, 0.3, 0.6]))), temperature=0.5)
    squares = np.array([0.01, 0.09, 0.36])
    assert np.bincount(tokens) / 2000 == pytest.approx(squares / squares.sum(), abs=0.03)
    assert set(drawn(Fixed([1.0, 3.0, 2.0]), 50, temperature=0)) == {1}


def test_only_the_likeliest_are_drawn() -> None:
    assert set(drawn(Fixed([1.0, 3.0, 2.0, 0.5]), top_k=2)) == {1, 2}
    assert set(drawn(Fixed([1.0, 1.1]), top_k=5)) == {0, 1}


def test_the_model_sees_no_more_than_its_context() -> None:
    model = Fixed([0.0, 9.0])
    sample(model, [0, 1], 4, np.random.default_rng(0), temperature=0)
    assert model.seen == [[0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 1]]


def test_the_end_ends_it() -> None:
    assert len(drawn(Fixed([0.0, 0.0]), end=0)) < 100
    assert 0 not in drawn(Fixed([0.0, 0.0]), end=0)


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_k": 0}, {"length": -1}, {"tokens": []}]
)
def test_settings_out_of_their_range(wrong: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="sample:"):
        sample(
            **{"model": Fixed([0.0]), "tokens": [0], "length": 1, **wrong},
            rng=np.random.default_rng(0),
        )


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names") / "run"
    train(configure({"data": "names", "steps": 30, "eager": True}), folder, progress=False)
    return folder


def test_lines_begin_with_the_prompt_and_end_by_themselves(names: Path) -> None:
    lines = list(texts(names, prompt="mar", number=5))
    assert len(lines) == 5
    assert all(line.startswith("mar") and "\n" not in line for line in lines)
    assert lines == list(texts(names, prompt="mar", number=5))
    assert lines != list(texts(names, prompt="mar", number=5, seed=1))


def test_a_prompt_in_characters_it_has_not_seen(names: Path) -> None:
    with pytest.raises(ArgumentError, match="'é'"):
        list(texts(names, prompt="é"))


def test_a_network_that_writes_nothing(tmp_path: Path) -> None:
    train(configure({"data": "moons", "epochs": 1, "eager": True}), tmp_path, progress=False)
    with pytest.raises(ArgumentError, match="trained on moons, which is not text"):
        list(texts(tmp_path))
