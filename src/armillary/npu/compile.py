"""The compiler: a network and a chip in, a plan out.

In:  an operator `Graph` and a `Chip`. Out: `Plan`, which `emit` turns into tasks.
Each pass lives in a file of its name and hands on a frozen value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.cache import cache
from armillary.npu.cost_models import CostChoice, choose_cost_model
from armillary.npu.fold import fold
from armillary.npu.fuse import fuse
from armillary.npu.geometry import geometry
from armillary.npu.lower import lower
from armillary.npu.part import one_tile
from armillary.npu.place import place
from armillary.npu.plan import Plan
from armillary.npu.prefetch import prefetch
from armillary.npu.reside import reside
from armillary.npu.split import in_every_tile, split_over_tiles
from armillary.npu.tile import tile
from armillary.npu.tiles import cut
from armillary.workload import Graph, recognise


def compile_network(graph: Graph, chip: Chip, cost_model: CostChoice = None) -> Plan:
    """Compile `graph` for `chip`; `cost_model` prices its tiles, as `npu.run` says.

    Raises:
        InputError: the graph has no operator to run, or no such cost model.
        InfeasibleError: a layer does not fit the scratchpad at its smallest tiling.
    """
    model = choose_cost_model(cost_model, chip)
    network = fuse(lower(fold(recognise(graph, functions(chip))), chip), chip)
    if not network.layers:
        raise InputError("has no operator to run", where=graph.name)
    placements = place(network, chip)
    shapes = geometry(network, placements)
    split = split_over_tiles(network, placements, shapes, chip, model)
    one = one_tile(chip)
    residency = reside(network, placements, split.shapes, one, split.tensor_bytes)
    caching = cache(placements, split.shapes, residency, one)
    tiling = tile(network, placements, shapes, split, residency, caching, one, model)
    broadcasts = in_every_tile(network, split, residency.staying)
    tiles, pieces = cut(placements, shapes, split, tiling, broadcasts, chip, model)
    first_tile, last_tile = np.full(len(shapes), -1, np.int64), np.full(len(shapes), -1, np.int64)
    first_tile[tiles.layer[tiles.first]] = np.flatnonzero(tiles.first)
    last_tile[tiles.layer[tiles.last]] = np.flatnonzero(tiles.last)
    buffered = (first_tile, last_tile, model, np.ones(len(tiles), np.int64))
    plan = Plan(chip, network, placements, shapes, split, residency, caching, tiling, tiles, pieces, *buffered)
    return replace(plan, ahead=prefetch(plan))


def functions(chip: Chip) -> frozenset[str]:
    """Return the functions that `chip` runs as one: those are worth putting together from pieces."""
    return frozenset((*chip.array.activations, *chip.vector.activations, *chip.vector.operators))
