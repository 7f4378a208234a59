"""The compiler: a network and a chip in, a plan out.

In:  an operator `Graph` and a `Chip`. Out: `Plan`, which `emit` turns into tasks.
Each pass lives in a file of its name and hands on a frozen value.
"""

from __future__ import annotations

import numpy as np

from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.cache import cache
from armillary.npu.fold import fold
from armillary.npu.fuse import fuse
from armillary.npu.geometry import geometry
from armillary.npu.lower import lower
from armillary.npu.part import one_tile
from armillary.npu.place import place
from armillary.npu.plan import Plan
from armillary.npu.reside import reside
from armillary.npu.split import in_every_tile, split_over_tiles
from armillary.npu.tile import tile
from armillary.npu.tiles import cut
from armillary.workload import Graph, recognise


def compile_network(graph: Graph, chip: Chip) -> Plan:
    """Compile `graph` for `chip`.

    Raises:
        InputError: the graph has no operator to run.
        InfeasibleError: a layer does not fit the scratchpad at its smallest tiling.
    """
    network = fuse(lower(fold(recognise(graph, functions(chip))), chip), chip)
    if not network.layers:
        raise InputError("has no operator to run", where=graph.name)
    placements = place(network, chip)
    shapes = geometry(network, placements)
    split = split_over_tiles(network, placements, shapes, chip)
    one = one_tile(chip)
    residency = reside(network, placements, split.shapes, one, split.tensor_bytes)
    caching = cache(placements, split.shapes, residency, one)
    tiling = tile(network, placements, shapes, split, residency, caching, one)
    tiles, pieces = cut(placements, shapes, split, tiling, in_every_tile(network, split, residency.staying), chip)
    first_tile, last_tile = np.full(len(shapes), -1, np.int64), np.full(len(shapes), -1, np.int64)
    first_tile[tiles.layer[tiles.first]] = np.flatnonzero(tiles.first)
    last_tile[tiles.layer[tiles.last]] = np.flatnonzero(tiles.last)
    return Plan(
        chip, network, placements, shapes, split, residency, caching, tiling, tiles, pieces, first_tile, last_tile
    )


def functions(chip: Chip) -> frozenset[str]:
    """Return the functions that `chip` runs as one: those are worth putting together from pieces."""
    return frozenset((*chip.array.activations, *chip.vector.activations, *chip.vector.operators))
