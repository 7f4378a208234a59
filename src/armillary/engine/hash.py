"""Random draws without a state: a counter-based integer hash of (seed, component, item, stream).

In:  four integers that name a draw. Out: 64 bits, a float in (0, 1), or a value by a tabulated inverse distribution.
Whoever asks for draw 7 of a component gets the same value in any order, on any worker, under any policy.
Philox 4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; on 32-bit words nothing wraps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import njit
from armillary.errors import InputError

FloatArray = npt.NDArray[np.float64]

# int64 throughout: the kernel would turn mixed signs into floats. Products of 32-bit words are taken in 16-bit halves.
_WORD: Final = 0xFFFFFFFF
_MULTIPLY_0: Final = 0xD2511F53
_MULTIPLY_1: Final = 0xCD9E8D57
_WEYL_0: Final = 0x9E3779B9
_WEYL_1: Final = 0xBB67AE85
_ROUNDS: Final = 10

# A table has, on either side of the median, 40 octaves of the tail probability with 64 cells each.
OCTAVES: Final = 40
CELLS: Final = 64
_SIDE: Final = OCTAVES * CELLS + 1


@njit()
def _product(a: int, b: int) -> tuple[int, int]:
    """High and low 32 bits of the product of two 32-bit words."""
    low = (a & 0xFFFF) * b
    high = (a >> 16) * b + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


@njit()
def philox(c0: int, c1: int, c2: int, c3: int, k0: int, k1: int) -> tuple[int, int, int, int]:
    """Philox 4x32-10: four 32-bit words from a counter of four words and a key of two."""
    for _ in range(_ROUNDS):
        high_0, low_0 = _product(_MULTIPLY_0, c0)
        high_1, low_1 = _product(_MULTIPLY_1, c2)
        c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
        k0 = (k0 + _WEYL_0) & _WORD
        k1 = (k1 + _WEYL_1) & _WORD
    return c0, c1, c2, c3


@njit()
def uniform(seed: int, component: int, item: int, stream: int) -> float:
    """A float in (0, 1), 52 bits, never 0 or 1.

    Args:
        seed: of the run, 0 to 2**63 - 1.
        component: who draws, 0 to 2**32 - 1 (`component_id` makes one from a name).
        item: the how manieth request, function, ..., 0 to 2**63 - 1.
        stream: which draw of the item (size, duration, ...), 0 to 2**32 - 1.
    """
    word_0, word_1, _, _ = philox(item & _WORD, item >> 32, component, stream, seed & _WORD, seed >> 32)
    return ((word_0 << 20) + (word_1 >> 12) + 0.5) * 2.0**-52


@njit()
def _fill(values: FloatArray, seed: int, component: int, first: int, stream: int) -> None:
    for place in range(len(values)):
        values[place] = uniform(seed, component, first + place, stream)


def uniforms(count: int, seed: int, component: int, first: int, stream: int) -> FloatArray:
    """Return `uniform` of the items `first` to `first + count - 1`, shape (count,)."""
    values = np.zeros(count)
    _fill(values, seed, component, first, stream)
    return values


@njit()
def below(bound: int, seed: int, component: int, item: int, stream: int) -> int:
    """A whole number in 0 .. bound - 1, bound at most 2**31; the bias is below bound / 2**52."""
    return int(uniform(seed, component, item, stream) * bound)


def component_id(name: str) -> int:
    """Return the number of a named component: the first 32 bits of the SHA-256 of its name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def tabulate(quantile: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the table of a distribution from its inverse, for `tabulated`.

    Cells grow finer towards both tails (64 to an octave of the tail probability, down to 2**-41), so that the tails
    keep their weight: an exponential has its mean within 2e-5 and its 99.9999 % quantile within 1e-4.

    Args:
        quantile: inverse distribution function, from (0, 1) to values, ascending.

    Returns:
        Shape (2 * (OCTAVES * CELLS + 1),): lower half by ascending probability from the tail, then the upper half.

    Raises:
        InputError: a value that is not finite, or values that descend.
    """
    octave, cell = np.divmod(np.arange(_SIDE), CELLS)
    tail = np.ldexp(0.5 - 0.25 * cell / CELLS, -octave)
    lower, upper = np.asarray(quantile(tail), np.float64), np.asarray(quantile(1.0 - tail), np.float64)
    if not (np.all(np.isfinite(lower)) and np.all(np.isfinite(upper))):
        raise InputError("an inverse distribution gives values that are not finite", hint="bound its tails")
    if np.any(np.diff(lower) > 0) or np.any(np.diff(upper) < 0):
        raise InputError("an inverse distribution descends", hint="values must rise with probability")
    return np.concatenate([lower, upper])


@njit()
def tabulated(table: FloatArray, probability: float) -> float:
    """Value at `probability` in (0, 1), linear within a cell of `tabulate`."""
    side = 0
    tail = probability
    if probability > 0.5:
        side = _SIDE
        tail = 1.0 - probability
    octave = 0
    while tail <= 0.25 and octave < OCTAVES - 1:
        tail *= 2.0
        octave += 1
    place = min((0.5 - tail) * (4.0 * CELLS), float(CELLS))
    cell = min(int(place), CELLS - 1)
    at = side + octave * CELLS + cell
    share = place - cell
    return float(table[at] * (1.0 - share) + table[at + 1] * share)
