"""Cut each layer into tiles that fit the scratchpad twice, so that the next tile loads while this one computes.

In:  shapes, placements, residency and caching of the layers, a `Chip`.
Out: `Tiling`: per layer the number of row groups, the channels of a tile, and which of the two is the outer loop.
A layer that moves nothing is one tile; the others get the cheapest tiles that fit beside what stays (`cheapest`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError
from armillary.hardware import Chip
from armillary.npu.cache import Caching
from armillary.npu.cheapest import Budgets, Moves, cheapest
from armillary.npu.cost_models import CostModel
from armillary.npu.fuse import Network
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.keep import Keeping
from armillary.npu.place import Engine, Placement
from armillary.npu.rates import encoded_bytes
from armillary.npu.reside import Residency, neighbourhood, tile_budgets, usable_bytes
from armillary.npu.split import Split
from armillary.units import MIB


@dataclass(frozen=True, slots=True)
class Tiling:
    """How each layer is cut, and what its tiles move; all arrays have shape (layers,)."""

    row_groups: IntArray
    channels: IntArray  # output channels of a tile; the last one may be smaller
    channel_groups: IntArray
    parts: IntArray  # of the input channels, one after the other for each group of rows and channels, else 1
    rows_outer: npt.NDArray[np.bool_]  # rows are the outer loop: inputs are loaded once, weights once a row group
    load_bytes: IntArray  # bytes of the inputs that do not stay in the scratchpad, and of rows looked up outside of it
    store_bytes: IntArray  # bytes of the outputs that do not stay
    stream_bytes: IntArray  # bytes of the weights that are not cached

    @property
    def tiles(self) -> IntArray:
        """Number of tiles of each layer."""
        return self.row_groups * self.channel_groups * self.parts


def tile(
    network: Network,
    placements: tuple[Placement, ...],
    whole: Geometry,
    split: Split,
    residency: Residency,
    caching: Caching,
    keeping: Keeping,
    chip: Chip,
    model: CostModel,
) -> Tiling:
    """Choose the tiles of every layer that runs on the chip.

    Args:
        network: layers in order.
        placements: where they run.
        whole: their shapes.
        split: what the largest part of each layer is, where the chip has several tiles.
        residency: activations that stay.
        caching: weights that stay for good.
        keeping: weights that stay from stripe to stripe.
        chip: the chip, or one tile of it.

    Raises:
        InfeasibleError: a layer does not fit beside what stays in the scratchpad.
    """
    on_chip = np.array([placement.engine != Engine.HOST for placement in placements], np.bool_)
    outside, shapes = on_chip & ~caching.cached, split.shapes
    loads, stores = residency.load_bytes + np.where(outside, whole.row_bytes, 0), residency.store_bytes
    streams = np.where(outside & ~keeping.found, encoded_bytes(whole.weight_bytes, chip), 0)
    keeps = keeping.keeps
    mine = [
        np.ceil(moved * share).astype(np.int64)
        for moved, share in (
            (loads, split.input_share),
            (stores, split.output_share),
            (streams, split.weight_share),
        )
    ]
    row_groups = np.ones(len(shapes), np.int64)
    channels, parts = shapes.outputs.copy(), np.ones(len(shapes), np.int64)
    rows_outer = np.zeros(len(shapes), np.bool_)
    stays = residency.live_bytes + keeping.bytes
    room = usable_bytes(chip) - caching.bytes - neighbourhood(stays)
    load_budget, store_budget = tile_budgets(room, int(mine[1].max(initial=0)))
    moving = np.flatnonzero(loads + stores + streams)
    moves = Moves(*(moved[moving] for moved in mine), *(pieces[moving] for pieces in split.moved_pieces))
    budgets = Budgets(load_budget[moving], store_budget[moving])
    found = cheapest(shapes, moving, placements, moves, budgets, keeps[moving], chip, model)
    if not found.fits.all():
        index = int(moving[np.flatnonzero(~found.fits)[0]])
        stays_mib, cached_mib = int(stays[index]) / MIB, caching.bytes / MIB
        raise InfeasibleError(
            f"layer {network.layers[index].name!r} does not fit beside {stays_mib:.3g} MiB of activations and "
            f"{cached_mib:.3g} MiB of weights that stay in the scratchpad of {chip.name}"
        )
    row_groups[moving], channels[moving], parts[moving] = found.groups, found.channels, found.parts
    rows_outer[moving] = found.rows_outer
    return Tiling(row_groups, channels, -(-shapes.outputs // channels), parts, rows_outer, loads, stores, streams)
