"""Samples of every op: the inputs and attributes it is tried with."""

from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.dispatch import built_in
from minigrad.graph import Node, toposort
from minigrad.ops.base import Domain, Op, registry
from tests import calls

Shape = tuple[int, ...]

# The ops that `import minigrad` defines. Modules that are imported on demand have others, with
# tests of their own.
OWN = {name: op for name, op in registry.items() if name in built_in}

# Every pattern of broadcasting, on either side; 0-d; empty.
SHAPES: dict[int, list[tuple[Shape, ...]]] = {
    1: [((),), ((3,),), ((2, 3),), ((2, 1, 3),), ((0,),), ((2, 0),)],
    2: [
        *[((), ()), ((3,), (3,)), ((0,), (0,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 3), ())],
        *[((), (2, 3)), ((2, 1), (1, 3)), ((2, 1, 3), (4, 1)), ((0,), (1,)), ((2, 1), (2, 0))],
    ],
    3: [((), (), ()), ((3,), (2, 3), (2, 1)), ((2, 1), (), (1, 3)), ((0,), (1,), ())],
}


def positive_definite(x: np.ndarray) -> np.ndarray:
    return x @ x.swapaxes(-1, -2) + np.eye(x.shape[-1])


def of_positive_eigenvalues(x: np.ndarray) -> np.ndarray:
    """One that is not symmetric, so that a rule is seen to transpose what it has to: a positive
    definite matrix times a positive diagonal one."""
    return positive_definite(x) * np.arange(1, x.shape[-1] + 1)


# What makes of the first input, a matrix or a stack of them, one that the op takes.
MATRICES = {
    "cholesky": positive_definite,
    "eig": of_positive_eigenvalues,
    "inv": of_positive_eigenvalues,
    "slogdet": of_positive_eigenvalues,
}


class Sample(NamedTuple):
    """A shape for each float input, an array for any other; and the attributes."""

    op: Op
    inputs: list[Any]
    attributes: dict[str, Any]

    def arrays(self, seed: int = 0) -> list[np.ndarray]:
        """The inputs, drawn inside the op's domains."""
        rng = np.random.default_rng(seed)
        domains = [*self.op.domains, *[self.op.domains[-1]] * len(self.inputs)]
        found = [
            draw(domain, x, rng) if isinstance(x, tuple) else x
            for domain, x in zip(domains, self.inputs, strict=False)
        ]
        if self.op.name in MATRICES:
            found[0] = MATRICES[self.op.name](found[0])
        return found

    @property
    def shapes(self) -> list[Shape]:
        return [x if isinstance(x, tuple) else np.shape(x) for x in self.inputs]


def draw(domain: Domain, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Values in the domain, and a tenth away from where there is no derivative."""
    if domain.dtype is not float:
        return rng.integers(int(domain.low), int(domain.high), shape).astype(domain.dtype)
    values = rng.uniform(domain.low, domain.high, shape)
    for point in domain.away:
        near = np.abs(values - point) < 0.1
        values = np.where(near, point + np.where(values < point, -0.1, 0.1), values)
    return np.asarray(values)


def applied(table: calls.Table) -> list[Node]:
    """Every node that the calls record, and that their gradients do."""
    nodes = []
    for f, arrays in table.values():
        xs = [Tensor(x, requires_grad=True) for x in arrays]
        y = f(*xs)
        if y.requires_grad:
            y.backward(Tensor(np.ones(y.shape), requires_grad=True), create_graph=True)
        roots = [y.node, *(x.grad.node for x in xs if x.grad is not None)]
        nodes += toposort(roots, follow=lambda node: True)
    return [node for node in nodes if node.op is not None]


def samples() -> dict[str, Sample]:
    """Elementwise ops over all shapes; every other as the calls of `tests.calls` apply it."""
    found: dict[str, Sample] = {}
    for op in OWN.values():
        if op.family in ("unary", "binary"):
            for shapes in SHAPES[len(op.domains)]:
                found[f"{op.name} {shapes}"] = Sample(op, list(shapes), {})
    for node in applied(calls.NUMPY | calls.OWN | calls.CONSTANT):
        assert isinstance(node.op, Op) and node.attributes is not None
        op, attributes = node.op, node.attributes
        if op.family not in ("unary", "binary"):
            values = [x.value if isinstance(x, Node) else np.asarray(x) for x in node.inputs]
            inputs = [x.shape if x.dtype.kind == "f" else x for x in values]
            sample = Sample(op, inputs, attributes)
            kinds = "".join(x.dtype.kind for x in values)
            found.setdefault(f"{op.name} {sample.shapes} {kinds} {attributes}", sample)
    return found


SAMPLES = samples()


def float_positions(arrays: list[np.ndarray]) -> list[int]:
    return [k for k, x in enumerate(arrays) if x.dtype.kind == "f"]
