"""Quantiles of whole numbers in bounded memory: counts in buckets of constant relative width.

In:  values from 0 to 2**62 - 1, one by one (`sketch_add`, in handlers) or sketches of parts of a run (`merged`).
Out: counts, shape (BUCKETS,), int64; `quantile` within a relative error of `RELATIVE_ERROR`, exact below 128.
Counts are integers, so merging is exact and in any order: one worker or four give the same sketch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import njit
from armillary.errors import InputError

IntArray = npt.NDArray[np.int64]

_BITS: Final = 6  # 64 buckets to an octave
BUCKETS: Final = (63 - _BITS) * 2**_BITS + 2**_BITS
RELATIVE_ERROR: Final = 2.0 ** -(_BITS + 1)


def new_sketch(*shape: int) -> IntArray:
    """Return empty sketches, shape (*shape, BUCKETS)."""
    return np.zeros((*shape, BUCKETS), np.int64)


@njit()
def bucket(value: int) -> int:
    """Bucket of a value: 2**6 to an octave, of width 1 below 2**7."""
    shift = 0
    for step in (32, 16, 8, 4, 2, 1):
        if (value >> (shift + step)) >= 2**_BITS:
            shift += step
    return (shift << _BITS) + (value >> shift)


@njit()
def sketch_add(counts: IntArray, value: int) -> None:
    """Count one value, 0 to 2**62 - 1; a negative one counts as 0."""
    counts[bucket(max(value, 0))] += 1


def merged(sketches: Sequence[IntArray]) -> IntArray:
    """Return the sketch of all values of all `sketches`."""
    total: IntArray = np.sum(np.stack(sketches), axis=0, dtype=np.int64)
    return total


def bucket_ends(buckets: npt.ArrayLike) -> tuple[IntArray, IntArray]:
    """Return the smallest and the largest value of each bucket."""
    index = np.asarray(buckets, np.int64)
    shift = np.maximum((index >> _BITS) - 1, 0)
    low = (index - (shift << _BITS)) << shift
    return low, low + (np.int64(1) << shift) - 1


def quantile(counts: IntArray, level: float) -> float:
    """Return the smallest value that at least `level` of all values do not exceed, within `RELATIVE_ERROR`.

    Args:
        counts: one sketch, shape (BUCKETS,).
        level: 0 to 1.

    Raises:
        InputError: an empty sketch, or a level outside 0..1.
    """
    total = int(counts.sum())
    if total == 0 or not 0.0 <= level <= 1.0:
        raise InputError(
            f"no quantile {level!r} of {total} values", hint="use a level of 0 to 1 and at least one value"
        )
    rank = max(1, math.ceil(level * total))
    low, high = bucket_ends(int(np.searchsorted(np.cumsum(counts), rank)))
    return 0.5 * (float(low) + float(high))
