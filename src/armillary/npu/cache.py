"""Which weights stay on the chip from one inference to the next.

In:  a `Network` with placements, shapes and residency, a `Chip`.
Out: `Caching`: the layers whose weights are cached, and the bytes set aside for them.
Activations go first: the cache gets what the largest set of live activations and working tiles leaves.
Weights of a layer are cached whole, in network order, first fit; the others are streamed at every inference. Tables of
which an inference reads a few rows come last: they take much room and save little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.npu.reside import Residency, double_buffered, neighbourhood, usable_bytes


@dataclass(frozen=True, slots=True)
class Caching:
    """Cached weights, shape (layers,), and the bytes of the scratchpad set aside for them."""

    cached: npt.NDArray[np.bool_]
    bytes: int


def cache(
    origin: IntArray, placements: tuple[Placement, ...], shapes: Geometry, residency: Residency, chip: Chip
) -> Caching:
    """Fill the parameter cache of `chip` (nothing is cached where it has none); `origin` tells stripes of one layer."""
    nothing = Caching(np.zeros(len(shapes), np.bool_), 0)
    if chip.parameter_cache is None or not len(shapes):
        return nothing
    on_chip = np.array([placement.engine != Engine.HOST for placement in placements], np.bool_)
    # The stripes of a layer share its weights: they count once, at the first.
    first = np.unique(origin, return_index=True)[1]
    weights = np.zeros(len(shapes), np.int64)
    weights[first] = np.where(on_chip, shapes.constant_bytes, 0)[first]
    size, limit = usable_bytes(chip), int(chip.parameter_cache.size.value)
    # If all weights fit, none needs tiles to be streamed through.
    without_streaming = min(limit, size - int((residency.live_bytes + neighbourhood(residency.smallest_bytes)).max()))
    if int(weights.sum()) <= without_streaming:
        return Caching(weights[first][_ranks(origin)] > 0, int(weights.sum()))
    streaming = neighbourhood(_streaming_room(shapes, np.where(on_chip, shapes.weight_bytes, 0), residency, chip))
    capacity = min(limit, size - int((residency.live_bytes + streaming).max()))
    cached = np.zeros(len(shapes), np.bool_)
    used = 0
    order = np.flatnonzero(weights)
    for index in order[np.argsort(shapes.table_bytes[order] > shapes.row_bytes[order], kind="stable")].tolist():
        if used + int(weights[index]) <= capacity:
            cached[index] = True
            used += int(weights[index])
    return Caching(cached[first][_ranks(origin)], used)


def _ranks(origin: IntArray) -> IntArray:
    """Return the position of each layer's origin among all origins, shape (layers,)."""
    return np.unique(origin, return_inverse=True)[1]


def _streaming_room(shapes: Geometry, weights: IntArray, residency: Residency, chip: Chip) -> IntArray:
    """Return the room for weights of one granule of output channels, double buffered, shape (layers,)."""
    granule = np.minimum(shapes.outputs, chip.array.granules.outputs)
    tiles = np.ceil(weights * (granule / shapes.outputs)).astype(np.int64)
    return np.maximum(
        double_buffered(tiles, np.zeros_like(tiles), int(residency.store_bytes.max())), residency.smallest_bytes
    )
