"""What is recorded while training: the norms and the weights there were, also over a stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import data, nn, optim, training
from minigrad.training.record import by_layer

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = (X[:, :1] * 2).astype(np.float32)


def fitted(*callbacks: training.Callback, steps: int = 6, **how: Any) -> nn.Module:
    rng = np.random.default_rng(1)
    model = nn.Sequential(nn.Linear(3, 4, rng=rng), nn.Tanh(), nn.Linear(4, 1, rng=rng))
    batches = data.BatchLoader(data.ArrayDataset(X, Y), batch_size=4, seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    minigrad.fit(
        model,
        batches,
        nn.MSELoss(),
        optimizer,
        steps=steps,
        callbacks=callbacks,
        progress=False,
        **how,
    )
    return model


def norm(*arrays: np.ndarray) -> float:
    return float(np.linalg.norm(np.concatenate([x.ravel() for x in arrays])))


def test_norms_are_those_of_gradient_update_and_weights() -> None:
    norms, snapshots = training.Norms(), training.Snapshots()
    fitted(norms, snapshots)
    assert [row["step"] for row in norms.rows] == [1, 2, 3, 4, 5, 6]
    for row in norms.rows:
        before, after = (snapshots.states[row["step"] - k] for k in (1, 0))
        for layer in ("0", "2"):
            names = [f"{layer}.weight", f"{layer}.bias"]
            update = norm(*(after[name] - before[name] for name in names))
            assert row["update"][layer] == pytest.approx(update, rel=1e-6)
            assert row["weight"][layer] == pytest.approx(norm(*(after[n] for n in names)), rel=1e-6)
            # Plain SGD: the update is the gradient, times the rate.
            assert row["gradient"][layer] == pytest.approx(update / 0.1, rel=1e-4)


def test_gradients_of_what_is_not_trained_do_not_add_up() -> None:
    def last(steps: int) -> Any:
        rng, norms = np.random.default_rng(0), training.Norms()
        model = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Linear(3, 1, rng=rng))
        x = np.ones((4, 2), np.float32)
        minigrad.fit(
            model,
            data.BatchLoader(x, x[:, :1], batch_size=4),
            nn.MSELoss(),
            optim.SGD(model[1].parameters(), lr=1e-6),
            steps=steps,
            callbacks=[norms],
            progress=False,
        )
        return norms.rows[-1]["gradient"]["0"]

    assert last(5) == pytest.approx(last(1), rel=1e-3)


def test_every_so_many_steps() -> None:
    norms, snapshots = training.Norms(every=2), training.Snapshots(every=3)
    fitted(norms, snapshots)
    assert [row["step"] for row in norms.rows] == [2, 4, 6]
    assert list(snapshots.states) == [0, 3, 6]
    whole = training.Norms()
    fitted(whole)
    assert norms.rows == whole.rows[1::2]


def test_recording_changes_nothing() -> None:
    plain, watched = fitted().state_dict(), fitted(training.Norms()).state_dict()
    for name, value in plain.items():
        np.testing.assert_array_equal(value, watched[name])


def test_it_goes_on_after_a_stop(tmp_path: Path) -> None:
    whole = training.Norms(), training.Snapshots()
    fitted(*whole)
    fitted(training.Norms(), training.Snapshots(), steps=3, checkpoint=tmp_path / "c")
    norms, snapshots = training.Norms(), training.Snapshots()
    fitted(norms, snapshots, checkpoint=tmp_path / "c")
    assert norms.rows == whole[0].rows
    assert list(snapshots.states) == list(whole[1].states)
    for step, state in snapshots.states.items():
        for name, value in state.items():
            np.testing.assert_array_equal(value, whole[1].states[step][name])


def test_plot_draws_them() -> None:
    norms = training.Norms()
    fitted(norms)
    assert len(norms.plot().axes) == 3


def test_every_is_at_least_one() -> None:
    for callback in (training.Norms, training.Snapshots):
        with pytest.raises(ValueError, match=f"{callback.__name__}: every must be at least 1"):
            callback(every=0)


def test_norms_of_complex_weights() -> None:
    weight = np.array([3 + 4j, 1j])
    assert by_layer({"0.weight": weight, "0.bias": np.array([5.0])}) == {
        "0": pytest.approx(norm(weight, np.array([5.0])))
    }
