"""Muon."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np

from minigrad.arguments import FRACTION, NOT_NEGATIVE, POSITIVE, Range, one_of
from minigrad.errors import ShapeError
from minigrad.optim.optimizer import Optimizer, State, weak

THREE = Range(lambda x: len(x) == 3, "three numbers")
FEW = Range(lambda x: isinstance(x, int) and 0 <= x < 100, "an int from 0 to 99")
ADJUSTMENT = one_of(None, "original", "match_rms_adamw")


def muon_rule(
    parameter: Any,
    gradient: Any,
    state: State,
    lr: Annotated[Any, POSITIVE] = 1e-3,
    weight_decay: Annotated[float, NOT_NEGATIVE] = 0.1,
    momentum: Annotated[float, FRACTION] = 0.95,
    nesterov: bool = True,
    ns_coefficients: Annotated[tuple[float, float, float], THREE] = (3.4445, -4.775, 2.0315),
    eps: Annotated[float, NOT_NEGATIVE] = 1e-7,
    ns_steps: Annotated[int, FEW] = 5,
    adjust_lr_fn: Annotated[str | None, ADJUSTMENT] = None,
) -> tuple[Any, State]:
    """One step of Muon (Jordan et al., "Muon: An optimizer for hidden layers in neural networks",
    2024), for a parameter (M, N).

    The moving average of the gradient is replaced by a nearby orthogonal matrix, so that the step
    is of equal length along all of its singular vectors. Weight decay is decoupled, as AdamW's.
    PyTorch does the same in bfloat16; here it is done in the parameter's own dtype.

    >>> state = {"momentum_buffer": np.zeros((2, 2))}
    >>> step = -muon_rule(np.zeros((2, 2)), np.diag([1.0, 0.5]), state, lr=1.0, ns_steps=20)[0]
    >>> bool(np.allclose(step, np.eye(2), atol=0.4))
    True
    """
    if parameter.ndim != 2:
        raise ShapeError(
            f"Muon takes matrices, not a parameter of shape {parameter.shape}: give it, "
            "and embeddings and the output layer, to an AdamW beside it"
        )
    average = momentum * state["momentum_buffer"] + (1 - momentum) * gradient
    direction = momentum * average + (1 - momentum) * gradient if nesterov else average
    direction = orthogonalized(direction, ns_coefficients, eps, ns_steps)
    rows, columns = parameter.shape
    ratio = math.sqrt(max(1.0, rows / max(columns, 1)))
    if adjust_lr_fn == "match_rms_adamw":
        ratio = 0.2 * math.sqrt(max(rows, columns))
    if weight_decay:
        parameter = weak(1 - lr * weight_decay, parameter) * parameter
    return parameter - weak(lr * ratio, parameter) * direction, {"momentum_buffer": average}


def orthogonalized(
    matrix: Any, coefficients: tuple[float, float, float], eps: float, steps: int
) -> Any:
    """U V^T, nearly, of a matrix U S V^T (M, N), by a Newton-Schulz iteration.

    Each step maps every singular value s to a*s + b*s**3 + c*s**5. With Muon's coefficients, five
    steps bring singular values above 0.01 to between 0.68 and 1.14, which is close enough.

    >>> matrix = np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]])
    >>> orthogonalized(matrix, (1.5, -0.5, 0.0), 1e-7, steps=10).round(3)
    array([[1., 0.],
           [0., 1.],
           [0., 0.]])
    """
    a, b, c = coefficients
    rows, columns = matrix.shape
    # (M, N) with M <= N: the smaller of the two products with its own transpose.
    x = matrix.T if rows > columns else matrix
    # Singular values are at most the norm.
    x = x / np.maximum(np.linalg.norm(x), eps)
    for _ in range(steps):
        gram = x @ x.T  # (M, M)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if rows > columns else x


class Muon(Optimizer):
    """Muon: for the matrices of hidden layers, orthogonalized steps; see `muon_rule`.

    Args:
        parameters: Tensors (M, N) that require a gradient, or groups of them; see `Optimizer`.
            Use AdamW for all that are not matrices, and for embeddings and the output layer.
        lr: the learning rate, by default 0.001.
        weight_decay: decoupled: each step subtracts lr * weight_decay * parameter; by default 0.1.
        momentum: the decay of the average of the gradient, in [0, 1); by default 0.95.
        nesterov: mix the gradient into its average once more; by default True.
        ns_coefficients, ns_steps: of the iteration; see `orthogonalized`.
        eps: the smallest norm that a gradient is divided by, by default 1e-7.
        adjust_lr_fn: how the step scales with the shape (M, N): "original", the default, by
            sqrt(M/N) if M > N; "match_rms_adamw", to the size of AdamW's steps, whose lr and
            weight_decay can then be used.

    Raises:
        GradientError, TypeError: as `Optimizer` does.
        ShapeError: if a parameter is not a matrix.
        ValueError: if a setting is out of its range.

    >>> from minigrad import Tensor
    >>> weight, bias = Tensor(np.eye(2), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    >>> Muon([weight, bias])
    Traceback (most recent call last):
        ...
    minigrad.errors.ShapeError: Muon takes matrices, not a parameter of shape (2,): ...
    """

    rule = staticmethod(muon_rule)
    elementwise = False
