"""NumPy functions that are not supported on Tensors, each with what to use instead."""

from __future__ import annotations

import numpy as np

from minigrad.dispatch import refusals

refusals |= {
    np.median: "use np.sort and pick the middle",
    np.unique: "use np.unique(t.data); it carries no gradient",
    np.average: "use np.sum(t * weights) / np.sum(weights)",
    np.cumprod: "use np.exp(np.cumsum(np.log(t))) for positive values",
    np.nan_to_num: "use np.where(np.isnan(t), 0, t)",
    np.left_shift: "write t * 2**n",
    np.right_shift: "write t // 2**n",
    np.add.at: "a + minigrad.vjp(lambda a: a[index], a)[1](v)[0] is a with v added at index",
    np.bincount: "minigrad.vjp(lambda a: a[index], np.zeros(n))[1](weights)[0] sums them by index",
    np.put_along_axis: "assign by an index instead: x[index] = v",
    np.copyto: "write dst[...] = src; for np.full(shape, t), np.broadcast_to(t, shape)",
    np.save: "use minigrad.save, or np.save(file, t.data)",
}
