"""The compiler: a network and a chip in, a plan out.

In:  an operator `Graph` and a `Chip`. Out: `Plan`, which `emit` turns into tasks.
Each pass lives in a file of its name and hands on a frozen value.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip
from armillary.npu.addresses import Allocation, Spill
from armillary.npu.allocate import allocate, allocate_as_is
from armillary.npu.cache import cache
from armillary.npu.chains import Chain
from armillary.npu.cost_models import CostChoice, CostModel, choose_cost_model
from armillary.npu.fold import fold
from armillary.npu.fuse import Network, fuse
from armillary.npu.geometry import geometry
from armillary.npu.keep import keep
from armillary.npu.lower import lower
from armillary.npu.part import one_tile
from armillary.npu.place import Placement, place
from armillary.npu.plan import Plan
from armillary.npu.prefetch import prefetch
from armillary.npu.reside import reside
from armillary.npu.split import in_every_tile, split_over_tiles
from armillary.npu.stripe import judge, refused, stripe
from armillary.npu.striping import Striping, cut_rows, unstriped
from armillary.npu.tile import tile
from armillary.npu.tiles import cut
from armillary.workload import Graph, OpKind, operator_macs, recognise

_WEIGHTED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.CONV_TRANSPOSE, OpKind.GEMM, OpKind.MATMUL})
_SHARES = (1.0, 0.875, 0.75, 0.5)  # of the scratchpad up to which weights come early: a full one has no holes


def compile_network(graph: Graph, chip: Chip, cost_model: CostChoice = None) -> Plan:
    """Compile `graph` for `chip`; `cost_model` prices its tiles, as `npu.run` says.

    Raises:
        InputError: the graph has no operator to run, or no such cost model.
        InfeasibleError: a layer does not fit the scratchpad at its smallest tiling.
    """
    network = fuse(lower(fold(recognise(graph, functions(chip))), chip), chip)
    if not network.layers:
        raise InputError("has no operator to run", where=graph.name)
    _refuse_empty(network)
    return _ahead(_merged(network, chip, choose_cost_model(cost_model, chip)))


def _refuse_empty(network: Network) -> None:
    """Refuse layers that read or write nothing: no model that works has one."""
    tensors = network.graph.tensors
    for layer in network.layers:
        weights = layer.op.inputs if operator_macs(network.graph, layer.op) == 0 and layer.op.kind in _WEIGHTED else ()
        for name in (*layer.reads, *layer.outputs, *(weight for weight in weights if weight)):
            if 0 in tensors[name].shape:
                raise InputError(
                    f"tensor {name!r} of operator {layer.name!r} has no elements: shape {tensors[name].shape}",
                    where=network.graph.name,
                )


def _ahead(plan: Plan) -> Plan:
    """Let weights load as early as there is room and an address for them.

    In a buffer of their own they wait in its order: as early as it has room, without being told.
    """
    if plan.chip.control.prefetch == 1 or plan.allocation.fences or plan.chip.weight_buffer_bytes is not None:
        return plan
    for share in _SHARES:
        early = replace(plan, ahead=prefetch(plan, share))
        found = allocate_as_is(early)
        if found is not None:
            return replace(early, allocation=found)
    return plan


def _merged(network: Network, chip: Chip, model: CostModel) -> Plan:
    """Return the plan with those chains of layers in stripes that gain by it."""
    whole = _plan(unstriped(network), place(network, chip), chip, model)
    striped, chains = _in_stripes(whole)
    if striped is None:
        whole = _with_addresses(whole)
        if whole.allocation.spills:  # what moves for want of a hole may begin a chain
            striped, chains = _in_stripes(whole)
    return striped or replace(whole, striping=replace(whole.striping, chains=chains))


def _in_stripes(whole: Plan) -> tuple[Plan | None, tuple[Chain, ...]]:
    """Return the plan with the chains that are worth it in stripes, None if there are none, and what became of all."""
    chains = stripe(whole)
    while any(chain.taken for chain in chains):
        striping = cut_rows(whole.network, chains, whole.residency)
        placements = tuple(whole.placements[index] for index in striping.origin.tolist())
        striped = _plan(striping, placements, whole.chip, whole.cost_model)
        judged = judge(chains, whole, striped)
        if _taken(judged) == _taken(chains):
            try:
                striped = _with_addresses(striped)
            except InfeasibleError:  # weights kept from stripe to stripe leave no holes for the tiles between
                return None, refused(chains, "finds no addresses")
            if striped.allocation.spills:
                judged = judge(chains, whole, striped)
            if _taken(judged) == _taken(chains):
                return replace(striped, striping=replace(striping, chains=judged), whole=whole.shapes), judged
        chains = judged
    return None, chains


def _taken(chains: tuple[Chain, ...]) -> list[bool]:
    return [chain.taken for chain in chains]


def _with_addresses(plan: Plan) -> Plan:
    """Return `plan` with addresses for all that lies in the scratchpad, after activations without a hole have moved."""
    spills: tuple[Spill, ...] = ()
    while True:
        found = allocate(plan, spills)
        if isinstance(found, Allocation):
            return replace(plan, allocation=found)
        spills += found
        plan = _plan(plan.striping, plan.placements, plan.chip, plan.cost_model, spills)


def _plan(
    striping: Striping,
    placements: tuple[Placement, ...],
    chip: Chip,
    model: CostModel,
    spills: tuple[Spill, ...] = (),
) -> Plan:
    """Decide what stays, how each layer is cut into tiles, and which tile of the chip does what; without addresses."""
    network, origin = striping.network, striping.origin
    shapes = geometry(network, placements)
    split = split_over_tiles(network, placements, shapes, chip, model)
    one = one_tile(chip)
    moved = striping.leaving | {spill.tensor for spill in spills}
    residency = reside(network, placements, split.shapes, one, moved, split.tensor_bytes)
    caching = cache(origin, placements, split.shapes, residency, one)
    keeping = keep(origin, placements, split.shapes, residency, caching, one)
    tiling = tile(network, placements, shapes, split, residency, caching, keeping, one, model)
    broadcasts = in_every_tile(network, split, residency.staying)
    tiles, pieces = cut(placements, shapes, split, tiling, broadcasts, chip, model)
    first_tile, last_tile = np.full(len(shapes), -1, np.int64), np.full(len(shapes), -1, np.int64)
    first_tile[tiles.layer[tiles.first]] = np.flatnonzero(tiles.first)
    last_tile[tiles.layer[tiles.last]] = np.flatnonzero(tiles.last)
    return Plan(
        chip, network, placements, shapes, split, residency, caching, keeping, tiling, tiles, pieces,
        first_tile, last_tile, striping, shapes, model, np.ones(len(tiles), np.int64),
    )  # fmt: skip


def functions(chip: Chip) -> frozenset[str]:
    """Return the functions that `chip` runs as one: those are worth putting together from pieces."""
    return frozenset((*chip.array.activations, *chip.vector.activations, *chip.vector.operators))
