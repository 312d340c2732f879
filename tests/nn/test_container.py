"""Modules made of modules."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad.errors import ShapeError, UnsupportedError
from minigrad.nn import (
    Flatten,
    Linear,
    Module,
    ModuleDict,
    ModuleList,
    ReLU,
    Sequential,
    Tanh,
    Unflatten,
)


def names(module: Module) -> list[str]:
    return [name for name, _ in module.named_children()]


def test_each_module_is_given_what_the_one_before_returned() -> None:
    assert Sequential(ReLU(), Tanh())(np.array([-1.0, 0.5])).tolist() == [0, np.tanh(0.5)]


def test_an_empty_sequential_returns_its_input() -> None:
    assert Sequential()(3) == 3


def test_a_dict_names_the_modules() -> None:
    net: Any = Sequential({"rectify": ReLU(), "squash": Tanh()})
    assert names(net) == ["rectify", "squash"]
    assert net.squash is net[1]
    assert net(np.array([-1.0, 0.5])).tolist() == [0, np.tanh(0.5)]
    assert names(net.append(ReLU())) == ["rectify", "squash", "2"]


def listed(*modules: Module) -> ModuleList:
    return ModuleList(modules)


numbered = pytest.mark.parametrize("kind", [Sequential, listed])
Kind = Callable[..., Any]


@numbered
def test_modules_are_numbered_items(kind: Kind) -> None:
    layers = [Linear(1, 1), ReLU(), Linear(1, 1)]
    net = kind(*layers)
    assert names(net) == ["0", "1", "2"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert list(net) == layers
    assert len(net) == 3
    assert [net[k] for k in (-3, 0, 2, -1)] == [layers[k] for k in (0, 0, 2, 2)]


@numbered
@pytest.mark.parametrize("index", [3, -4])
def test_an_item_that_is_not_there(kind: Kind, index: int) -> None:
    net = kind(ReLU(), ReLU(), ReLU())
    with pytest.raises(IndexError, match=f"item {index} of a .* that holds 3 modules"):
        net[index]
    with pytest.raises(IndexError, match=f"item {index}"):
        net[index] = Tanh()


@numbered
def test_items_are_put_in_place(kind: Kind) -> None:
    net, new = kind(ReLU(), ReLU(), ReLU()), Tanh()
    net[-2] = new
    assert list(net)[1] is new
    assert names(net) == ["0", "1", "2"]


@numbered
def test_append_and_extend(kind: Kind) -> None:
    net, layers = kind(), [ReLU(), Tanh(), Linear(1, 1)]
    assert net.append(layers[0]) is net
    assert net.extend(layers[1:]) is net
    assert list(net) == layers
    assert names(net) == ["0", "1", "2"]


@numbered
def test_modules_are_taken_out_and_put_between(kind: Kind) -> None:
    """As of a list of Python's."""
    a, b, c, d = Linear(1, 1), ReLU(), Linear(1, 1), Tanh()
    changes: list[Callable[[Any], Any]] = [
        lambda x: x.pop(),
        lambda x: x.insert(0, d),
        lambda x: x.insert(-1, a),
        lambda x: x.insert(9, b),
        lambda x: x.pop(1),
        lambda x: x.__delitem__(-1),
        lambda x: x.__delitem__(slice(0, None, 2)),
    ]
    net, modules = kind(a, b, c, a), [a, b, c, a]
    for change in changes:
        expected, found = change(modules), change(net)
        assert list(net) == modules
        assert names(net) == [str(k) for k in range(len(modules))]
        assert found is expected or found is net
    with pytest.raises(IndexError, match="item 7 of a"):
        del net[7]
    with pytest.raises(UnsupportedError, match="takes modules, and item"):
        net.insert(0, ReLU)
    assert list(net) == modules


@numbered
def test_one_after_the_other(kind: Kind) -> None:
    one, other = kind(ReLU(), Tanh()), kind(Linear(1, 1))
    both = one + other
    assert type(both) is type(one)
    assert list(both) == [*one, *other]
    assert names(both) == ["0", "1", "2"]
    assert len(one) == 2
    with pytest.raises(TypeError, match="modules must be"):
        one + 3


def test_named_modules_cannot_be_renumbered() -> None:
    net = Sequential({"rectify": ReLU(), "squash": Tanh()})
    with pytest.raises(
        UnsupportedError,
        match="have names, rectify, squash, so their positions cannot be renumbered",
    ):
        del net[0]
    assert len(net) == 2


def test_slices_hold_the_same_modules() -> None:
    layers = [Linear(1, 1), ReLU(), Linear(1, 1), Tanh()]
    end = Sequential(*layers)[2:]
    assert isinstance(end, Sequential)
    assert list(end) == layers[2:]
    assert names(end) == ["2", "3"]  # as PyTorch leaves them
    assert names(end.append(ReLU())) == ["2", "3", "4"]
    assert list(Sequential(*layers)[::-2]) == [layers[3], layers[1]]
    part = ModuleList(layers)[2:]
    assert isinstance(part, ModuleList)
    assert list(part) == layers[2:]
    assert names(part) == ["0", "1"]


def test_a_dict_of_modules_is_one() -> None:
    a, b = Linear(1, 1), Linear(1, 2)
    heads = ModuleDict({"a": a, "b": b})
    assert heads["b"] is b
    assert "a" in heads
    assert "c" not in heads
    assert "training" not in heads
    assert len(heads) == 2
    assert list(heads) == list(heads.keys()) == ["a", "b"]
    assert list(heads.values()) == [a, b]
    assert list(heads.items()) == [("a", a), ("b", b)]
    assert list(heads.state_dict()) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    heads["a"] = b
    heads.update({"c": a})
    assert list(heads.items()) == [("a", b), ("b", b), ("c", a)]
    with pytest.raises(KeyError, match="'d': this ModuleDict holds a, b, c"):
        heads["d"]
    assert heads.pop("b") is b
    del heads["c"]
    assert list(heads.items()) == [("a", b)]
    with pytest.raises(KeyError, match="'c': this ModuleDict holds a"):
        del heads["c"]
    assert len(ModuleDict()) == 0
    assert list(ModuleDict([("x", a)])) == ["x"]


def test_names_of_parameters_are_paths() -> None:
    class Net(Module):
        def __init__(self) -> None:
            self.layers = ModuleList([Linear(1, 1, bias=False)])
            self.heads = ModuleDict({"a": Linear(1, 1, bias=False)})

    assert list(Net().state_dict()) == ["layers.0.weight", "heads.a.weight"]


@pytest.mark.parametrize("container", [ModuleList(), ModuleDict()])
def test_lists_and_dicts_compute_nothing(container: Module) -> None:
    with pytest.raises(NotImplementedError, match=r"Module(List|Dict) .* call them"):
        container(1)


@pytest.mark.parametrize("wrong", [ReLU, np.tanh, None])
@pytest.mark.parametrize(
    "hold",
    [
        lambda x: Sequential(ReLU(), x),
        lambda x: ModuleList([ReLU(), x]),
        lambda x: ModuleList([ReLU()]).append(x),
        lambda x: ModuleDict({"1": x}),
    ],
)
def test_items_that_are_no_modules_are_refused(hold: Callable[[Any], Any], wrong: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"item 1 is .*write nn.ReLU\(\)"):
        hold(wrong)


@pytest.mark.parametrize("name", ["a.b", "", "training", "forward", "keys", 3])
def test_names_that_cannot_be_attributes_are_refused(name: Any) -> None:
    with pytest.raises(UnsupportedError, match="cannot name a module"):
        ModuleDict({name: ReLU()})


@pytest.mark.parametrize(
    ("arguments", "shape", "flat"),
    [
        ((), (2, 3, 4), (2, 12)),
        ((), (2,), (2, 1)),
        ((), (0, 3, 4), (0, 12)),
        ((), (2, 5), (2, 5)),
        ((0,), (2, 3, 4), (24,)),
        ((0, 1), (2, 3, 4), (6, 4)),
        ((-2, -1), (2, 3, 4, 5), (2, 3, 20)),
        ((1, -2), (2, 3, 4, 5), (2, 12, 5)),
    ],
)
def test_flatten(arguments: Any, shape: tuple[int, ...], flat: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(Flatten(*arguments)(x), x.reshape(flat))


@pytest.mark.parametrize(
    ("arguments", "shape"), [((), ()), ((2,), (5,)), ((0, 2), (5, 4)), ((-3, -1), (5, 4))]
)
def test_flatten_of_axes_that_are_not_there(arguments: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Flatten\(start_dim.*cannot take shape \("):
        Flatten(*arguments)(np.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "shape", "expected"),
    [
        ((1, (2, 3)), (5, 6), (5, 2, 3)),
        ((-1, (2, -1)), (5, 4, 6), (5, 4, 2, 3)),
        ((0, (-1,)), (0, 6), (0, 6)),
    ],
)
def test_unflatten(arguments: Any, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    assert np.array_equal(Unflatten(*arguments)(x), x.reshape(expected))


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [((1, (2, 4)), (5, 6)), ((1, (4, -1)), (5, 6)), ((2, (2, 3)), (5, 6)), ((-3, (5,)), (5, 6))],
)
def test_unflatten_of_another_size(arguments: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"Unflatten\(dim=.*cannot take shape \(5, 6\)"):
        Unflatten(*arguments)(np.zeros(shape))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Flatten(2, 1),
        lambda: Flatten(-1, -2),
        lambda: Unflatten(1, (-1, -1)),
        lambda: Unflatten(1, (2, 0)),
        lambda: Unflatten(1, ()),
    ],
)
def test_settings_that_make_no_sense_are_refused(make: Callable[[], Module]) -> None:
    with pytest.raises(ShapeError):
        make()


def test_repr() -> None:
    assert repr(Flatten()) == "Flatten(start_dim=1, end_dim=-1)"
    assert repr(Unflatten(1, (2, 3))) == "Unflatten(dim=1, unflattened_size=(2, 3))"
    assert repr(ModuleDict({"a": ReLU()})) == "ModuleDict(\n  (a): ReLU()\n)"
