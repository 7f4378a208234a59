"""Time of a matrix product on one device.

In:  shapes (m, n, k) as arrays, a `Device`.
Out: seconds, FLOP.
Model: (1) tiles of r x 128 outputs, r = m within 16 to 128, are dealt out to the units in waves;
       (2) compute_s = (tiles / units + tail) r 128 2 k / (peak of a unit x efficiency): `tail` waves are lost at the
           end, since tiles of one product do not end together (split along k, the last wave is seldom a whole one);
       (3) memory_s = (m k + k n + m n) element bytes / reached read rate; (4) the longer of both.
The gap between kernels is not part of it: whoever knows the sequence of kernels adds it once for each.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.costs.device import Device

FloatArray = npt.NDArray[np.float64]

TILE = 128  # outputs a side
LEAST_ROWS = 16  # rows that a matrix instruction takes whether or not they are there


def gemm_flop(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
    """Return the operations of C[m, n] = A[m, k] @ B[k, n]: a multiplication and a sum each."""
    return 2.0 * np.asarray(m, np.float64) * np.asarray(n, np.float64) * np.asarray(k, np.float64)


def gemm_compute_s(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, device: Device) -> FloatArray:
    """Return the seconds that the units of `device` compute (equations 1 and 2); arguments as of `gemm_s`."""
    m, n, k = (np.asarray(size, np.float64) for size in (m, n, k))
    rows = np.clip(m, LEAST_ROWS, TILE)
    tiles = np.maximum(m, LEAST_ROWS) / rows * np.maximum(n, TILE) / TILE
    tile_s = gemm_flop(rows, TILE, k) / (device.unit_flop_per_s * device.gemm_efficiency)
    seconds: FloatArray = (tiles / device.units + device.gemm_tail) * tile_s
    return seconds


def gemm_bytes(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, element_bytes: float) -> FloatArray:
    """Return the bytes of A, B and C, each once."""
    m, n, k = (np.asarray(size, np.float64) for size in (m, n, k))
    moved: FloatArray = (m * k + k * n + m * n) * element_bytes
    return moved


def gemm_s(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, device: Device) -> FloatArray:
    """Return the seconds that `device` needs for C[m, n] = A[m, k] @ B[k, n], no launch included (equation 4).

    Args:
        m, n, k: matrix dimensions, elements, positive; any shapes that broadcast.
        device: rates, units and efficiencies.
    """
    memory_s = gemm_bytes(m, n, k, device.element_bytes) / device.read_bytes_per_s
    longer: FloatArray = np.maximum(gemm_compute_s(m, n, k, device), memory_s)
    return longer
