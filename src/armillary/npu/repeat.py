"""Several inferences in flight: a plan as often as wanted, one copy after the other in the same queues.

In:  the `Plan` of one inference, how many to play, how many may be in flight.
Out: a `Plan` whose layers, tensors and tiles stand there once an inference, and how they share the scratchpad.
Cached weights are there once for all. The next inference loads its first tiles beside the last ones of the one before,
as neighbouring layers do, where the leases of both have room and addresses; else it takes no scratchpad before the
other is done, and has its addresses.
Its inputs arrive as early as what the other holds leaves room for them.
"""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import numpy as np

from armillary.npu.allocate import again, allocate_in_flight
from armillary.npu.cache import Caching
from armillary.npu.fuse import Layer, Network
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.keep import Keeping
from armillary.npu.leases import last_use
from armillary.npu.plan import Plan
from armillary.npu.reside import Residency
from armillary.npu.split import copies
from armillary.npu.tile import Tiling
from armillary.npu.tiles import Pieces, Tiles
from armillary.workload import Graph

APART = 2  # tiles between inferences that share no scratchpad: as far as loads run ahead
_PERIODS = (1, 2, 4)  # inferences after which the same addresses come again
_NEIGHBOURS = 4  # inferences of which leases can meet, where each is a tile or two


def repeat(plan: Plan, inferences: int, queue_depth: int) -> Plan:
    """Return the plan of `inferences` copies of `plan`, of which `queue_depth` may be in flight."""
    if inferences == 1:
        return plan
    if queue_depth == 1:  # one begins when the other is done: queues that hold both in turn would wait for themselves
        whole = _copies(plan, inferences, queue_depth)
        return replace(whole, gap=APART, allocation=again(plan.allocation, 1, inferences))
    room = plan.scratchpad_bytes - plan.caching.bytes
    left = room - occupied_bytes(_copies(plan, min(inferences, _NEIGHBOURS), queue_depth))
    whole = _copies(plan, inferences, queue_depth)
    leads = dict.fromkeys((_lead(plan, left), 1)) if bool((left >= 0).all()) else ()
    for lead, period in product(leads, _PERIODS):
        found = allocate_in_flight(replace(_copies(plan, period, queue_depth), lead=lead))
        if found is not None:
            return replace(whole, lead=lead, allocation=again(found, period, inferences))
    return replace(whole, gap=APART, allocation=again(plan.allocation, 1, inferences))


def _lead(plan: Plan, left: IntArray) -> int:
    """Return the tiles before the last inference beside which `left` holds its inputs too, at least 1."""
    inputs = plan.residency.bytes[: len(plan.network.inputs)]
    needed = int(inputs[plan.residency.resident[: len(inputs)]].sum())
    each = len(plan.tiles)
    earlier = left[len(left) - 2 * each + 1 : len(left) - each - 1][::-1] >= needed  # 2 tiles before, 3 tiles, ...
    return 1 + int(np.logical_and.accumulate(earlier).sum())


def occupied_bytes(plan: Plan) -> IntArray:
    """Return the bytes of one tile of the chip that leases hold while each tile runs, at most, shape (tiles,).

    A load of tile j may come while tile j - 1 runs (weights: tile j - ahead), a store may last until tile j + 1 has
    run; an activation stays from its first writer (an input: from the tile before its inference) to its last reader.
    """
    tiles, residency = plan.tiles, plan.residency
    count = len(tiles)
    step = np.zeros(count + 2, np.int64)

    def hold(size: IntArray, first: IntArray, last: IntArray) -> None:
        np.add.at(step, np.maximum(first, 0), size)
        np.add.at(step, np.minimum(last, count - 1) + 1, -size)

    one = np.ones(count, np.int64)
    rooms: list[tuple[IntArray, IntArray, IntArray | None]] = [(tiles.input_room, one, None)]
    if plan.chip.weight_buffer_bytes is None:
        rooms.append((tiles.weight_room, plan.ahead, plan.keeping.until))
    for room, ahead, until in rooms:
        at = np.flatnonzero(room)
        hold(room[at], at - ahead[at], last_use(at, plan, until))
    sums = np.flatnonzero(tiles.sum_bytes)
    hold(tiles.sum_bytes[sums], sums, sums + tiles.sum_tiles[sums] - 1)
    stored = np.flatnonzero(tiles.output_room)
    hold(tiles.output_room[stored], stored, stored + 1)
    at = np.flatnonzero(residency.resident)
    begin = plan.first_tile[residency.first[at]]
    inputs = np.array([residency.names[index] in set(plan.network.inputs) for index in at.tolist()], np.bool_)
    begin = np.where(inputs, at_start(plan, residency.first[at]) - 1, begin)
    taken = residency.in_place_of[at]
    begin = np.where(taken >= 0, plan.last_tile[residency.last[taken]] + 1, begin)
    linger = 0 if plan.chip.vector.shares_array else 1
    hold(residency.bytes[at], begin, plan.last_tile[residency.last[at]] + linger)
    return np.cumsum(step)[:count]


def at_start(plan: Plan, layer: IntArray) -> IntArray:
    """Return the first tile of the inference to which each layer belongs, shape as given."""
    return layer // plan.layers_each * plan.tiles_each


def _copies(plan: Plan, times: int, queue_depth: int) -> Plan:
    layers, count = len(plan.network.layers), len(plan.tiles)
    by_layer = np.repeat(np.arange(times), layers) * count

    def shifted(column: IntArray) -> IntArray:
        """Shift tile numbers of every copy but the first; -1 stays."""
        return np.where(np.tile(column, times) < 0, -1, np.tile(column, times) + by_layer)

    tiles = plan.tiles
    return Plan(
        chip=plan.chip,
        network=_network(plan.network, times),
        placements=plan.placements * times,
        shapes=Geometry(*(np.tile(getattr(plan.shapes, column.name), times) for column in fields(Geometry))),
        split=copies(plan.split, times),
        residency=_residency(plan.residency, layers, times),
        caching=Caching(np.tile(plan.caching.cached, times), plan.caching.bytes),
        keeping=_keeping(plan.keeping, times),
        tiling=Tiling(*(np.tile(getattr(plan.tiling, column.name), times) for column in fields(Tiling))),
        tiles=replace(
            Tiles(*(np.tile(getattr(tiles, column.name), times) for column in fields(Tiles))),
            layer=np.tile(tiles.layer, times) + np.repeat(np.arange(times), count) * layers,
        ),
        pieces=replace(
            Pieces(*(np.tile(getattr(plan.pieces, column.name), times) for column in fields(Pieces))),
            tile=np.tile(plan.pieces.tile, times) + np.repeat(np.arange(times), len(plan.pieces)) * count,
        ),
        first_tile=shifted(plan.first_tile),
        last_tile=shifted(plan.last_tile),
        cost_model=plan.cost_model,
        ahead=np.tile(plan.ahead, times),
        striping=plan.striping,
        whole=plan.whole,
        allocation=plan.allocation,
        inferences=times,
        queue_depth=queue_depth,
    )


def _network(network: Network, times: int) -> Network:
    """Return the layers `times` over; every copy has activations of its own, all share the weights."""
    graph = network.graph
    ends = {*network.inputs, *network.outputs}
    tensors = {_name(name, copy): graph.tensors[name] for copy in range(times) for name in ends}
    layers: list[Layer] = []
    for copy in range(times):
        layers += [
            replace(layer, sources=_names(layer.sources, copy), outputs=_names(layer.outputs, copy))
            for layer in network.layers
        ]
    inputs, outputs = (
        tuple(_name(name, copy) for copy in range(times) for name in names)
        for names in (network.inputs, network.outputs)
    )
    return Network(Graph(graph.name, tensors, (), inputs, ()), tuple(layers), inputs, outputs)


def _residency(residency: Residency, layers: int, times: int) -> Residency:
    tensors = len(residency.names)
    later = np.repeat(np.arange(times), tensors)
    place = np.tile(residency.in_place_of, times)
    return Residency(
        names=tuple(_name(name, copy) for copy in range(times) for name in residency.names),
        bytes=np.tile(residency.bytes, times),
        first=np.tile(residency.first, times) + later * layers,
        last=np.tile(residency.last, times) + later * layers,
        resident=np.tile(residency.resident, times),
        in_place_of=np.where(place < 0, -1, place + later * tensors),
        live_bytes=np.tile(residency.live_bytes, times),
        smallest_bytes=np.tile(residency.smallest_bytes, times),
        load_bytes=np.tile(residency.load_bytes, times),
        store_bytes=np.tile(residency.store_bytes, times),
        staying=frozenset(_name(name, copy) for copy in range(times) for name in residency.staying),
    )


def _keeping(keeping: Keeping, times: int) -> Keeping:
    layers = len(keeping.until)
    later = np.repeat(np.arange(times), layers) * layers
    return Keeping(np.tile(keeping.found, times), np.tile(keeping.until, times) + later, np.tile(keeping.bytes, times))


def _names(names: tuple[str, ...], copy: int) -> tuple[str, ...]:
    return tuple(_name(name, copy) for name in names)


def _name(name: str, copy: int) -> str:
    """Return the name of a tensor in inference `copy`, such as no network has; the first keeps its own."""
    return f"{name}\0{copy}" if copy else name
