"""Which streamed weights stay in the scratchpad from the first stripe of a layer to its last.

In:  the stripes of a network, shapes, placements, residency and caching, a `Chip`.
Out: `Keeping`: the layers that find their weights loaded, how long loaded weights are held, and the room this takes.
Activations and cached weights go first; what they leave is given in program order, first fit, to layers of which all
weights fit. A layer whose weights are not kept streams them again at every stripe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.cache import Caching
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.npu.reside import Residency, layer_room, neighbourhood, row_room


@dataclass(frozen=True, slots=True)
class Keeping:
    """Weights held from stripe to stripe; every array has shape (layers,)."""

    found: npt.NDArray[np.bool_]  # an earlier stripe loaded the weights of this one
    until: IntArray  # last layer that uses the weights which this layer loads: itself, or its last stripe
    bytes: IntArray  # held while the layer runs

    @property
    def keeps(self) -> npt.NDArray[np.bool_]:
        """Mark the layers that load weights for later stripes."""
        return self.until > np.arange(len(self.until))


def keep(
    origin: IntArray,
    placements: tuple[Placement, ...],
    shapes: Geometry,
    residency: Residency,
    caching: Caching,
    chip: Chip,
) -> Keeping:
    """Choose the weights that stay between the stripes of a layer.

    Args:
        origin: whole layer of which each layer is a stripe, shape (layers,).
        placements: engines; layers on the host keep nothing.
        shapes: bytes of weights.
        residency: activations that stay.
        caching: weights that stay for good.
        chip: the scratchpad.
    """
    count = len(shapes)
    found, until, held = np.zeros(count, np.bool_), np.arange(count), np.zeros(count, np.int64)
    if chip.streams_weights or chip.weight_buffer_bytes is not None:
        return Keeping(found, until, held)  # weights of tiles do not lie in the scratchpad
    first, last = first_and_last(origin)
    striped = np.flatnonzero((first == np.arange(count)) & (last > first) & (shapes.weight_bytes > 0) & ~caching.cached)
    if not len(striped):
        return Keeping(found, until, held)
    on_chip = np.array([placement.engine != Engine.HOST for placement in placements], np.bool_)
    # Weights that are loaded once come with all input channels, so their tiles may need more room than the smallest.
    room = np.maximum(layer_room(shapes, on_chip, chip), neighbourhood(np.where(on_chip, row_room(shapes), 0)))
    left = int(chip.scratchpad.size.value) - caching.bytes - residency.live_bytes - room
    linger = 0 if chip.vector.shares_array else 1
    for index in striped.tolist():
        weights = int(shapes.weight_bytes[index])
        span = slice(index, int(last[index]) + 1 + linger)
        if int(left[span].min()) >= weights:
            left[span] -= weights
            held[span] += weights
            until[index] = last[index]
            found[(origin == origin[index]) & (np.arange(count) != index)] = True
    return Keeping(found, until, held)


def first_and_last(origin: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first and the last stripe of the layer to which each one belongs, shape as given."""
    whole = int(origin.max(initial=-1)) + 1
    first, last = np.full(whole, len(origin), np.int64), np.zeros(whole, np.int64)
    np.minimum.at(first, origin, np.arange(len(origin)))
    np.maximum.at(last, origin, np.arange(len(origin)))
    return first[origin], last[origin]
