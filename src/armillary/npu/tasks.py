"""The tasks of a plan, kind by kind: what each takes, moves and costs.

In:  a `Plan`, a `GraphBuilder` with the chip's resources.
Out: `Tasks`: one block of tasks a kind, each with the tile or layer it belongs to and its place in program order.
Order of tile j: loads at 2 (j - 1), that is beside tile j - 1; compute at 2 j; its store at 2 j + 1. A load of what the
tile just before stores, or the host has just made, comes right after that store.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from armillary.engine import GraphBuilder
from armillary.errors import InputError
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.queues import Queues
from armillary.npu.rates import transfer_rate, weight_rate
from armillary.timeline.power import MOST_JOULES
from armillary.units import PICOSECOND, to_ticks, to_ticks_array

FEMTO = 1e15
_AFTER_STORE, _AFTER_HOST, _BEFORE_LOADS = 1.5, 1.2, 0.25


@dataclass(frozen=True, slots=True)
class Block:
    """Tasks of one kind: ids, the tile (host: layer, arrivals and departures: tensor) of each, and place in order."""

    ids: IntArray
    at: IntArray
    key: FloatArray

    def by_tile(self, tiles: int) -> IntArray:
        """Return the task of each tile, -1 where it has none, shape (tiles,)."""
        table = np.full(tiles, -1, np.int64)
        table[self.at] = self.ids
        return table


@dataclass(frozen=True, slots=True)
class Tasks:
    """All tasks of a plan."""

    compute: Block
    weights: Block
    inputs: Block
    stores: Block
    host: Block
    arrivals: Block  # inputs of the network over the host link
    departures: Block  # outputs of the network over the host link, where they lie in DRAM
    pieces_before: IntArray  # of each tile, and all of them; shape (tiles + 1,)

    def computing(self, tiles: IntArray) -> tuple[IntArray, IntArray]:
        """Return the tasks that compute `tiles`, one for each piece, and for each the index into `tiles`."""
        begin = self.pieces_before[tiles]
        each = self.pieces_before[tiles + 1] - begin
        index = np.repeat(np.arange(len(tiles)), each)
        within = np.arange(len(index)) - np.repeat(np.cumsum(each) - each, each)
        return self.compute.ids[begin[index] + within], index

    def of(self, tile: int) -> list[int]:
        """Return the tasks that compute `tile`."""
        found: list[int] = self.compute.ids[self.pieces_before[tile] : self.pieces_before[tile + 1]].tolist()
        return found

    def across(self, before: IntArray, after: IntArray) -> tuple[IntArray, IntArray]:
        """Return (sources, targets): every task that computes a tile of `before` with all of its tile of `after`."""
        sources, first = self.computing(before)
        targets, second = self.computing(after[first])
        return sources[second], targets

    def keys(self, count: int) -> FloatArray:
        """Return the place of each of `count` tasks in the order of its queue."""
        key = np.zeros(count)
        for block in (getattr(self, part.name) for part in fields(self)):
            if isinstance(block, Block):
                key[block.ids] = block.key
        return key


def create(build: GraphBuilder, plan: Plan, queues: Queues) -> Tasks:
    """Add the tasks of `plan` to `build`, without any edge or lease."""
    place = _places(plan)
    beside, early = 2.0 * (place - 1), 2.0 * (place - plan.ahead)
    fenced = np.zeros(len(plan.tiles), np.bool_)
    fenced[plan.starts(plan.allocation.fences)] = True
    late = _AFTER_STORE * (_waits_for_neighbour(plan) | fenced).astype(np.float64)
    tiles, split = plan.tiles, plan.split
    fetched = np.zeros_like(tiles.weight_bytes) if plan.chip.streams_weights else tiles.weight_bytes
    early = early + _AFTER_STORE * fenced
    return Tasks(
        compute=_compute(build, plan, queues),
        weights=_transfers(build, plan, queues, fetched, early, "weights", split.weight_pieces),
        inputs=_transfers(build, plan, queues, tiles.input_bytes, beside + late, "input", split.input_pieces),
        stores=_transfers(build, plan, queues, tiles.output_bytes, 2.0 * place + 1, "output", split.pieces),
        host=_host(build, plan, queues),
        arrivals=_arrivals(build, plan, queues),
        departures=_departures(build, plan, queues),
        pieces_before=np.searchsorted(plan.pieces.tile, np.arange(len(tiles) + 1)),
    )


def ticks(seconds: FloatArray) -> IntArray:
    """Return seconds in ticks, rounded up, shape as given."""
    return to_ticks_array(seconds, PICOSECOND)


def _compute(build: GraphBuilder, plan: Plan, queues: Queues) -> Block:
    pieces, chip = plan.pieces, plan.chip
    layer = plan.tiles.layer[pieces.tile]
    on_vector = plan.tiles.engine[pieces.tile] == Engine.VECTOR
    mac_j = np.array([chip.energy.mac[p.dtype].value if p.engine != Engine.HOST else 0.0 for p in plan.placements])
    energy_j = (
        pieces.macs * mac_j[layer]
        + pieces.elements * chip.energy.vector_element.value
        + pieces.scratchpad_bytes * chip.energy.scratchpad.value
    )
    duration = ticks(pieces.cycles / chip.clock.value)
    latency = np.where(plan.tiles.first[pieces.tile], to_ticks(chip.control.layer_cost.value, PICOSECOND), 0)
    streamed = _streamed_bytes(plan)
    energy_j += streamed * (chip.energy.weight_memory.value + chip.energy.scratchpad.value)
    ids = np.zeros(len(pieces), np.int64)
    for chosen, kind, servers in ((~on_vector, "array", queues.array), (on_vector, "vector", queues.vector)):
        at = np.flatnonzero(chosen)
        ids[at] = build.tasks(
            len(at),
            labels=_labels(plan, layer[at]),
            kind=kind,
            duration=duration[at],
            latency=latency[at],
            bytes=streamed[at].astype(np.float64),
            energy_fj=_femtojoules(energy_j[at]),
        )
        build.demand(ids[at], np.array(servers, np.int64)[pieces.on[at]])
    if chip.streams_weights:
        build.cross(ids[streamed > 0], queues.weight_memory)
    return Block(ids, pieces.tile, 2.0 * _places(plan)[pieces.tile])


def _streamed_bytes(plan: Plan) -> FloatArray:
    """Return the bytes of weights that arrive while each piece is computed, shape (pieces,)."""
    tile = plan.pieces.tile
    if not plan.chip.streams_weights:
        return np.zeros(len(tile))
    each = np.bincount(tile, minlength=len(plan.tiles))
    return np.asarray(plan.tiles.weight_bytes[tile] / each[tile], np.float64)


def _transfers(
    build: GraphBuilder, plan: Plan, queues: Queues, moved: IntArray, key: FloatArray, kind: str, different: IntArray
) -> Block:
    """Add one transfer for each tile with bytes in `moved`; loads go round the loading queues.

    `different` tells how many tiles of the chip move bytes of their own, shape (layers,); the others hold copies.
    """
    chip = plan.chip
    at = np.flatnonzero(moved)
    apart = kind == "weights" and queues.weight_memory >= 0
    backing = chip.energy.dram if chip.dram is not None else chip.energy.host_link
    copies = (plan.split.pieces / different)[plan.tiles.layer[at]]
    link_j = chip.energy.weight_memory if apart else backing
    energy_j = moved[at].astype(np.float64) * (link_j.value + copies * chip.energy.scratchpad.value)
    capped = not apart and chip.dram is not None and chip.dram.engine_rate is not None
    _, latency_s = weight_rate(chip) if apart else transfer_rate(chip)
    ids = np.array(
        build.tasks(
            len(at),
            labels=_labels(plan, plan.tiles.layer[at]),
            kind=kind,
            latency=to_ticks(latency_s, PICOSECOND),
            bytes=moved[at].astype(np.float64),
            energy_fj=_femtojoules(energy_j),
            rate_cap=chip.dram.engine_rate.value if capped and chip.dram and chip.dram.engine_rate else np.inf,
        ),
        np.int64,
    )
    build.cross(ids, queues.weight_memory if apart else queues.backing)
    build.demand(ids, mover_of(ids, kind, queues))
    return Block(ids, at, key[at])


def mover_of(ids: IntArray, kind: str, queues: Queues) -> IntArray:
    """Return the queue of each transfer: that of the weights, or all in turn, or stores on the last one."""
    if kind == "weights" and queues.weight_dma >= 0:
        return np.full(len(ids), queues.weight_dma)
    movers = np.array(queues.movers, np.int64)
    if queues.either_way:
        return movers[(ids - ids[0] if len(ids) else ids) % len(movers)]
    if kind == "output" or len(movers) == 1:
        return np.full(len(ids), movers[-1])
    return movers[(ids - ids[0] if len(ids) else ids) % (len(movers) - 1)]


def _host(build: GraphBuilder, plan: Plan, queues: Queues) -> Block:
    """Add one task for each layer on the host: its products or its bytes, whichever takes longer."""
    host, shapes = plan.chip.host, plan.shapes
    at = np.array(plan.host_layers, np.int64)
    moved = (shapes.in_bytes + shapes.out_bytes + shapes.weight_bytes + shapes.row_bytes)[at]
    seconds = np.maximum(2.0 * shapes.macs[at] / host.rate.value, moved / host.memory_rate.value)
    crosses = plan.chip.dram is not None and queues.link >= 0
    ids = np.array(
        build.tasks(
            len(at),
            labels=_labels(plan, at),
            kind="host",
            duration=ticks(seconds),
            latency=to_ticks(host.call_cost.value, PICOSECOND),
            bytes=(shapes.in_bytes + shapes.out_bytes)[at].astype(np.float64) if crosses else 0.0,
        ),
        np.int64,
    )
    build.demand(ids, queues.host)
    if crosses:
        build.cross(ids, queues.link)
    return Block(ids, at, 2.0 * (tiles_before(plan)[at].astype(np.float64) - 1) + _AFTER_HOST)


def _arrivals(build: GraphBuilder, plan: Plan, queues: Queues) -> Block:
    """Add arrivals over the host link: of inputs that stay in the scratchpad, or of all where there is DRAM."""
    names = plan.network.inputs if queues.link >= 0 else ()
    at = np.array(
        [i for i, name in enumerate(names) if plan.chip.dram is not None or plan.residency.stays(name)], np.int64
    )
    inference = at // max(1, len(names) // plan.inferences)
    # Without DRAM they share the queue of the loads, and go before those of their first tile.
    key = inference if plan.chip.dram else 2 * (inference * (plan.tiles_each + plan.gap) - plan.lead) - _BEFORE_LOADS
    return _link_transfers(build, plan, queues, names, at, "arrival", key.astype(np.float64))


def _departures(build: GraphBuilder, plan: Plan, queues: Queues) -> Block:
    names = plan.network.outputs if queues.link >= 0 and plan.chip.dram is not None else ()
    at = np.arange(len(names))
    # After the last arrival that does not wait for it.
    key = at // max(1, len(names) // plan.inferences) + plan.queue_depth - 0.5
    return _link_transfers(build, plan, queues, names, at, "departure", key.astype(np.float64))


def _link_transfers(
    build: GraphBuilder, plan: Plan, queues: Queues, names: tuple[str, ...], at: IntArray, kind: str, key: FloatArray
) -> Block:
    if not len(at):
        return Block(at, at, np.zeros(0))
    chip = plan.chip
    assert chip.host_link is not None
    moved = np.array([plan.network.graph.tensors[names[i]].bytes for i in at.tolist()], np.int64)
    beyond = chip.energy.dram if chip.dram is not None else chip.energy.scratchpad
    ids = np.array(
        build.tasks(
            len(at),
            labels=[names[i] for i in at.tolist()],
            kind=kind,
            latency=to_ticks(chip.host_link.latency.value, PICOSECOND),
            bytes=moved.astype(np.float64),
            energy_fj=_femtojoules(moved.astype(np.float64) * (chip.energy.host_link.value + beyond.value)),
        ),
        np.int64,
    )
    build.cross(ids, queues.link)
    build.demand(ids, queues.link_queue)
    return Block(ids, at, key)


def _places(plan: Plan) -> FloatArray:
    """Return the place of each tile in program order, shape (tiles,)."""
    number = np.arange(len(plan.tiles), dtype=np.float64)
    return number + plan.gap * (plan.tiles.layer // max(1, plan.layers_each))


def tiles_before(plan: Plan) -> IntArray:
    """Return the number of tiles of all layers before each layer, shape (layers,)."""
    counts = np.where(plan.first_tile < 0, 0, plan.last_tile - plan.first_tile + 1)
    return np.cumsum(counts) - counts


def _waits_for_neighbour(plan: Plan) -> npt.NDArray[np.bool_]:
    """Mark tiles that begin a layer which reads what the tile just before stores, or what the host has just made."""
    marked = np.zeros(len(plan.tiles), np.bool_)
    before = tiles_before(plan)
    writer = {name: index for index, layer in enumerate(plan.network.layers) for name in layer.outputs}
    for index, layer in enumerate(plan.network.layers):
        first = int(plan.first_tile[index])
        if first < 0:
            continue
        writers = [writer[name] for name in layer.sources if name in writer]
        marked[first] = any(
            before[w] == first if plan.first_tile[w] < 0 else plan.last_tile[w] == first - 1 for w in writers
        )
    return marked


def _labels(plan: Plan, layers: IntArray) -> list[str]:
    names = [layer.name for layer in plan.network.layers]
    return [names[index] for index in layers.tolist()]


def _femtojoules(joules: FloatArray) -> IntArray:
    """Return joules in femtojoules.

    Raises:
        InputError: they add up to more than a timeline can sum exactly.
    """
    total_j = float(joules.sum())
    if not total_j < MOST_JOULES:
        raise InputError(
            f"tasks of one inference take {total_j:.3g} J, {MOST_JOULES:.3g} J is the limit",
            hint="check the energies of the chip",
        )
    return np.rint(joules * FEMTO).astype(np.int64)
