"""A module beside PyTorch's of the same name in float64: outputs, gradients, buffers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from minigrad import Tensor, nn

RNG = np.random.default_rng(0)


def double(module: nn.Module, state: dict[str, Any]) -> None:
    """Give a module the parameters and buffers of a state, in the state's dtypes."""
    for name, value in state.items():
        *path, last = name.split(".")
        owner: Any = module
        for part in path:
            owner = getattr(owner, part)
        trained = getattr(owner, last).requires_grad
        setattr(owner, last, Tensor(value.numpy().copy(), requires_grad=trained))


def mapped(f: Callable[[Any], Any], x: Any) -> Any:
    """f of every leaf of nested tuples, which may have None among their leaves."""
    if isinstance(x, tuple):
        return tuple(mapped(f, part) for part in x)
    return None if x is None else f(x)


def leaves(x: Any) -> list[Any]:
    """The leaves of nested tuples, None left out."""
    found: list[Any] = []
    mapped(found.append, x)
    return found


def close(ours: Any, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


def compare(ours: nn.Module, theirs: torch.nn.Module, *inputs: Any, **options: Any) -> None:
    """Outputs, gradients of inputs and parameters, and buffers afterwards, are PyTorch's.

    Inputs are arrays, None, or nested tuples of them, as are outputs; integers and booleans get no
    gradient. Options go to both calls; arrays among them get no gradient.
    """
    theirs.double()
    double(ours, theirs.state_dict())
    for part in ("named_parameters", "named_buffers"):
        names = [[name for name, _ in getattr(module, part)()] for module in (ours, theirs)]
        assert names[0] == names[1]
    run(ours, theirs, inputs, options)


def run(ours: Any, theirs: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
    """One call of both, which are in the same state already, and the pass back."""
    ours.zero_grad()
    theirs.zero_grad()
    ins = mapped(lambda x: Tensor(x, requires_grad=x.dtype.kind == "f"), inputs)
    torch_ins = mapped(lambda x: torch.tensor(x, requires_grad=x.dtype.kind == "f"), inputs)
    torch_options = {
        name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in options.items()
    }
    outs, torch_outs = leaves(ours(*ins, **options)), leaves(theirs(*torch_ins, **torch_options))
    total, torch_total = Tensor(0.0), torch.tensor(0.0)
    for y, z in zip(outs, torch_outs, strict=True):
        close(y.data, z.detach().numpy())
        cotangent = RNG.standard_normal(y.shape)
        total = total + np.sum(y * cotangent)
        torch_total = torch_total + (z * torch.tensor(cotangent)).sum()
    if torch_total.requires_grad:
        total.backward()
        torch_total.backward()
    pairs = [
        *zip(leaves(ins), leaves(torch_ins), strict=True),
        *zip(ours.parameters(), theirs.parameters(), strict=True),
    ]
    for x, t in pairs:
        assert (x.grad is None) == (t.grad is None)
        if t.grad is not None:
            close(x.grad, t.grad.numpy())
    for x, t in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        close(x[1].data, t[1].numpy())
