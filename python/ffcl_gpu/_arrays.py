"""Arrays as the engine takes them: rows of uint8 (images) or of float32 (features)."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_rows(x: Any) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Rows `[n, numbers]`, and the shape `(channels, height, width)` of one.

    `x` is `[n, features]`, `[n, height, width]` or `[n, height, width, channels]`. uint8 stays so: images, whose bytes are numbers from 0 to
    1. All else becomes float32: features. An array of either type that is C-contiguous is not copied.
    """
    x = np.asarray(x)
    if x.dtype == object or x.dtype.kind not in "biuf":
        raise ValueError(f"X has numbers of the type {x.dtype}; give uint8, or numbers that can be float32")
    if x.ndim not in (2, 3, 4):
        raise ValueError(f"X has the shape {x.shape}; give [n, features], [n, height, width] or [n, height, width, channels]")
    if x.ndim == 4 and x.shape[3] not in (1, 3):
        raise ValueError(f"X has the shape {x.shape}; images have 1 or 3 channels, behind height and width")
    if 0 in x.shape:
        raise ValueError(f"X has the shape {x.shape}: nothing to learn from")
    if x.ndim == 4:
        x = np.moveaxis(x, 3, 1)
        shape = tuple(x.shape[1:])
    else:
        shape = (1, 1, x.shape[1]) if x.ndim == 2 else (1, *x.shape[1:])
        if x.ndim == 2 and x.dtype == np.uint8:
            shape = picture_shape(x.shape[1])
    if x.dtype != np.uint8:
        with np.errstate(over="ignore"):
            x = x.astype(np.float32, copy=False)
    return x.reshape(len(x), -1), shape  # type: ignore[return-value]


def picture_shape(pixels: int) -> tuple[int, int, int]:
    """Rows of bytes are squares where they can be, in grey or of three colours, as the program takes them."""
    side = int(round(pixels**0.5))
    if side * side == pixels:
        return 1, side, side
    side = int(round((pixels / 3) ** 0.5))
    return (3, side, side) if 3 * side * side == pixels else (1, 1, pixels)


def check_finite(rows: np.ndarray) -> None:
    """Refuses numbers that are not finite, and names the first."""
    if rows.dtype == np.uint8 or np.isfinite(rows.sum(dtype=np.float64)):
        return
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"X contains NaN or infinity: {rows[row, column]} in row {row}, column {column}, counted from 0 "
            "(or a number too large for float32)"
        )
