"""What every optimiser does around its update rule."""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, load, nn, save
from minigrad.errors import ArgumentError, GradientError, MinigradError, ShapeError
from minigrad.optim import SGD, Adagrad, Adam, AdamW, Muon, Optimizer, RMSprop, clip_grad_norm_
from tests.optim.rules import ELEMENTWISE, EVERYTHING, GRADIENTS, KINDS, START, parameter, run

if TYPE_CHECKING:
    from minigrad.optim.optimizer import State

Kind = type[Optimizer]

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
every_elementwise_kind = pytest.mark.parametrize(
    "kind", ELEMENTWISE, ids=lambda kind: kind.__name__
)


def everything(kind: Kind, *parameters: Tensor, lr: float = 0.1) -> Optimizer:
    return kind(parameters, lr=lr, **EVERYTHING[kind.__name__])


# Rules


@every_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rules_are_pure_and_record_themselves(kind: Kind, dtype: type) -> None:
    optimizer = everything(kind, Tensor(START.astype(dtype), requires_grad=True))
    run(optimizer, GRADIENTS[:3])
    w: np.ndarray = START.astype(dtype)
    g, state = GRADIENTS[3].astype(dtype), dict(optimizer.states[0])
    held = [array.copy() for array in (w, g, *state.values())]
    _, *settings = optimizer.settings_of(optimizer.param_groups[0])
    plain, new = kind.rule(w, g, state, np.array(0.1), *settings)
    for array, before in zip((w, g, *state.values()), held, strict=True):
        np.testing.assert_array_equal(array, before)
    tensors = {name: Tensor(array) for name, array in state.items()}
    recorded, recorded_state = kind.rule(Tensor(w), Tensor(g), tensors, Tensor(0.1), *settings)
    assert plain.dtype == recorded.dtype == dtype
    np.testing.assert_array_equal(recorded.data, plain)
    assert set(state) == set(new) == set(recorded_state)
    for name in new:
        assert new[name].dtype == recorded_state[name].dtype == state[name].dtype
        np.testing.assert_array_equal(recorded_state[name].data, new[name])


@every_kind
@pytest.mark.parametrize("number", [float, np.float64, np.float32, np.array, Tensor])
def test_a_learning_rate_of_any_kind_keeps_the_dtype(kind: Kind, number: Any) -> None:
    optimizer = everything(kind, Tensor(START.astype(np.float32), requires_grad=True))
    run(optimizer, GRADIENTS[:2])
    g, state = GRADIENTS[2].astype(np.float32), dict(optimizer.states[0])
    _, *settings = optimizer.settings_of(optimizer.param_groups[0])
    updated, _ = kind.rule(START.astype(np.float32), g, state, number(0.5), *settings)
    assert updated.dtype == np.float32


# Steps


@every_kind
def test_a_step_writes_into_the_memory_that_is_there(kind: Kind) -> None:
    w = parameter(2, 3)
    optimizer = everything(kind, w)
    buffers = [w.data, *optimizer.states[0].values()]
    before = [buffer.copy() for buffer in buffers]
    run(optimizer, GRADIENTS[:1])
    assert w.data is buffers[0]
    for buffer, old, now in zip(buffers[1:], before[1:], optimizer.states[0].values(), strict=True):
        assert now is buffer
        assert (old == 0).all()
    for buffer, old in zip(buffers, before, strict=True):
        assert (buffer != old).all()


@every_kind
def test_float32_stays_float32_and_gradients_are_only_read(kind: Kind) -> None:
    w = parameter(2, 3)
    gradient = np.arange(6, dtype=np.float32).reshape(2, 3)
    w.grad = gradient
    optimizer = everything(kind, w)
    for _ in range(3):
        optimizer.step()
    assert w.dtype == np.float32
    assert gradient.ravel().tolist() == [0, 1, 2, 3, 4, 5]
    for name, value in optimizer.states[0].items():
        assert value.dtype == (np.int64 if name == "step" else np.float32)


@every_elementwise_kind
def test_a_single_number_can_be_a_parameter(kind: Kind) -> None:
    w = Tensor(np.float32(3), requires_grad=True)
    optimizer = everything(kind, w)
    for _ in range(2):
        optimizer.zero_grad()
        (w * w).backward()
        optimizer.step()
    assert w.item() < 3
    assert w.dtype == np.float32


@every_kind
def test_parameters_without_a_gradient_are_left_alone(kind: Kind) -> None:
    used, unused = parameter(2, 3), parameter(2, 3)
    optimizer = everything(kind, used, unused)
    used.grad = np.ones((2, 3), np.float32)
    optimizer.step()
    assert (used.data != 1).all()
    assert (unused.data == 1).all()
    assert not any(value.any() for value in optimizer.states[1].values())


@every_elementwise_kind
def test_a_gradient_may_be_a_tensor(kind: Kind) -> None:
    w = Tensor(2.0, requires_grad=True)
    (w * w).backward(create_graph=True)
    assert isinstance(w.grad, Tensor)
    kind([w], lr=0.1).step()
    assert type(w.data) is np.ndarray
    assert w.item() < 2


@every_kind
def test_the_learning_rate_can_change(kind: Kind) -> None:
    changed, made = parameter(2, 3), parameter(2, 3)
    optimizer = kind([changed], lr=0.1)
    optimizer.lr = 0.5
    run(optimizer, GRADIENTS[:1])
    run(kind([made], lr=0.5), GRADIENTS[:1])
    assert optimizer.lr == 0.5
    assert np.array_equal(changed.data, made.data)


def test_zero_grad_forgets_gradients() -> None:
    w = parameter(1)
    w.grad = np.ones(1, np.float32)
    SGD([w]).zero_grad()
    assert w.grad is None


@pytest.mark.parametrize(
    ("kind", "lr"), [*zip(KINDS, [0.1, 0.1, 0.1, 0.02, 0.5, 0.05, 0.1], strict=True)]
)
def test_training_fits_a_line(kind: Kind, lr: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 2)).astype(np.float32)
    y = x @ np.array([[2.0], [-1.0]])
    layer = nn.Linear(2, 1, bias=False, rng=rng)
    optimizer = kind(layer.parameters(), lr=lr)
    for step in range(300):
        optimizer.lr = lr * (1 - step / 300)
        optimizer.zero_grad()
        ((layer(x) - y) ** 2).mean().backward()
        optimizer.step()
    np.testing.assert_allclose(layer.weight.data, [[2, -1]], atol=0.1)


# Settings


def test_settings_come_in_the_order_of_the_rule() -> None:
    group = Adam([parameter(1)], 0.5, (0.1, 0.2), 1e-3).param_groups[0]
    del group["params"]
    assert group == {"lr": 0.5, "betas": (0.1, 0.2), "eps": 1e-3, "weight_decay": 0.0}
    assert list(inspect.signature(Adam).parameters) == ["parameters", *group]


def test_settings_become_pythons_own_numbers() -> None:
    group = Adam([parameter(1)], np.float64(0.5), betas=np.array([0.1, 0.2])).param_groups[0]
    assert (type(group["lr"]), type(group["betas"]), type(group["betas"][0])) == (
        float,
        tuple,
        float,
    )


@every_kind
def test_an_unknown_setting(kind: Any) -> None:
    with pytest.raises(TypeError, match=rf"{kind.__name__}: .*'momentun'; it takes parameters, lr"):
        kind([parameter(2, 2)], momentun=0.9)


@every_kind
@pytest.mark.parametrize("lr", [0, -0.1, float("nan"), "0.1", None])
def test_a_learning_rate_that_is_not_positive(kind: Kind, lr: Any) -> None:
    with pytest.raises(ValueError, match=f"{kind.__name__}: lr must be positive, and is"):
        kind([parameter(2, 2)], lr=lr)


@pytest.mark.parametrize("lr", [-0.1, float("nan"), "0.1"])
def test_a_learning_rate_that_becomes_negative(lr: Any) -> None:
    with pytest.raises(ValueError, match="SGD: lr must be at least 0, and is"):
        SGD([parameter(2, 2)]).lr = lr


def test_a_learning_rate_may_become_0() -> None:
    w = parameter(2, 3)
    optimizer = SGD([w])
    optimizer.lr = 0
    run(optimizer, GRADIENTS[:1])
    assert (w.data == 1).all()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("SGD", {"momentum": -0.1}, "momentum must be at least 0 and below 1, and is -0.1"),
        ("SGD", {"momentum": 1.0}, "momentum must be"),
        ("SGD", {"weight_decay": -1}, "weight_decay must be at least 0"),
        ("SGD", {"dampening": 1.5}, "dampening must be at least 0 and at most 1"),
        ("Adam", {"betas": (0.9, 1.0)}, r"betas must be .* and is \(0.9, 1.0\)"),
        ("Adam", {"betas": (-0.1, 0.9)}, "betas must be"),
        ("Adam", {"betas": 0.9}, "betas must be two numbers"),
        ("Adam", {"betas": (0.9,)}, "betas must be two numbers"),
        ("Adam", {"eps": -1e-8}, "eps must be"),
        ("AdamW", {"weight_decay": -1}, "weight_decay must be"),
        ("RMSprop", {"alpha": 1.0}, "alpha must be"),
        ("RMSprop", {"momentum": -1}, "momentum must be"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay must be"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value must be"),
        ("Lion", {"betas": (0.9, 1.0)}, "betas must be"),
        ("Muon", {"ns_steps": 100}, "ns_steps must be an int from 0 to 99"),
        ("Muon", {"ns_steps": 5.0}, "ns_steps must be"),
        ("Muon", {"ns_coefficients": (1.5, -0.5)}, "ns_coefficients must be three numbers"),
        ("Muon", {"adjust_lr_fn": "adamw"}, "adjust_lr_fn must be one of None, 'original', '"),
    ],
)
@pytest.mark.parametrize("in_a_group", [False, True])
def test_a_setting_out_of_its_range(
    kind: str, settings: dict[str, Any], message: str, in_a_group: bool
) -> None:
    make: Any = {kind.__name__: kind for kind in KINDS}[kind]
    with pytest.raises(ValueError, match=f"{kind}: {message}"):
        if in_a_group:
            make([{"params": [parameter(2, 2)]}, {"params": [parameter(2, 2)], **settings}])
        else:
            make([parameter(2, 2)], **settings)


def test_a_rule_of_ones_own_need_not_say_what_its_settings_can_be() -> None:
    class Follow(Optimizer):
        @staticmethod
        def rule(parameter: Any, gradient: Any, state: "State", lr: float = -0.5) -> Any:
            total = state["sum"] + gradient
            return parameter - lr * total, {"sum": total}

    w = parameter(2)
    run(Follow([w]), np.ones((2, 2)))
    assert w.data.tolist() == [2.5, 2.5]


# Groups


@every_kind
def test_groups_have_settings_of_their_own(kind: Kind) -> None:
    together, alone = ([parameter(2, 3) for _ in range(3)] for _ in range(2))
    own: list[dict[str, Any]] = [{}, {"lr": 0.5}, {"weight_decay": 0.3}]
    groups = [{"params": [w], **settings} for w, settings in zip(together, own, strict=True)]
    optimizer = kind(groups, lr=0.1, weight_decay=0.0)
    run(optimizer, GRADIENTS)
    for w, settings in zip(alone, own, strict=True):
        run(kind([w], **{"lr": 0.1, "weight_decay": 0.0, **settings}), GRADIENTS)
    for w, expected in zip(together, alone, strict=True):
        np.testing.assert_array_equal(w.data, expected.data)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5, 0.1]
    assert optimizer.parameters == together


def test_groups_are_copies_with_every_setting() -> None:
    w = parameter(1)
    given = {"params": (p for p in [w]), "lr": 0.5}
    (group,) = SGD([given], momentum=0.9).param_groups
    assert group.pop("params") == [w]
    expected = {"lr": 0.5, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0}
    assert group == {**expected, "nesterov": False}
    assert set(given) == {"params", "lr"}


def test_the_learning_rate_is_that_of_the_first_group_and_set_for_all() -> None:
    optimizer = SGD([{"params": [parameter(1)], "lr": 0.5}, {"params": [parameter(1)]}], lr=0.1)
    assert optimizer.lr == 0.5
    optimizer.lr = 0.2
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.2]


def test_a_group_may_be_empty_and_hold_a_single_tensor() -> None:
    w = parameter(2, 3)
    optimizer = SGD([{"params": []}, {"params": w}], lr=0.1)
    run(optimizer, GRADIENTS[:1])
    assert (w.data != 1).all()


def test_an_unknown_setting_of_a_group() -> None:
    with pytest.raises(
        TypeError, match=r"Adam: group 1 has beta, and the settings are lr, betas, eps, weight_deca"
    ):
        Adam([{"params": [parameter(1)]}, {"params": [parameter(1)], "beta": 0.9}])


@pytest.mark.parametrize("second", [{"lr": 0.1}, parameter(1)])
def test_a_group_that_is_none(second: Any) -> None:
    with pytest.raises(TypeError, match=r'SGD: group 1 is not a dict with "params": give such'):
        SGD([{"params": [parameter(1)]}, second])


# Parameters


@every_kind
@pytest.mark.parametrize("none", [[], [{"params": []}]])
def test_no_parameters(kind: Kind, none: Any) -> None:
    with pytest.raises(GradientError, match=r"was given no parameters: pass module.parameters\(\)"):
        kind(none)


@every_kind
def test_a_frozen_parameter_stays_as_it_is_until_it_is_thawed(kind: Kind) -> None:
    w, frozen = parameter(2, 2), Tensor(np.ones((2, 2)))
    optimizer = kind([w, frozen], lr=0.1)
    w.grad = np.eye(2, dtype=np.float32)
    optimizer.step()
    assert (frozen.data == 1).all()
    frozen.requires_grad = True
    frozen.grad = np.eye(2)
    optimizer.step()
    assert (frozen.data != 1).any()


def test_a_parameter_of_integers() -> None:
    with pytest.raises(GradientError, match=r"parameter 1, of shape \(2,\), has dtype int64"):
        SGD([parameter(1), Tensor(np.array([1, 2]))])


@every_kind
def test_a_parameter_that_was_computed(kind: Kind) -> None:
    with pytest.raises(GradientError, match=r"parameter 0, of shape \(2,\), is the result of mul"):
        kind([parameter(2) * 2])


@pytest.mark.parametrize("wrong", [np.ones(2), ("weight", parameter(1)), "weight"])
def test_parameters_that_are_no_tensors_are_refused(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"SGD: parameter 0 is a \w+, not a Tensor"):
        SGD([wrong])


def test_a_module_is_not_its_parameters() -> None:
    wrong: Any = nn.Linear(2, 2)
    with pytest.raises(TypeError, match=r"a Linear is not a list of .* pass module.parameters()"):
        SGD(wrong)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_parameter_given_twice(grouped: bool) -> None:
    w = parameter(1)
    with pytest.raises(ValueError, match="twice"):
        SGD([{"params": [w]}, {"params": [w]}] if grouped else [w, w])


def test_an_optimiser_without_a_rule_says_so() -> None:
    with pytest.raises(NotImplementedError, match="an Optimizer has no update rule of its own"):
        Optimizer([parameter(1)], lr=0.1)


# Keeping


@every_kind
def test_a_loaded_optimiser_goes_on_bit_for_bit(kind: Kind, tmp_path: Path) -> None:
    def make(w: Tensor, b: Tensor, lr: float) -> Optimizer:
        second = {"params": [b], "weight_decay": 0.0}
        return kind([{"params": [w]}, second], lr=lr, **EVERYTHING[kind.__name__])

    w, b = (Tensor(START.astype(np.float32), requires_grad=True) for _ in range(2))
    optimizer = make(w, b, lr=0.1)
    run(optimizer, GRADIENTS[:10])
    optimizer.param_groups[1]["lr"] = 0.03
    save(tmp_path / "optimizer.safetensors", optimizer.state_dict())
    v, c = (Tensor(x.data.copy(), requires_grad=True) for x in (w, b))
    loaded = make(v, c, lr=0.7)
    buffers = [array for state in loaded.states for array in state.values()]
    loaded.load_state_dict(load(tmp_path / "optimizer.safetensors"))
    for k, group in enumerate(optimizer.param_groups):
        for name in optimizer.settings:
            value = loaded.param_groups[k][name]
            assert value == group[name]
            assert type(value) is type(group[name])
    for one in (optimizer, loaded):
        run(one, GRADIENTS[10:])
    assert w.data.tobytes() == v.data.tobytes()
    assert b.data.tobytes() == c.data.tobytes()
    now = [array for state in loaded.states for array in state.values()]
    assert all(x is y for x, y in zip(now, buffers, strict=True))


def test_the_names_and_types_in_a_state() -> None:
    state = Muon([parameter(2, 2)], adjust_lr_fn="original").state_dict()
    kinds = {name: (array.shape, array.dtype.kind) for name, array in state.items()}
    assert kinds == {
        "optimizer": ((32,), "u"),
        "0.momentum_buffer": ((2, 2), "f"),
        "param_groups.0.lr": ((), "f"),
        "param_groups.0.weight_decay": ((), "f"),
        "param_groups.0.momentum": ((), "f"),
        "param_groups.0.nesterov": ((), "b"),
        "param_groups.0.ns_coefficients": ((3,), "f"),
        "param_groups.0.eps": ((), "f"),
        "param_groups.0.ns_steps": ((), "i"),
        "param_groups.0.adjust_lr_fn": ((32,), "u"),
        "param_groups.0.initial_lr": ((), "f"),
    }


def test_a_state_is_a_copy() -> None:
    optimizer = Adam([parameter(2, 3)])
    state = optimizer.state_dict()
    run(optimizer, GRADIENTS[:1])
    assert not state["0.exp_avg"].any()


def test_a_setting_of_none_can_become_text_and_back() -> None:
    one, other = Muon([parameter(2, 2)]), Muon([parameter(2, 2)], adjust_lr_fn="match_rms_adamw")
    before = one.state_dict()
    one.load_state_dict(other.state_dict())
    assert one.param_groups[0]["adjust_lr_fn"] == "match_rms_adamw"
    one.load_state_dict(before)
    assert one.param_groups[0]["adjust_lr_fn"] is None


def test_a_state_that_does_not_fit_is_listed_and_changes_nothing() -> None:
    optimizer = Adam([parameter(2, 3), parameter(4)])
    run(Adam([optimizer.parameters[0]]), GRADIENTS[:1])
    before = optimizer.state_dict()
    state = {**before, "0.exp_avg": np.ones((3, 2)), "2.exp_avg": np.ones(1)}
    state["1.exp_avg_sq"] = np.array(["many", "a", "word", "here"])
    del state["1.step"], state["param_groups.0.lr"]
    with pytest.raises(ShapeError) as caught:
        optimizer.load_state_dict(state)
    for problem in (
        "this state does not fit Adam, so nothing was loaded",
        "missing: 1.step ()",
        "missing: param_groups.0.lr ()",
        "unexpected: 2.exp_avg (1,)",
        "mis-shaped: 0.exp_avg is (2, 3) here, (3, 2) given",
        "of dtype <U4: 1.exp_avg_sq is float32 here",
    ):
        assert problem in str(caught.value)
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (Adam([parameter(2, 3), parameter(2, 3)]), "unexpected: 1.exp_avg"),
        (Adam([{"params": [parameter(2, 3)]}, {"params": []}]), "unexpected: param_groups.1.lr"),
    ],
)
def test_the_state_of_other_parameters(other: Optimizer, problem: str) -> None:
    with pytest.raises(ShapeError, match=problem):
        Adam([parameter(2, 3)]).load_state_dict(other.state_dict())


@every_kind
def test_a_state_saved_without_its_kind(kind: Kind) -> None:
    state = kind([parameter(2, 3)], 0.25).state_dict()
    del state["optimizer"]
    loaded = kind([parameter(2, 3)], 0.5)
    loaded.load_state_dict(state)
    assert loaded.lr == 0.25


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Adam, "0.step", -1.0),
        (Adam, "0.exp_avg", np.nan),
        (Adam, "0.exp_avg_sq", np.nan),
        (Adam, "0.exp_avg_sq", -1e-8),
        (AdamW, "0.exp_avg_sq", -1e-8),
        (RMSprop, "0.square_avg", -1.0),
        (Adagrad, "0.sum", -1.0),
        (SGD, "param_groups.0.initial_lr", np.nan),
        (SGD, "param_groups.0.initial_lr", -1.0),
    ],
)
def test_states_that_no_training_has_are_refused(kind: Kind, name: str, value: float) -> None:
    optimizer = kind([parameter(2, 3)], 0.1)
    own = optimizer.state_dict()
    wrong = {key: array + 1 if key.startswith("0.") else array for key, array in own.items()}
    wrong[name] = np.array(wrong[name])
    wrong[name][...] = value
    with pytest.raises(
        ArgumentError, match=rf"{name} has .*NaN, so it was damaged.*nothing was loaded"
    ):
        optimizer.load_state_dict(wrong)
    np.testing.assert_equal(optimizer.state_dict(), own)
    wrong[name][...] = 3
    optimizer.load_state_dict(wrong)
    assert np.all(optimizer.state_dict()[name] == 3)


@every_kind
def test_the_state_of_another_optimiser(kind: Kind) -> None:
    """Adam and AdamW, for one, keep the same things under the same names."""
    state = kind([parameter(2, 3)], 0.1).state_dict()
    for other in {SGD, Adam, AdamW, RMSprop} - {kind}:
        with pytest.raises(
            ArgumentError, match=f"is the state of {kind.__name__}, another update rule"
        ):
            other([parameter(2, 3)], 0.1).load_state_dict(state)


def test_a_state_beyond_what_the_dtype_holds() -> None:
    optimizer = Adam([Tensor(np.ones(2, np.float32), requires_grad=True)])
    state = optimizer.state_dict() | {"0.exp_avg": np.array([1.0, 1e300])}
    with pytest.raises(ShapeError, match=r"too large: 0.exp_avg is float32 here, float64 given"):
        optimizer.load_state_dict(state)
    state = optimizer.state_dict() | {"0.step": np.array(2**63, np.uint64)}
    with pytest.raises(ShapeError, match=r"too large: 0.step is int64 here, uint64 given"):
        optimizer.load_state_dict(state)


def test_groups_that_are_added_are_as_those_of_the_beginning() -> None:
    def parameters() -> list[Tensor]:
        return [Tensor([1.0, -2.0], requires_grad=True), Tensor([3.0], requires_grad=True)]

    def step(optimizer: Optimizer) -> None:
        for x in optimizer.parameters:
            x.grad = 0.3 * x.data
        optimizer.step()

    (x, y), (v, w) = parameters(), parameters()
    added, apart = Adam([x], lr=0.1), (Adam([v], lr=0.1), Adam([w], lr=0.01))
    for k in range(4):
        if k == 2:
            added.add_param_group({"params": [y], "lr": 0.01})
        step(added)
        step(apart[0])
        if k >= 2:
            step(apart[1])
    np.testing.assert_array_equal(x.data, v.data)
    np.testing.assert_array_equal(y.data, w.data)
    made = Adam([{"params": [x]}, {"params": [y]}])
    made.load_state_dict(added.state_dict())
    assert [group["lr"] for group in made.param_groups] == [0.1, 0.01]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (3, "group 1 is not a dict"),
        ({"params": [Tensor(1.0)], "rate": 1.0}, "group 1 has rate"),
        ({"params": [Tensor(1.0)], "lr": -1.0}, "lr must be positive"),
        ({"params": [Tensor(1)]}, "has dtype int64"),
    ],
)
def test_groups_that_cannot_be_added(group: Any, message: str) -> None:
    optimizer = SGD([Tensor(1.0, requires_grad=True)])
    with pytest.raises(MinigradError, match=message):
        optimizer.add_param_group(group)
    with pytest.raises(ArgumentError, match="a parameter twice"):
        optimizer.add_param_group({"params": optimizer.parameters})
    assert len(optimizer.param_groups) == len(optimizer.states) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: groups[0].update(lr="a"), "SGD: lr must be"),
        (lambda groups: groups[0].update(lr=None), "SGD: lr must be"),
        (lambda groups: groups[0].update(momentum="a"), "SGD: momentum must be a number"),
        (lambda groups: groups[0].pop("lr"), "SGD: group 0 is not a dict with params, lr"),
        (lambda groups: groups.append(3), "SGD: group 1 is not a dict"),
        (lambda groups: groups.append({"params": [Tensor(1.0, True)]}), "SGD: group 1 is not"),
        (lambda groups: groups.append(groups[0] | {"params": [Tensor(1.0, True)]}), "now have 2"),
        (
            lambda groups: groups[0]["params"].append(Tensor(1.0, True)),
            "now have 2: add parameters by add_param_group",
        ),
        (lambda groups: groups.clear(), "now have 0"),
    ],
)
def test_groups_that_are_not_as_they_were_made(change: Any, message: str) -> None:
    """Those that were added would be left alone in every step, and nobody told."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    optimizer = SGD([x], lr=0.1, momentum=0.9)
    change(optimizer.param_groups)
    (x * x).sum().backward()
    with pytest.raises(MinigradError, match=message):
        optimizer.step()


def test_a_state_with_settings_out_of_their_range_is_refused() -> None:
    optimizer = SGD([Tensor(1.0, requires_grad=True)], lr=0.1, momentum=0.9)
    for name, value in {"lr": -1.0, "momentum": np.nan}.items():
        state = optimizer.state_dict() | {f"param_groups.0.{name}": np.array(value)}
        with pytest.raises(ArgumentError, match=f"SGD: {name} must be"):
            optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["momentum"] == 0.9
    optimizer.load_state_dict(optimizer.state_dict() | {"param_groups.0.lr": np.array(0.0)})
    assert optimizer.lr == 0.0


# Rules of one's own


def trained_by(rule: Any, compiled: bool) -> list[list[float]]:
    """A parameter after each of three steps."""
    mine = type("Mine", (Optimizer,), {"rule": staticmethod(rule)})
    w = Tensor(np.array([1.0, 2.0, 3.0], np.float32), requires_grad=True)
    optimizer = mine([w])

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = ((w * x) ** 2).sum()
        loss.backward()
        optimizer.step()
        return loss

    step = minigrad.compile(step) if compiled else step
    found = []
    for _ in range(3):
        step(np.ones(3, np.float32))
        found.append(w.data.tolist())
    return found


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda p, g, s, lr=0.1: ((p - lr * g).sum(), {}), r"\(\).*parameter 0.*\(3,\)"),
        (lambda p, g, s, lr=0.1: ((p - lr * g)[:1], {}), r"\(1,\).*parameter 0.*\(3,\)"),
        (lambda p, g, s, lr=0.1: ((p - lr * g).astype(int), {}), "int64.*float32"),
        (lambda p, g, s, lr=0.1: (p > g, {}), "bool.*float32"),
        (lambda p, g, s, lr=0.1: (0.5, {}), "float for parameter 0"),
        (lambda p, g, s, lr=0.1: p - lr * g, "a ndarray: return the new parameter and"),
        (lambda p, g, s, lr=0.1: None, "a NoneType"),
        (lambda p, g, s, lr=0.1: (p, {}, g), "a tuple of ndarray, dict, ndarray"),
        (lambda p, g, s, lr=0.1: (p - lr * g, None), "a tuple of ndarray, NoneType"),
        (lambda p, g, s, lr=0.1: (p, {"note": "hi"}), "state 'note' of .* dtype str"),
        (lambda p, g, s, lr=0.1: (p, {"mean": g.sum()}), r"state 'mean' of shape \(\)"),
        (lambda p, g, s, lr=0.1: (p, {"step": s["step"] + g}), "state 'step' of shape"),
        (lambda p, g, s, lr=0.1: (p, {"step": s["step"] + 0.5}), "state 'step' .* float64"),
    ],
)
def test_what_a_rule_returns_fits_the_parameter_and_the_state(
    rule: Any, message: str, compiled: bool
) -> None:
    with pytest.raises(MinigradError, match=f"the rule of Mine returned.*{message}"):
        trained_by(rule, compiled)


def in_place(p: Any, g: Any, state: Any, lr: float = 0.1) -> Any:
    state["mean"] *= 0.5
    state["mean"] += g
    p -= lr * state["mean"]
    return p, state


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    "rule",
    [
        lambda p, g, s, *, lr=0.1: (p - lr * g, {}),
        lambda p, g, s, lr=0.1: (p - lr * g.astype(np.float64), {}),
        lambda p, g, s, lr=0.1: (p - lr * g, {"last": g}),  # which nothing reads
    ],
)
def test_rules_that_are_plain_gradient_descent(rule: Any, compiled: bool) -> None:
    w, expected = np.array([1.0, 2.0, 3.0]), []
    for _ in range(3):
        w = w - 0.1 * 2 * w
        expected.append(w)
    np.testing.assert_allclose(trained_by(rule, compiled), expected, rtol=1e-6)


def test_a_rule_that_writes_in_place_is_run_on_copies_when_an_optimiser_is_made() -> None:
    w, mean, expected = np.array([1.0, 2.0, 3.0]), np.zeros(3), []
    for _ in range(3):
        mean = 0.5 * mean + 2 * w
        w = w - 0.1 * mean
        expected.append(w)
    np.testing.assert_allclose(trained_by(in_place, False), expected, rtol=1e-6)


@pytest.mark.parametrize("which", ["parameter", "state"])
def test_a_shape_that_depends_on_numbers_is_refused_in_the_step(which: str) -> None:
    def rule(p: Any, g: Any, s: Any, lr: float = 0.1) -> Any:
        some = g[g > 0][:1] if g[0] < 0 else g
        return (some, {}) if which == "parameter" else (p, {"m": some})

    mine = type("Mine", (Optimizer,), {"rule": staticmethod(rule)})
    w = Tensor(np.ones(3), requires_grad=True, name="weight")
    optimizer = mine([w])
    (w * np.array([-1.0, 1.0, 1.0])).sum().backward()
    with pytest.raises(ShapeError, match=r"Mine .*\(1,\).* for weight.*\(3,\)"):
        optimizer.step()
    assert w.data.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "rule", [lambda p, g: p, lambda p, g, s, **settings: (p, s), lambda *args: args[:2]]
)
def test_a_rule_names_its_settings(rule: Any) -> None:
    with pytest.raises(ArgumentError, match="each setting by its name"):
        type("Mine", (Optimizer,), {"rule": staticmethod(rule)})


# Complex parameters


def complex_run(w: Tensor, optimizer: Optimizer) -> None:
    """Four steps down |w * a - b|**2, of which some entries of a are small."""
    a, b = np.array([1 + 1j, 0.1j, 2.0]), np.array([0.5, 1j, -1.0])
    for _ in range(4):
        optimizer.zero_grad()
        np.sum(np.abs(w * a - b) ** 2).backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_a_complex_parameter_is_updated_as_its_parts_are(kind: type[Optimizer]) -> None:
    start = np.array([1 + 2j, -0.5, 0.3j])
    w = Tensor(start.copy(), requires_grad=True)
    complex_run(w, kind([w], **EVERYTHING[kind.__name__]))
    parts = Tensor(np.stack([start.real, start.imag], -1), requires_grad=True)
    optimizer = kind([parts], **EVERYTHING[kind.__name__])
    a, b = np.array([1 + 1j, 0.1j, 2.0]), np.array([0.5, 1j, -1.0])
    for _ in range(4):
        optimizer.zero_grad()
        z = parts[:, 0] * a + 1j * (parts[:, 1] * a) - b
        np.sum(z.real**2 + z.imag**2).backward()
        optimizer.step()
    np.testing.assert_allclose(w.data, parts.data[:, 0] + 1j * parts.data[:, 1], rtol=1e-12)


def test_states_of_complex_parameters_are_saved_and_loaded() -> None:
    w = Tensor(np.array([1 + 2j, 3.0, 1j]), requires_grad=True)
    optimizer = Adam([w])
    complex_run(w, optimizer)
    other = Tensor(w.data.copy(), requires_grad=True)
    resumed = Adam([other])
    resumed.load_state_dict(optimizer.state_dict())
    complex_run(w, optimizer)
    complex_run(other, resumed)
    np.testing.assert_array_equal(w.data, other.data)


def test_muon_refuses_complex_parameters() -> None:
    with pytest.raises(GradientError, match=r"Muon.*shape \(2, 2\) is complex"):
        Muon([Tensor(np.ones((2, 2), complex), requires_grad=True)])


@pytest.mark.unoptimized
def test_a_compiled_step_of_a_complex_parameter() -> None:
    found = []
    for how in (lambda f: f, minigrad.compile):
        w = Tensor(np.array([1 + 2j, 3.0, 1j]), requires_grad=True)
        optimizer = Adam([w], lr=0.1)

        @how
        def step(w: Tensor = w, optimizer: Optimizer = optimizer) -> Any:
            optimizer.zero_grad()
            loss = np.sum(np.abs(np.exp(w * 0.1) - 1j) ** 2)
            loss.backward()
            clip_grad_norm_([w], 0.5)
            optimizer.step()
            return loss

        losses = [step().item() for _ in range(3)]
        found.append((losses, w.data))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-12)
