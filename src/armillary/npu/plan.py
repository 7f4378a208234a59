"""All decisions about one network on one chip, before any task exists.

In:  the outputs of the compile passes. Out: `Plan`, what `emit` turns into tasks and `run` reads figures from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from armillary.hardware import Chip
from armillary.npu.addresses import Allocation, nowhere
from armillary.npu.cache import Caching
from armillary.npu.fuse import Network
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.keep import Keeping
from armillary.npu.place import Engine, Placement
from armillary.npu.reside import Residency
from armillary.npu.striping import Striping
from armillary.npu.tile import Tiling
from armillary.npu.tiles import Tiles


@dataclass(frozen=True, slots=True)
class Plan:
    """A network compiled for a chip."""

    chip: Chip
    network: Network
    placements: tuple[Placement, ...]
    shapes: Geometry
    residency: Residency
    caching: Caching
    keeping: Keeping
    tiling: Tiling
    tiles: Tiles
    first_tile: IntArray  # of each layer, -1 on the host, shape (layers,)
    last_tile: IntArray
    striping: Striping  # of one inference
    whole: Geometry  # shapes of its whole layers
    allocation: Allocation = field(default_factory=nowhere)
    inferences: int = 1  # one after the other in the same queues (`repeat`)
    queue_depth: int = 1  # of them in flight at once
    lead: int = 1  # tiles of the inference before beside which inputs may arrive
    gap: int = 0  # tiles by which an inference starts later in the queues, where two share no scratchpad

    @property
    def layers_each(self) -> int:
        """Layers of one inference."""
        return len(self.placements) // self.inferences

    @property
    def tiles_each(self) -> int:
        """Tiles of one inference."""
        return len(self.tiles) // self.inferences

    @property
    def macs(self) -> int:
        """Products of one inference, those that stripes repeat not counted."""
        return int(self.whole.macs.sum())

    @property
    def halo_macs(self) -> int:
        """Products that stripes of one inference repeat, since rows at their edges are needed twice."""
        return int(self.shapes.macs.sum()) // self.inferences - self.macs

    @property
    def engines(self) -> IntArray:
        """In-order engine of each tile, shape (tiles,)."""
        return np.zeros(len(self.tiles), np.int64) if self.chip.vector.shares_array else self.tiles.engine

    def starts(self, layers: frozenset[int]) -> IntArray:
        """Return the first tiles of these layers of an inference, in all inferences, but not the very first tile."""
        each = np.arange(self.inferences)[:, None] * self.layers_each
        tiles = self.first_tile[(each + np.array(sorted(layers), np.int64)[None, :]).ravel()]
        return np.asarray(tiles[tiles > 0], np.int64)

    @property
    def host_layers(self) -> tuple[int, ...]:
        """Layers that run on the host."""
        return tuple(index for index, placement in enumerate(self.placements) if placement.engine == Engine.HOST)
