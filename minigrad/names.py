"""Names that other libraries (mostly PyTorch) have and minigrad does not: what to write instead."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minigrad.dispatch import implementations
from minigrad.errors import MissingError, UnsupportedError

OF_TENSORS = {
    "view": "t.reshape(...)",
    "view_as": "t.reshape(other.shape)",
    "contiguous": "t itself",
    "unsqueeze": "np.expand_dims(t, axis), or t[:, None]",
    "permute": "t.transpose(1, 0, 2)",
    "t": "t.T",
    "expand": "np.broadcast_to(t, shape)",
    "expand_as": "np.broadcast_to(t, other.shape)",
    "repeat_interleave": "np.repeat(t, repeats, axis)",
    "numpy": "t.data, the array itself",
    "cpu": "t itself: there is only the CPU",
    "cuda": "t itself: there is only the CPU",
    "to": "t.astype(dtype); there is only the CPU",
    "type": "t.astype(dtype), or t.dtype",
    "type_as": "t.astype(other.dtype)",
    "float": "t.astype(np.float32)",
    "double": "t.astype(np.float64)",
    "half": "t.astype(np.float16)",
    "long": "t.astype(np.int64)",
    "int": "t.astype(np.int32)",
    "bool": "t.astype(bool)",
    "clone": "t.copy()",
    "numel": "t.size",
    "nelement": "t.size",
    "dim": "t.ndim",
    "add": "t + x",
    "sub": "t - x",
    "mul": "t * x",
    "div": "t / x",
    "neg": "-t",
    "pow": "t**x",
    "mm": "t @ x",
    "bmm": "t @ x",
    "matmul": "t @ x",
    "eq": "t == x",
    "ne": "t != x",
    "lt": "t < x",
    "le": "t <= x",
    "gt": "t > x",
    "ge": "t >= x",
    "clamp": "np.clip(t, low, high)",
    "norm": "np.linalg.norm(t)",
    "gather": "np.take_along_axis(t, indices, axis)",
    "index_select": "np.take(t, indices, axis)",
    "masked_fill": "np.where(mask, value, t)",
    "masked_select": "t[mask]",
    "chunk": "np.split(t, pieces, axis)",
    "topk": "np.argsort(-t.data) for the places, and t[places]",
    "softmax": "minigrad.functional.softmax(t, axis)",
    "log_softmax": "minigrad.functional.log_softmax(t, axis)",
    "logsumexp": "minigrad.functional.logsumexp(t, axis)",
    "erf": "minigrad.functional.erf(t)",
    "is_leaf": "nothing: a leaf is what Tensor() made",
    "grad_fn": "minigrad.explain(t), which shows how it was computed",
    "retain_grad": "minigrad.hook(t, function), which is called with the cotangent",
    "register_hook": "minigrad.hook(t, function)",
    "requires_grad_": "t.requires_grad = True",
    "detach_": "t.detach()",
    "zero_": "t[...] = 0",
    "fill_": "t[...] = value",
    "copy_": "t[...] = other",
    "add_": "t += x",
    "sub_": "t -= x",
    "mul_": "t *= x",
    "div_": "t /= x",
    "scatter_": "t[indices] = values",
}

OF_OTHERS = {
    **dict.fromkeys(("to", "cuda", "cpu"), "nothing: there is only the CPU"),
    **dict.fromkeys(
        ("float", "double", "half"),
        "nothing: parameters are float32, and a result has the dtype that NumPy gives it",
    ),
    **dict.fromkeys(
        ("register_buffer", "register_parameter", "add_module"),
        "`self.name = ...`: a Tensor that requires a gradient is a parameter, any other a buffer",
    ),
    "named_tensors": "named_parameters() and named_buffers()",
    "share_memory": "nothing: there is one process",
    "compile": "minigrad.compile(model)",
    # of optimisers and schedules
    "state": "states: a dict for each of parameters, in their order",
    **dict.fromkeys(
        ("get_last_lr", "get_lr", "print_lr"), '[x["lr"] for x in optimizer.param_groups]'
    ),
    "base_lrs": '[x["initial_lr"] for x in optimizer.param_groups]',
}


OF_PACKAGES = {
    "Parameter": "Tensor(array, requires_grad=True), put into an attribute of a module",
    "Conv3d": "nn.Conv2d: there are images and signals only",
    "BCELoss": "nn.BCEWithLogitsLoss, without the sigmoid before it",
    "HuberLoss": "nn.SmoothL1Loss(beta=...)",
    "binary_cross_entropy": "F.binary_cross_entropy_with_logits, without the sigmoid before it",
    "huber_loss": "F.smooth_l1_loss(x, y, beta)",
    "one_hot": "np.eye(classes)[labels]",
    "pad": "np.pad",
    "utils": "optim.clip_grad_norm_ and its like: they are in optim",
    "functional": "minigrad.functional",
    "ExponentialLR": "optim.LambdaLR(optimizer, lambda step: gamma**step)",
    "MultiStepLR": "optim.LambdaLR(optimizer, function of the step), as for all other schedules",
    "lr_scheduler": "optim.StepLR and its like: schedules are in optim itself",
    "DataLoader": "data.BatchLoader(x, y, batch_size=32)",
    "TensorDataset": "data.ArrayDataset(x, y)",
    "random_split": "data.split(dataset, held_out)",
    "tensor": "minigrad.Tensor(data)",
    **dict.fromkeys(("tanh", "exp", "log", "maximum", "where", "stack", "concatenate"), "np.{}(t)"),
}


def of_package(package: str) -> Any:
    """A module-level `__getattr__` that says what to write for names that PyTorch has."""

    def absent_name(name: str) -> NoReturn:
        if name in OF_PACKAGES:
            raise MissingError(f"{package} has no {name}: write {OF_PACKAGES[name].format(name)}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)

    return absent_name


def absent(advice: str) -> Any:
    """A special method that raises: for operators that Python looks up on the class."""

    def refuse(self: Any, *_: Any) -> NoReturn:
        kind = type(self).__name__
        raise UnsupportedError(
            f"this operator or function of Python's takes no {kind}: write {advice}"
        )

    return refuse


def missing(owner: Any, name: str) -> NoReturn:
    """`__getattr__` of Tensors and modules, called for attributes that they lack.

    Raises:
        AttributeError: always; a MissingError, with advice, if the name is known.
    """
    if name[:2] == "__":  # Python and NumPy often probe for special methods: keep it cheap
        raise AttributeError(name)
    advice = (OF_TENSORS if hasattr(type(owner), "ndim") else OF_OTHERS).get(name)
    function = getattr(np, name, None)
    if advice is None and hasattr(type(owner), "ndim"):
        if function in implementations:
            advice = f"np.{name}(t)"
        elif hasattr(np.ndarray, name):
            advice = f"t.data.{name}, of the plain array"
    if advice is None:
        kind = type(owner).__name__
        raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=owner)
    raise MissingError(f"a {type(owner).__name__} has no .{name}: write {advice}")
