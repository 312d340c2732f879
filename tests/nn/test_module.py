"""What a module finds in its attributes, saves, restores and shows."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minigrad import Tensor, nn
from minigrad.errors import ShapeError, UnsupportedError
from minigrad.nn import Dropout, Linear, Module, ReLU, Sequential


class Net(Module):
    def __init__(self) -> None:
        self.scale = Tensor(np.array([2.0, 3.0]), requires_grad=True)
        self.offset = Tensor(np.array([1.0, 1.0]))
        self.body = Sequential(Linear(2, 3), ReLU(), Linear(3, 1, bias=False))
        self.size = 7

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.scale * x + self.offset)


PARAMETERS = ["scale", "body.0.weight", "body.0.bias", "body.2.weight"]


def test_attributes_that_require_a_gradient_are_parameters() -> None:
    net = Net()
    assert [name for name, _ in net.named_parameters()] == PARAMETERS
    assert all(a is b for a, (_, b) in zip(net.parameters(), net.named_parameters(), strict=True))


def test_other_tensors_are_buffers() -> None:
    assert [name for name, _ in Net().named_buffers()] == ["offset"]


def test_modules_are_children() -> None:
    net = Net()
    assert list(net.named_children()) == [("body", net.body)]
    assert list(net.children()) == [net.body]
    assert [type(m) for m in net.modules()] == [Net, Sequential, Linear, ReLU, Linear]


def test_computed_tensors_are_neither_parameters_nor_buffers() -> None:
    net: Any = Net()
    net.output = net(np.ones((1, 2)))
    net.mask = net.output > 0
    assert [name for name, _ in net.named_parameters()] == PARAMETERS
    assert list(net.state_dict()) == ["scale", "offset", *PARAMETERS[1:]]


def test_a_shared_parameter_is_trained_once_and_saved_under_both_names() -> None:
    a, b = Linear(2, 2), Linear(2, 2)
    b.weight = a.weight
    net = Sequential(a, b)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


@pytest.mark.parametrize("hide", [lambda x: [x], lambda x: ("", x), lambda x: {"a": x}])
@pytest.mark.parametrize("hidden", [ReLU(), Tensor(1.0, requires_grad=True)])
def test_modules_and_parameters_in_plain_containers_are_refused(
    hide: Callable[[Any], Any], hidden: Any
) -> None:
    net: Any = Net()
    net.layers = hide(hidden)
    with pytest.raises(UnsupportedError, match=r"layers is a (list|tuple|dict).*nn.ModuleList"):
        net.parameters()
    net.layers = hide(Tensor(1.0))
    net.parameters()


def test_train_and_eval_reach_every_module() -> None:
    net = Net()
    assert all(module.training for module in net.modules())
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    assert net.train() is net
    assert all(module.training for module in net.modules())
    assert Net().training


def test_frozen_parameters_stay_parameters() -> None:
    net = Net()
    assert net.body.requires_grad_(False) is net.body
    assert [name for name, _ in net.named_parameters()] == PARAMETERS
    assert [name for name, _ in net.named_buffers()] == ["offset"]
    assert list(net.state_dict()) == ["scale", "offset", *PARAMETERS[1:]]
    assert "# 14 parameters" in repr(net)
    net(np.ones((1, 2))).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is not None] == ["scale"]
    net.requires_grad_()
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not net.offset.requires_grad


def test_one_by_one_they_are_frozen_as_well_and_copies_know_it() -> None:
    net = Net()
    for parameter in net.parameters():
        parameter.requires_grad = False
    for other in copy.deepcopy(net), pickle.loads(pickle.dumps(net)):
        assert [name for name, _ in other.named_parameters()] == PARAMETERS
        assert [name for name, _ in other.named_buffers()] == ["offset"]


def test_attributes_that_are_replaced_change_parameters_and_buffers() -> None:
    net = Net()
    net.scale = Tensor(np.ones(2))
    net.offset = Tensor(np.ones(2), requires_grad=True)
    assert [name for name, _ in net.named_buffers()] == ["scale"]
    assert next(net.named_parameters())[0] == "offset"
    net.scale.requires_grad = True
    assert not list(net.buffers())


def test_apply_calls_inner_modules_first() -> None:
    net = Net()
    seen: list[str] = []
    assert net.apply(lambda module: seen.append(type(module).__name__)) is net
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_generators_are_those_that_modules_draw_from_each_once() -> None:
    first, second = np.random.default_rng(0), np.random.default_rng(1)
    drops = [Dropout(rng=rng) for rng in (first, second, first, None)]
    net = Sequential(*drops, Linear(1, 1, rng=np.random.default_rng(2)))
    assert list(net.generators()) == [first, second]
    copies = list(copy.deepcopy(net).generators())
    assert len(copies) == 2
    assert first not in copies
    assert copies[0].random() == np.random.default_rng(0).random()


def test_zero_grad_forgets_gradients() -> None:
    net = Net()
    net(np.ones((1, 2))).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_state_dict_is_copies() -> None:
    net = Net()
    state = net.state_dict()
    state["scale"][:] = 0
    assert net.scale.data.tolist() == [2, 3]


def test_a_state_goes_into_the_memory_that_is_there() -> None:
    source, net = Net(), Net()
    buffers = [p.data for p in net.parameters()]
    net.load_state_dict(source.state_dict())
    x = np.ones((4, 2))
    assert np.array_equal(net(x).data, source(x).data)
    assert all(p.data is b for p, b in zip(net.parameters(), buffers, strict=True))


def test_a_state_may_hold_tensors_and_keeps_the_dtype_of_the_module() -> None:
    net = Linear(2, 1)
    net.load_state_dict({"weight": Tensor([[1.0, 2.0]]), "bias": np.array([3.0])})
    assert net.weight.data.tolist() == [[1, 2]]
    assert net.weight.dtype == net.bias.dtype == np.float32  # type: ignore[union-attr]


def test_a_state_that_does_not_fit_lists_everything_and_changes_nothing() -> None:
    net = Net()
    before = net.state_dict()
    state = net.state_dict()
    state = {name: x + 1 for name, x in state.items()}
    del state["offset"]
    state["scale"] = np.zeros(3)
    state["body.1.weight"] = np.zeros((2, 2))
    state["body.0.bias"] = np.zeros(3, complex)
    with pytest.raises(ShapeError) as error:
        net.load_state_dict(state)
    message = str(error.value)
    assert "does not fit Net" in message
    assert "missing: offset (2,)" in message
    assert "unexpected: body.1.weight (2, 2)" in message
    assert "mis-shaped: scale is (2,) here, (3,) given" in message
    assert "of dtype complex128: body.0.bias is float32 here" in message
    after = net.state_dict()
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_a_module_without_forward_says_so() -> None:
    class Empty(Module):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has no forward: define `def forward"):
        Empty()(1)


def test_forward_gets_every_argument() -> None:
    class Sum(Module):
        def forward(self, x: int, *, y: int = 0) -> int:
            return x + y

    assert Sum()(1, y=2) == 3


def test_repr_shows_children_and_counts() -> None:
    assert repr(Net()) == "\n".join(
        [
            "Net(  # 14 parameters",
            "  (body): Sequential(  # 12 parameters",
            "    (0): Linear(in_features=2, out_features=3, bias=True)  # 9 parameters",
            "    (1): ReLU()",
            "    (2): Linear(in_features=3, out_features=1, bias=False)  # 3 parameters",
            "  )",
            ")",
        ]
    )


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_are_equal_and_apart(duplicate: Callable[[Net], Net]) -> None:
    net = Net()
    other = duplicate(net)
    assert [name for name, _ in other.named_parameters()] == PARAMETERS
    assert np.array_equal(other.scale.data, net.scale.data)
    other.scale.data[:] = 0
    assert net.scale.data.tolist() == [2, 3]


def test_a_name_has_no_dot() -> None:
    net = Net()
    for value in (Tensor(1.0), Linear(2, 1)):
        with pytest.raises(UnsupportedError, match=r"'body\.0' cannot name"):
            setattr(net, "body.0", value)


@pytest.mark.parametrize("hold", [lambda x: [[x]], lambda x: {"a": (1, x)}, lambda x: {x}])
def test_modules_inside_of_containers_inside_are_found_missing(hold: Any) -> None:
    net = Net()
    net.extra = hold(Linear(2, 1))
    with pytest.raises(UnsupportedError, match=r"Net\.extra is a .* holds a"):
        list(net.parameters())


def test_one_tensor_under_two_names_is_given_one_value() -> None:
    first, second = Linear(2, 2), Linear(2, 2)
    second.weight = first.weight
    net = Sequential(first, second)
    state = net.state_dict()
    net.load_state_dict(state)
    state["1.weight"] = state["1.weight"] + 1
    with pytest.raises(ShapeError, match=r"0\.weight and 1\.weight are one Tensor"):
        net.load_state_dict(state | {"0.bias": np.ones(2)})
    assert first.bias is not None and not np.array_equal(first.bias.data, np.ones(2))


def test_a_state_of_another_head_is_loaded_without_it() -> None:
    body, rng = Linear(2, 3), np.random.default_rng(0)
    source = Sequential({"body": body, "head": Linear(3, 4, rng=rng)}).state_dict()
    target = Sequential({"body": Linear(2, 3, rng=rng), "new": Linear(3, 5, rng=rng)})
    new = target.state_dict()["new.weight"]
    left = target.load_state_dict(source, strict=False)
    assert left is not None
    assert left.missing_keys == ["new.weight", "new.bias"]
    assert left.unexpected_keys == ["head.weight", "head.bias"]
    np.testing.assert_array_equal(target.state_dict()["body.weight"], body.weight.data)
    np.testing.assert_array_equal(target.state_dict()["new.weight"], new)
    assert target.load_state_dict(target.state_dict(), strict=False) == ([], [])
    with pytest.raises(ShapeError, match=r"mis-shaped: body.weight"):
        target.load_state_dict({"body.weight": np.ones((2, 3))}, strict=False)
    prefixed = {f"module.{name}": array for name, array in source.items()}
    with pytest.raises(ShapeError, match=r"no name of this state is one of .*module.body"):
        target.load_state_dict(prefixed, strict=False)


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.float32, 1e300), (np.float32, -1e39), (np.float16, 65520.0)]
)
def test_values_beyond_what_the_dtype_holds_are_no_infinities(dtype: Any, value: float) -> None:
    """float16 rounds 65519 down to its largest, 65504, and 65520 up."""
    module: Any = Module()
    module.x = Tensor(np.ones(2, dtype), requires_grad=True)
    with pytest.raises(ShapeError, match=f"too large: x is {np.dtype(dtype)} here, float64 given"):
        module.load_state_dict({"x": np.array([1.0, value])})
    assert module.x.data.tolist() == [1, 1]
    module.load_state_dict({"x": np.array([np.inf, np.nan])})
    np.testing.assert_array_equal(module.x.data, [np.inf, np.nan])
    module.load_state_dict({"x": np.array([1e-300, 65519.0])})
    assert module.x.data.tolist() == [0, 65504 if dtype is np.float16 else 65519]


def test_complex_weights() -> None:
    """Each part of a layer's weight may be complex; states are cast as those of floats are."""
    layers: Any = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Tanh(), nn.Linear(8, 1))
    rng = np.random.default_rng(0)
    for layer in (layers[0], layers[3]):
        w = rng.normal(size=(2, *layer.weight.shape))
        layer.weight = Tensor((w[0] + 1j * w[1]).astype(np.complex64), requires_grad=True)
    y = layers(rng.normal(size=(1, 1, 3, 3)).astype(np.float32))
    assert y.dtype == np.complex64
    np.sum(np.abs(y) ** 2).backward()
    kinds = [str(p.grad.dtype) for p in layers.parameters()]
    assert sorted(kinds) == ["complex64", "complex64", "float32", "float32"]
    state = layers.state_dict()
    wide = {name: x.astype(np.promote_types(x.dtype, float)) / 3 for name, x in state.items()}
    layers.load_state_dict(wide)
    np.testing.assert_allclose(layers[3].weight.data, state["3.weight"] / 3, rtol=1e-6)
    with pytest.raises(ShapeError, match=r"too large: 0\.weight is complex64 here"):
        layers.load_state_dict(wide | {"0.weight": np.full((2, 1, 2, 2), 1e300j)})
