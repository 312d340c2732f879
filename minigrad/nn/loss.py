"""Losses as modules, called with predictions and targets; see `minigrad.functional`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from minigrad import functional as F
from minigrad.arguments import NOT_NEGATIVE, Probability, one_of
from minigrad.nn.function import FunctionModule
from minigrad.tensor import Tensor

REDUCTION = one_of("mean", "sum", "none")


@dataclass(eq=False, repr=False)
class Loss(FunctionModule):
    """Base of losses. Weights of losses are buffers."""

    def __post_init__(self) -> None:
        for name in "weight", "pos_weight":
            value = self.settings().get(name)
            if value is not None and not isinstance(value, Tensor):
                setattr(self, name, Tensor(value))


@dataclass(eq=False, repr=False)
class CrossEntropyLoss(Loss):
    """-log softmax(logits) at the target classes; see `functional.cross_entropy`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> CrossEntropyLoss()(np.array([[0.0, 0.0]]), np.array([1])).round(4)
    np.float64(0.6931)
    >>> CrossEntropyLoss(label_smoothing=0.1)
    CrossEntropyLoss(ignore_index=-100, reduction='mean', label_smoothing=0.1)
    """

    function = staticmethod(F.cross_entropy)
    weight: Any = None
    ignore_index: int = -100
    reduction: Annotated[str, REDUCTION] = "mean"
    label_smoothing: Probability = 0.0


@dataclass(eq=False, repr=False)
class NLLLoss(Loss):
    """-log_probabilities at the target classes; see `functional.nll_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(NLLLoss()(np.array([[-1.0, -2.0]]), np.array([1])))
    2.0
    """

    function = staticmethod(F.nll_loss)
    weight: Any = None
    ignore_index: int = -100
    reduction: Annotated[str, REDUCTION] = "mean"


@dataclass(eq=False, repr=False)
class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy; see `functional.binary_cross_entropy_with_logits`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(BCEWithLogitsLoss()(np.array([1000.0]), np.array([0.0])))
    1000.0
    """

    function = staticmethod(F.binary_cross_entropy_with_logits)
    weight: Any = None
    reduction: Annotated[str, REDUCTION] = "mean"
    pos_weight: Any = None


@dataclass(eq=False, repr=False)
class KLDivLoss(Loss):
    """Kullback-Leibler divergence from target probabilities; see `functional.kl_div`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(KLDivLoss("batchmean")(np.array([[0.0, -np.inf]]), np.array([[1.0, 0.0]])))
    0.0
    """

    function = staticmethod(F.kl_div)
    reduction: Annotated[str, one_of("mean", "batchmean", "sum", "none")] = "mean"
    log_target: bool = False


@dataclass(eq=False, repr=False)
class HingeLoss(Loss):
    """max(0, 1 - target*scores), for targets -1 and 1; see `functional.hinge_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(HingeLoss()(np.array([0.5, 3.0]), np.array([1.0, 1.0])))
    0.25
    """

    function = staticmethod(F.hinge_loss)
    reduction: Annotated[str, REDUCTION] = "mean"


@dataclass(eq=False, repr=False)
class MSELoss(Loss):
    """(x - target)**2; see `functional.mse_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(MSELoss()(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    2.0
    """

    function = staticmethod(F.mse_loss)
    reduction: Annotated[str, REDUCTION] = "mean"


@dataclass(eq=False, repr=False)
class L1Loss(Loss):
    """abs(x - target); see `functional.l1_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(L1Loss()(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    1.0
    """

    function = staticmethod(F.l1_loss)
    reduction: Annotated[str, REDUCTION] = "mean"


@dataclass(eq=False, repr=False)
class SmoothL1Loss(Loss):
    """abs(x - target), but a parabola near 0; see `functional.smooth_l1_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> float(SmoothL1Loss()(np.array([1.0, 2.0]), np.array([1.0, 4.0])))
    0.75
    """

    function = staticmethod(F.smooth_l1_loss)
    reduction: Annotated[str, REDUCTION] = "mean"
    beta: Annotated[float, NOT_NEGATIVE] = 1.0


@dataclass(eq=False, repr=False)
class CosineSimilarity(FunctionModule):
    """The cosine of the angle between vectors along an axis; see `functional.cosine_similarity`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> CosineSimilarity()(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))
    array([0.])
    """

    function = staticmethod(F.cosine_similarity)
    axis: int = 1
    eps: float = 1e-8


@dataclass(eq=False, repr=False)
class CosineEmbeddingLoss(Loss):
    """1 - cosine for pairs that should be similar; see `functional.cosine_embedding_loss`.

    Raises:
        ArgumentError: when made, if a setting is of another type or out of its range.
        ShapeError: when called, if the shapes do not match.

    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> float(CosineEmbeddingLoss()(x, x, np.array([1, -1])))
    0.5
    """

    function = staticmethod(F.cosine_embedding_loss)
    margin: float = 0.0
    reduction: Annotated[str, REDUCTION] = "mean"
