"""NumPy functions that are not supported on Tensors, each with what to use instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.dispatch import refusals

FILES: Any = (np.save, np.savez, np.savez_compressed, np.savetxt)
DATES: Any = (np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string, np.isnat)

OTHERS: dict[Any, str] = {
    **dict.fromkeys(FILES, "use minigrad.save, or np.save(file, t.data) and its like"),
    **dict.fromkeys(DATES, "Tensors hold numbers, and no dates: call it on an array of dates"),
    np.sort_complex: "complex numbers have no order that their derivatives follow: use np.sort of "
    "np.real(t) or np.abs(t)",
}
refusals.update(OTHERS)
