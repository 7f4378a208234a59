"""The compiler: a network and a chip in, a plan out.

In:  an operator `Graph` and a `Chip`. Out: `Plan`, which `emit` turns into tasks.
Each pass lives in a file of its name and hands on a frozen value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.addresses import Allocation, Spill
from armillary.npu.allocate import allocate
from armillary.npu.cache import cache
from armillary.npu.fold import fold
from armillary.npu.fuse import fuse
from armillary.npu.geometry import geometry
from armillary.npu.keep import keep
from armillary.npu.lower import lower
from armillary.npu.place import Placement, place
from armillary.npu.plan import Plan
from armillary.npu.reside import reside
from armillary.npu.stripe import judge, stripe
from armillary.npu.striping import Striping, cut_rows, unstriped
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
    whole = _plan(unstriped(network), place(network, chip), chip)
    chains = stripe(whole)
    while any(chain.taken for chain in chains):
        striped = _plan(cut_rows(network, chains, whole.residency), whole.placements, chip)
        judged = judge(chains, whole, striped)
        if [chain.taken for chain in judged] == [chain.taken for chain in chains]:
            return replace(striped, striping=replace(striped.striping, chains=judged), whole=whole.shapes)
        chains = judged
    return replace(whole, striping=replace(whole.striping, chains=chains))


def _plan(striping: Striping, whole_placements: tuple[Placement, ...], chip: Chip) -> Plan:
    """Decide where everything lies and how each layer is cut into tiles."""
    network, origin = striping.network, striping.origin
    placements = tuple(whole_placements[index] for index in origin.tolist())
    shapes = geometry(network, placements)
    spills: tuple[Spill, ...] = ()
    while True:
        moved = striping.leaving | {spill.tensor for spill in spills}
        residency = reside(network, placements, shapes, chip, moved)
        caching = cache(origin, placements, shapes, residency, chip)
        keeping = keep(origin, placements, shapes, residency, caching, chip)
        tiling = tile(network, placements, shapes, residency, caching, keeping, chip)
        tiles = cut(placements, shapes, tiling, chip)
        first_tile, last_tile = np.full(len(shapes), -1, np.int64), np.full(len(shapes), -1, np.int64)
        first_tile[tiles.layer[tiles.first]] = np.flatnonzero(tiles.first)
        last_tile[tiles.layer[tiles.last]] = np.flatnonzero(tiles.last)
        plan = Plan(
            chip, network, placements, shapes, residency, caching, keeping, tiling, tiles, first_tile, last_tile,
            striping, shapes,
        )  # fmt: skip
        found = allocate(plan, spills)
        if isinstance(found, Allocation):
            return replace(plan, allocation=found)
        spills += found


def functions(chip: Chip) -> frozenset[str]:
    """Return the functions that `chip` runs as one: those are worth putting together from pieces."""
    return frozenset((*chip.array.activations, *chip.vector.activations, *chip.vector.operators))
