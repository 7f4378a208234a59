"""How each pass of the compiler is shown: rows of plain values of what it hands on.

In:  the graph that was compiled, and its `Plan`. Out: `SHOWN`: for each pass a function that returns a title, the names
of the columns, and rows, one an operator, layer, tensor, tile or task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from armillary.npu.addresses import BufferKind
from armillary.npu.barriers import UNLIMITED
from armillary.npu.compile import functions
from armillary.npu.emit import emit
from armillary.npu.fold import fold
from armillary.npu.geometry import Geometry
from armillary.npu.lower import lower
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.repeat import occupied_bytes
from armillary.npu.split import halo_bytes
from armillary.npu.strategies import Strategy
from armillary.workload import Graph, recognise

Cell = str | int | float | bool
Shown = tuple[str, Sequence[str], Sequence[tuple[Cell, ...]]]


def _recognise(graph: Graph, plan: Plan) -> Shown:
    whole = recognise(graph, functions(plan.chip))
    return _operators(whole, f"operators; {_fewer(graph, whole)} were pieces of others")


def _fold(graph: Graph, plan: Plan) -> Shown:
    whole = recognise(graph, functions(plan.chip))
    folded = fold(whole)
    return _operators(folded, f"operators that remain; {_fewer(whole, folded)} were folded away")


def _lower(graph: Graph, plan: Plan) -> Shown:
    folded = fold(recognise(graph, functions(plan.chip)))
    lowered = lower(folded, plan.chip)
    added = len(lowered.operators) - len(folded.operators)
    return _operators(lowered, f"operators; {added} more than before, in place of what the chip lacks")


def _fewer(before: Graph, after: Graph) -> str:
    return f"{len(before.operators) - len(after.operators)} of {len(before.operators)}"


def _operators(graph: Graph, title: str) -> Shown:
    rows = [
        (
            op.name,
            op.kind.value if op.activation is None else f"{op.kind.value} {op.activation.value}",
            _shape(graph, op.outputs[0]),
            graph.tensors[op.outputs[0]].dtype,
            " ".join(name for name in op.inputs if not graph.tensors[name].constant),
        )
        for op in graph.operators
    ]
    return title, ("operator", "kind", "output", "dtype", "reads"), rows


def _fuse(graph: Graph, plan: Plan) -> Shown:
    network = plan.striping.whole
    rows = [
        (
            layer.name,
            layer.op.kind.value,
            layer.op.activation.value if layer.op.activation is not None else "",
            " ".join(layer.sources),
            len(layer.weights),
            " ".join(layer.fused),
        )
        for layer in network.layers
    ]
    return "layers in order", ("layer", "kind", "activation", "reads", "constants", "fused"), rows


def _place(graph: Graph, plan: Plan) -> Shown:
    placements = [plan.placements[index] for index in plan.striping.whole_place.tolist()]
    rows = [
        (layer.name, layer.op.kind.value, _engine(placement.engine), placement.dtype, placement.reason)
        for layer, placement in zip(plan.striping.whole.layers, placements, strict=True)
    ]
    return "layers and where they run", ("layer", "kind", "engine", "dtype", "why the host"), rows


def _stripe(graph: Graph, plan: Plan) -> Shown:
    layers, chains = plan.striping.whole.layers, plan.striping.chains
    rows = [
        (
            layers[chain.first].name,
            layers[chain.last].name,
            chain.last - chain.first + 1,
            chain.stripes,
            round(100 * chain.halo, 2),
            chain.bytes_before,
            chain.bytes_after,
            round(1e6 * chain.before_s, 3),
            round(1e6 * chain.after_s, 3),
            chain.refused or "taken",
        )
        for chain in chains
    ]
    taken = [chain for chain in chains if chain.taken]
    saved = sum(chain.bytes_before - chain.bytes_after for chain in taken)
    title = (
        f"chains whose intermediate results would leave the scratchpad; {len(taken)} of {len(chains)} run in stripes "
        f"and move {saved} bytes less, {plan.halo_macs} MACs are done twice"
    )
    return title, (
        "first layer", "last layer", "layers", "stripes", "halo %", "bytes whole", "bytes in stripes", "us whole",
        "us in stripes", "verdict",
    ), rows  # fmt: skip


def _geometry(graph: Graph, plan: Plan) -> Shown:
    names = [column.name for column in fields(Geometry)]
    columns = [getattr(plan.shapes, name).tolist() for name in names]
    rows = list(zip(_layers(plan), *columns, strict=True))
    return f"layers; {int(plan.shapes.macs.sum())} MACs in all", ("layer", *names), rows


def _split(graph: Graph, plan: Plan) -> Shown:
    split, names = plan.split, [strategy.name.lower() for strategy in Strategy]
    halo = halo_bytes(plan.shapes, split).tolist()
    rows: list[tuple[Cell, ...]] = []
    for index, layer in enumerate(plan.network.layers):
        prices = split.price_s[index].tolist()
        everywhere = [name for name in layer.outputs if name not in split.segmented]
        rows.append(
            (
                layer.name,
                names[int(split.strategy[index])],
                int(split.pieces[index]),
                int(split.shapes.rows[index]),
                int(split.shapes.outputs[index]),
                halo[index],
                "segments" if not everywhere else "every tile",
                *(round(price * 1e6, 3) if np.isfinite(price) else "one part only" for price in prices),
                _why_split(prices, int(split.strategy[index]), plan.chip.tiles),
            )
        )
    columns = ("layer", "split over", "tiles", "rows a tile", "channels a tile", "halo bytes", "output in",
               *(f"price of {name}, us" for name in names), "why")  # fmt: skip
    counts = ", ".join(
        f"{count} {name}" for name, count in zip(names, np.bincount(split.strategy, minlength=3), strict=True)
    )
    return f"layers on {plan.chip.tiles} tiles of the chip: {counts}", columns, rows


def _why_split(prices: list[float], chosen: int, tiles: int) -> str:
    """Say why a layer is split as it is."""
    names = [strategy.name.lower() for strategy in Strategy]
    others = [way for way in range(len(prices)) if way != chosen and np.isfinite(prices[way])]
    if tiles == 1 or not others:
        return "the chip has one tile" if tiles == 1 else "nothing to divide"
    second = min(others, key=lambda way: prices[way])
    gain = prices[second] - prices[chosen]
    if gain <= 0:
        return f"as good as {names[second]}"
    return f"{gain * 1e6:.3g} us less than {names[second]}"


def _reside(graph: Graph, plan: Plan) -> Shown:
    residency, layers = plan.residency, _layers(plan)
    place = [residency.names[index] if index >= 0 else "" for index in residency.in_place_of.tolist()]
    rows = list(
        zip(
            residency.names,
            residency.bytes.tolist(),
            [layers[index] for index in residency.first.tolist()],
            [layers[index] for index in residency.last.tolist()],
            ["stays" if stays else "moves" for stays in residency.resident.tolist()],
            place,
            strict=True,
        )
    )
    peak = int(residency.live_bytes.max(initial=0))
    title = f"activations; at most {peak} bytes of them in the scratchpad at once"
    return title, ("tensor", "bytes", "written by", "last read by", "scratchpad", "in place of"), rows


def _cache(graph: Graph, plan: Plan) -> Shown:
    weights, cached = plan.shapes.constant_bytes.tolist(), plan.caching.cached.tolist()
    rows = [
        (layer, size, "cached" if kept else "read by rows" if row else "streamed")
        for layer, size, kept, row in zip(_layers(plan), weights, cached, plan.shapes.row_bytes.tolist(), strict=True)
        if size
    ]
    return f"layers with weights; {plan.caching.bytes} bytes stay on the chip", ("layer", "bytes", "weights"), rows


def _tile(graph: Graph, plan: Plan) -> Shown:
    tiling = plan.tiling
    columns: list[list[Any]] = [
        tiling.tiles.tolist(),
        tiling.row_groups.tolist(),
        tiling.channel_groups.tolist(),
        tiling.channels.tolist(),
        tiling.parts.tolist(),
        ["rows" if rows else "channels" for rows in tiling.rows_outer.tolist()],
        tiling.load_bytes.tolist(),
        tiling.stream_bytes.tolist(),
        tiling.store_bytes.tolist(),
    ]
    names = ("layer", "tiles", "row groups", "channel groups", "channels a tile", "input parts",
             "outer loop", "input bytes", "weight bytes", "output bytes")  # fmt: skip
    rows = [
        row
        for row, placement in zip(zip(_layers(plan), *columns, strict=True), plan.placements, strict=True)
        if placement.engine != Engine.HOST
    ]
    return f"layers on the chip; {len(plan.tiles)} tiles in all, bytes are what moves", names, rows


def _cut(graph: Graph, plan: Plan) -> Shown:
    tiles, layers = plan.tiles, _layers(plan)
    columns: list[list[Any]] = [
        [layers[index] for index in tiles.layer.tolist()],
        [_engine(Engine(engine)) for engine in tiles.engine.tolist()],
        np.round(tiles.cycles, 1).tolist(),
        [plan.cost_model.sources[index] for index in tiles.source.tolist()],
        tiles.macs.tolist(),
        tiles.input_bytes.tolist(),
        tiles.weight_bytes.tolist(),
        tiles.output_bytes.tolist(),
    ]
    names = ("tile", "layer", "engine", "cycles", "priced by", "MACs", "loads input", "loads weights", "stores")
    rows = list(zip(range(len(tiles)), *columns, strict=True))
    return "tiles in the order in which they are computed, bytes", names, rows


def _allocate(graph: Graph, plan: Plan) -> Shown:
    found, layers, size = plan.allocation, _layers(plan), int(plan.chip.scratchpad.size.value)
    columns = found.buffers
    rows: list[tuple[Cell, ...]] = [
        (layers[index], "cached weights", int(found.weights[index]), int(plan.shapes.constant_bytes[index]), 0,
         len(plan.tiles) - 1, "")
        for index in np.flatnonzero(plan.caching.cached).tolist()
    ]  # fmt: skip
    for one in np.lexsort((found.address, columns.begin)).tolist():
        kind, owner = BufferKind(int(columns.kind[one])), int(columns.owner[one])
        last = int(columns.end[one]) + int(columns.by_store[one])  # a store may last while the next tile runs
        span = (max(0, int(columns.begin[one])), min(last, len(plan.tiles) - 1))
        owned = plan.residency.names[owner] if kind == BufferKind.ACTIVATION else layers[owner]
        rows.append((owned, kind.name.lower(), int(found.address[one]), int(columns.bytes[one]), *span, ""))
    rows += [(spill.tensor, "spilled", "", spill.bytes, "", "", spill.why) for spill in found.spills]
    live = plan.caching.bytes + int(occupied_bytes(plan).max(initial=0))
    title = (
        f"buffers; highest address {found.peak_bytes} of {size}, {live} bytes in use at most "
        f"({1 - live / max(1, found.peak_bytes):.1%} lost to holes), {len(found.spills)} spilled, "
        f"{len(found.fences)} layers fenced"
    )
    return title, ("layer or tensor", "kind", "address", "bytes", "from tile", "to tile", "why"), rows


def _barriers(graph: Graph, plan: Plan) -> Shown:
    limit = plan.chip.control.barriers
    control = plan.chip.control.model_copy(update={"barriers": UNLIMITED if limit is None else limit})
    program = emit(replace(plan, chip=plan.chip.model_copy(update={"control": control})))
    found, tasks = program.barriers, program.tasks
    assert found is not None

    def named(members: list[int]) -> str:
        return ", ".join(f"{tasks.kinds[int(tasks.kind[task])]} {task}" for task in members)

    rows = [
        (
            barrier,
            "all queues meet" if found.meets[barrier] else "",
            int(found.unit[barrier]) if found.unit[barrier] >= 0 else "",
            int(found.previous[barrier]) if found.previous[barrier] >= 0 else "",
            named(found.producers.of(barrier)),
            named(found.consumers.of(barrier)),
        )
        for barrier in range(len(found))
    ]
    title = (
        f"barriers; at most {found.peak} in use at once of {'as many as it takes' if limit is None else limit}, "
        f"{len(found.waits[0])} waits until one is free, {int(found.meets.sum())} meetings of all queues"
    )
    return title, ("barrier", "kind", "physical", "after", "producers", "consumers"), rows


def _emit(graph: Graph, plan: Plan) -> Shown:
    tasks = emit(plan).tasks
    names = tasks.resources.names
    waits = np.bincount(tasks.edges.index, minlength=len(tasks)).tolist()
    rows = [
        (
            task,
            tasks.kinds[int(tasks.kind[task])],
            tasks.labels[int(tasks.label[task])],
            " ".join(names[index] for index in tasks.demands.index[tasks.demands.row(task)].tolist()),
            int(tasks.latency[task]),
            int(tasks.duration[task]),
            int(tasks.bytes[task]),
            waits[task],
            int(tasks.leases.units[tasks.members.index[tasks.members.row(task)]].sum()),
        )
        for task in range(len(tasks))
    ]
    columns = (
        "task",
        "kind",
        "layer or tensor",
        "queue",
        "latency ps",
        "work ps",
        "bytes",
        "waits for",
        "leased bytes",
    )
    return f"tasks of the event engine, {len(tasks.leases)} leases", columns, rows


SHOWN: Final[dict[str, Callable[[Graph, Plan], Shown]]] = {
    "recognise": _recognise, "fold": _fold, "lower": _lower, "fuse": _fuse, "place": _place, "stripe": _stripe,
    "geometry": _geometry, "split": _split, "reside": _reside, "cache": _cache, "tile": _tile, "cut": _cut,
    "allocate": _allocate, "barriers": _barriers, "emit": _emit,
}  # fmt: skip
"Name of each pass, in the order in which the compiler runs them, and how to show it."


def _layers(plan: Plan) -> list[str]:
    return [layer.name for layer in plan.network.layers]


def _engine(engine: Engine) -> str:
    return engine.name.lower()


def _shape(graph: Graph, tensor: str) -> str:
    return "x".join(str(size) for size in graph.tensors[tensor].shape)
