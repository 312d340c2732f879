"""A reverse pass that needs an array as it was before minigrad wrote into it is refused."""

import gc
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, debug, nn, no_grad, optim
from minigrad.errors import ArgumentError, GradientError, UnsupportedError
from minigrad.writes import log


def parameter(values: Any = (2.0, 3.0)) -> Tensor:
    return Tensor(np.array(values), requires_grad=True, name="w")


def step(w: Tensor) -> None:
    w.grad = np.ones_like(w.data)
    optim.SGD([w], lr=1.0).step()


def subtract_data(w: Tensor) -> None:
    w.data -= 1.0


def assign(w: Tensor) -> None:
    with no_grad():
        w[0] = 7.0


def subtract(w: Tensor) -> None:
    with no_grad():
        w -= 1.0


def assign_to_a_view(w: Tensor) -> None:
    with no_grad():
        w[:1][...] = 7.0


def load(w: Tensor) -> None:
    module = nn.Module()
    module.w = w
    module.load_state_dict({"w": np.zeros(2)})


def start_again(w: Tensor) -> None:
    nn.init.zeros_(w)


def apply_average(w: Tensor) -> None:
    average = optim.ExponentialMovingAverage([w], decay=0.5)
    average.update()
    context = average.applied()
    context.__enter__()


def compiled_step(w: Tensor) -> None:
    optimizer = optim.SGD([w], lr=1.0)

    @minigrad.compile
    def train() -> Any:
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        optimizer.step()
        return loss

    train()


def compiled_write_to_an_argument(w: Tensor) -> None:
    def add(t: Any) -> None:
        t.data[...] = t.data + 1.0

    minigrad.compile(add)(w)


WRITES = [step, subtract_data, assign, subtract, assign_to_a_view, load, start_again]
WRITES += [apply_average, compiled_step, compiled_write_to_an_argument]
USES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "mul": lambda w, x: w * x,
    "a view": lambda w, x: w[::-1] * x,
    "matmul of T": lambda w, x: x.reshape(1, 2) @ w.reshape(1, 2).T,
    "the array itself": lambda w, x: x * w.data,
    "pow": lambda w, x: w**2 * x.sum(),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("use", USES)
def test_a_write_between_forward_and_reverse_is_noticed(write: Any, use: str) -> None:
    w, x = parameter(), Tensor([5.0, 7.0], requires_grad=True)
    y = USES[use](w, x).sum()
    write(w)
    for create_graph in (False, True):
        with pytest.raises(GradientError, match="has been written into since"):
            y.backward(create_graph=create_graph)


def test_the_error_names_the_parameter_the_op_and_both_lines() -> None:
    w, x = parameter(), Tensor([5.0, 7.0], requires_grad=True)
    y = w * x
    step(w)
    with pytest.raises(GradientError) as caught:
        y.sum().backward()
    text = str(caught.value)
    assert re.search(r"reverse pass of mul needs w of shape \(2,\)", text)
    assert re.search(r"recorded at .*test_writes\.py:\d+\n    y = w \* x\n", text)
    assert re.search(r"written into at .*test_writes\.py:\d+\n    optim\.SGD\(", text)


@pytest.mark.parametrize("write", WRITES)
def test_rules_that_need_no_numbers_run(write: Any) -> None:
    w = parameter()
    y = ((w + 1.0).reshape(2, 1).T[0] - 3.0).sum() + w.mean() + np.concatenate([w, w]).sum()
    write(w)
    w.grad = None
    y.backward()
    np.testing.assert_array_equal(w.grad, [3.5, 3.5])


def test_graphs_recorded_after_a_write_are_right() -> None:
    w = parameter()
    (w * w).sum().backward()
    for k in range(3):
        step(w)
        w.grad = None
        (w * w).sum().backward()
        np.testing.assert_array_equal(w.grad, 2 * (np.array([2.0, 3.0]) - k - 1))


def test_new_data_leaves_first_derivatives_as_they_were() -> None:
    w = parameter()
    y = (w * w).sum()
    w.data = np.zeros(2)
    y.backward()
    np.testing.assert_array_equal(w.grad, [4.0, 6.0])
    with pytest.raises(GradientError, match="written into since"):
        y.backward(create_graph=True)


def test_a_pull_back_called_late() -> None:
    w = parameter()
    _, pull_back = minigrad.vjp(lambda x: x * w, np.ones(2))
    step(w)
    with pytest.raises(GradientError, match="w of shape"):
        pull_back(np.ones(2))


def test_inside_a_compiled_function() -> None:
    w, x = parameter(), Tensor([5.0, 7.0], requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0)

    @minigrad.compile
    def both() -> Any:
        y, z = (w * x).sum(), (w * x * x).sum()
        y.backward()
        optimizer.step()
        x.grad = None
        z.backward()
        return x.grad

    with pytest.raises(GradientError, match="mul needs"):
        both()
    np.testing.assert_array_equal(w.data, [2.0, 3.0])


def test_memory_that_is_gone_is_forgotten() -> None:
    before = len(log.writes)
    for _ in range(100):
        w = parameter()
        w.data += 1.0
    del w
    gc.collect()
    assert len(log.writes) <= before


def test_debug_finds_what_numpy_writes() -> None:
    buffer = np.ones(2)
    x = Tensor([5.0, 7.0], requires_grad=True)
    with debug():
        y, z = (x * buffer).sum(), (x + buffer).sum()
        buffer[0] = 9.0
        z.backward()
        with pytest.raises(GradientError, match=r"mul needs an array of shape \(2,\)"):
            y.backward()


def test_explain_refuses_what_was_written_into() -> None:
    w = parameter()
    z = (w * w).sum()
    assert "dz/dw" in str(minigrad.explain(z))
    step(w)
    with pytest.raises(GradientError, match="written into"):
        str(minigrad.explain(z))


def test_a_compiled_write_of_a_value_with_a_gradient() -> None:
    w, state = parameter(), Tensor(np.zeros(2))

    def f(x: Any) -> Any:
        state[...] = w * x
        return x.sum()

    with pytest.raises(UnsupportedError, match="would lose it"):
        minigrad.compile(f)(np.ones(2))


def test_read_only_parameters_are_refused_by_name() -> None:
    w = Tensor(np.broadcast_to(np.ones(1), (3,)), requires_grad=True, name="w")
    w.grad = np.ones(3)
    with pytest.raises(ArgumentError, match=r"w of shape \(3,\) is read-only"):
        optim.SGD([w], lr=0.1).step()


def test_debug_lets_arrays_be_filled() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    with debug():
        out = np.full_like(x, np.nan)
        for k in range(2):
            out[k] = x[k]
        out.sum().backward()
