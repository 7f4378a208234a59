"""What must hold for every network on every chip, checked on what was simulated.

In:  `played(graph, chip)`: a `Played`, the plan, its tasks and their timeline.
Out: nothing; every check of `CHECKS` asserts one law and says which layer or task breaks it.
Sums and times are taken from the tasks that ran, by kind and by name, and compared with what the network and the chip
say; of the compiler's own columns only the claims are used (which tensor stays, which weights are cached), and each
claim is checked against the leases and transfers that it implies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import ResourceKind
from armillary.engine.simulate import simulate
from armillary.engine.trace import Reason
from armillary.hardware import Chip
from armillary.npu import Plan, Program, compile_network, emit
from armillary.npu.fuse import Layer
from armillary.npu.place import Engine
from armillary.npu.strategies import Strategy
from armillary.timeline import Timeline
from armillary.workload import Graph, OpKind, operator_macs
from tests.npu.places import check_addresses, check_barriers, lease_spans

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
COMPUTE, LOADS = ("array", "vector", "host"), ("weights", "input")
POOL = "Scratchpad"
# Which rows of these an inference reads is known at run time only.
_BY_ROWS = frozenset({OpKind.GATHER, OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE})


@dataclass(frozen=True, slots=True)
class Played:
    """A network as it ran on a chip."""

    graph: Graph
    chip: Chip
    plan: Plan
    program: Program
    timeline: Timeline

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.plan.network.layers

    def tasks(self, layer: int, *kinds: str) -> IntArray:
        """The tasks of these kinds that belong to `layer`."""
        mine = self.program.layer == layer
        return np.flatnonzero(mine & np.isin(self.timeline.kind, self._kinds(kinds)))

    def link_tasks(self, kind: str, tensor: str) -> IntArray:
        """The arrival or departure of `tensor` over the host link, if there is one."""
        label = [number for number, name in enumerate(self.timeline.labels) if name == tensor]
        return np.flatnonzero(np.isin(self.timeline.kind, self._kinds((kind,))) & np.isin(self.timeline.label, label))

    def moved_bytes(self, *kinds: str) -> float:
        return float(self.timeline.bytes[np.isin(self.timeline.kind, self._kinds(kinds))].sum())

    def bytes_of_layers(self, kind: str) -> FloatArray:
        """The bytes that each layer moves, shape (layers,)."""
        at = np.flatnonzero(np.isin(self.timeline.kind, self._kinds((kind,))))
        moved = np.bincount(self.program.layer[at], weights=self.timeline.bytes[at], minlength=len(self.layers))
        return moved.astype(np.float64)

    @property
    def encoding(self) -> float:
        """Bytes that move for each byte of weights."""
        return 1.0 if self.chip.weight_memory is None else self.chip.weight_memory.compression.value

    def on_host(self, layer: int) -> bool:
        return self.plan.placements[layer].engine == Engine.HOST

    def tensor_bytes(self, tensor: str) -> int:
        return self.plan.network.graph.tensors[tensor].bytes

    def _kinds(self, kinds: tuple[str, ...]) -> list[int]:
        return [number for number, kind in enumerate(self.timeline.kinds) if kind in kinds]


def played(graph: Graph, chip: Chip) -> Played:
    """Compile and simulate; errors of the compiler pass through."""
    plan = compile_network(graph, chip)
    program = emit(plan)
    return Played(graph, chip, plan, program, Timeline.from_trace(simulate(program.tasks)))


def every_task_ends(run: Played) -> None:
    """No deadlock: the engine stopped since all was done, and every task began and ended."""
    assert run.timeline.reason == Reason.IDLE
    assert np.all(run.timeline.start >= 0)
    assert np.all(run.timeline.end >= run.timeline.start)


def what_is_read_was_written(run: Played) -> None:
    """Each layer begins to read a tensor when the layer or arrival that makes it has ended, and its store has too."""
    writer = {name: index for index, layer in enumerate(run.layers) for name in layer.outputs}
    for reader, layer in enumerate(run.layers):
        for name in layer.sources:
            ready = _written_at(run, name, writer)
            readers = _readers(run, reader, name)
            assert len(readers), f"{layer.name} never reads {name}"
            begins = int(run.timeline.start[readers].min())
            assert begins >= ready, f"{layer.name} reads {name} at {begins}, which is written at {ready}"
    for name in run.plan.network.outputs:
        ready = _written_at(run, name, writer)
        leaves = run.timeline.start[run.link_tasks("departure", name)]
        assert np.all(leaves >= ready), f"{name} leaves before it is written"


def _written_at(run: Played, name: str, writer: dict[str, int]) -> int:
    """Return when the last byte of `name` lies where its readers read it, ticks."""
    end = run.timeline.end
    if name not in writer:
        return int(end[run.link_tasks("arrival", name)].max(initial=0))
    made = run.tasks(writer[name], *COMPUTE)
    assert len(made), f"nothing makes {name}"
    if not run.on_host(writer[name]) and not run.plan.residency.stays(name):
        stores = run.tasks(writer[name], "output")
        assert len(stores), f"{name} does not stay and is never stored"
        made = np.concatenate([made, stores])
    return int(end[made].max())


def _readers(run: Played, reader: int, name: str) -> IntArray:
    """Return the tasks of layer `reader` that read `name`: its loads, or what computes where the tensor stays."""
    if run.on_host(reader) or run.plan.residency.stays(name):
        return run.tasks(reader, *COMPUTE)
    return run.tasks(reader, "input")


def loads_come_before_computing(run: Played) -> None:
    """A layer begins when its first load has ended, and its last tile when all have; its stores begin after tiles."""
    start, end = run.timeline.start, run.timeline.end
    for index, layer in enumerate(run.layers):
        computing = run.tasks(index, *COMPUTE)
        for kind in LOADS:
            loads = run.tasks(index, kind)
            if len(loads):
                assert start[computing].min() >= end[loads].min(), f"{layer.name} computes before its first {kind}"
                assert start[computing].max() >= end[loads].max(), f"{layer.name} ends without its last {kind}"
        stores = run.tasks(index, "output")
        if len(stores):
            assert start[stores].min() >= end[computing].min(), f"{layer.name} stores before a tile is done"
            assert start[stores].max() >= end[computing].max(), f"{layer.name} stores its last bytes too early"


def what_stays_is_held(run: Played) -> None:
    """A tensor that stays has a lease of its size from its writer's first task to its last reader's last one."""
    tasks, start, end = run.program.tasks, run.timeline.start, run.timeline.end
    taken, returned = lease_spans(tasks, run.timeline)
    writer = {name: index for index, layer in enumerate(run.layers) for name in layer.outputs}
    for name in run.plan.residency.staying:
        users = [run.tasks(index, *COMPUTE) for index, layer in enumerate(run.layers) if name in layer.sources]
        users.append(run.tasks(writer[name], *COMPUTE) if name in writer else run.link_tasks("arrival", name))
        users = [ids for ids in users if len(ids)]
        assert users, f"{name} stays and nothing uses it"
        held = np.concatenate(users)
        if name not in writer and name in run.plan.split.segmented:
            # Rows between strides, which nothing reads, lie in no segment.
            whole = all(_reads_all(layer) for layer in run.layers if name in layer.sources)
        else:
            whole = True
        covers = (taken <= start[held].min()) & (returned >= end[held].max())
        enough = tasks.leases.units * run.chip.tiles >= (run.tensor_bytes(name) if whole else 1)
        assert np.any(covers & enough), f"{name} stays without a lease"


def what_moves_has_a_place(run: Played) -> None:
    """Every load and store holds leases of its bytes at least (on every hardware tile, where there are several)."""
    tasks = run.program.tasks
    held = np.zeros(len(tasks), np.int64)
    task = np.repeat(np.arange(len(tasks)), np.diff(tasks.members.offset))
    np.add.at(held, task, tasks.leases.units[tasks.members.index])
    for index, layer in enumerate(run.layers):
        moves = run.tasks(index, *LOADS, "output")
        short = moves[held[moves] * run.chip.tiles < run.timeline.bytes[moves]]
        assert not len(short), f"{layer.name} moves {run.timeline.bytes[short]} bytes into {held[short]}"


def scratchpad_is_never_overfull(run: Played) -> None:
    """In use = sum of the leases that are out, added up here anew, <= the pool <= the scratchpad, at every tick."""
    tasks, timeline = run.program.tasks, run.timeline
    taken, returned = lease_spans(tasks, timeline)
    for pool in np.flatnonzero(tasks.resources.kind == ResourceKind.POOL).tolist():
        mine = tasks.leases.pool == pool
        tick = np.concatenate([taken[mine], returned[mine]])
        change = np.concatenate([tasks.leases.units[mine], -tasks.leases.units[mine]])
        # Within a tick releases come first.
        order = np.lexsort((change, tick))
        in_use = np.cumsum(change[order])
        peak = int(in_use.max(initial=0))
        assert peak <= tasks.resources.units[pool]
        # What is in use counts after all that happens in a tick, so a lease of no duration is not seen there.
        settled = np.diff(tick[order], append=np.iinfo(np.int64).max) > 0
        assert timeline.in_use(tasks.resources.names[pool]).peak == int(in_use[settled].max(initial=0))
        if tasks.resources.names[pool].startswith(POOL):
            whole = (tasks.resources.units[pool] + run.plan.caching.bytes) * run.chip.tiles
            assert whole <= run.chip.scratchpad.size.value


def queues_keep_their_order(run: Played) -> None:
    """A queue runs one task at a time, and tasks of a kind in the order in which they were issued."""
    tasks, timeline = run.program.tasks, run.timeline
    task = np.repeat(np.arange(len(tasks)), np.diff(tasks.demands.offset))
    for server in np.flatnonzero(tasks.resources.kind == ResourceKind.SERVER).tolist():
        mine = task[tasks.demands.index == server]
        order = mine[np.lexsort((timeline.end[mine], timeline.start[mine]))]
        name = tasks.resources.names[server]
        assert np.all(timeline.start[order][1:] >= timeline.end[order][:-1]), f"{name} runs two at once"
        for kind in np.unique(timeline.kind[mine]).tolist():
            alike = mine[timeline.kind[mine] == kind]
            assert np.all(np.diff(timeline.start[alike]) >= 0), f"{name} leaves the order of {timeline.kinds[kind]}"


def macs_are_conserved(run: Played) -> None:
    """Tiles add up to the operator, layers to the network and what stripes repeat."""
    found = [operator_macs(run.plan.network.graph, layer.op) for layer in run.layers]
    assert sum(found) - run.plan.halo_macs == run.graph.macs
    in_tiles = np.bincount(run.plan.tiles.layer, weights=run.plan.tiles.macs, minlength=len(found))
    for index, layer in enumerate(run.layers):
        assert run.on_host(index) or in_tiles[index] == found[index], layer.name


def stores_are_whole(run: Played) -> None:
    """What does not stay is stored once, to the byte; what stays is not."""
    for index, layer in enumerate(run.layers):
        stored = run.timeline.bytes[run.tasks(index, "output")].sum()
        outside = [name for name in layer.outputs if not run.plan.residency.stays(name)]
        assert stored == (0 if run.on_host(index) else sum(run.tensor_bytes(name) for name in outside)), layer.name


def traffic_is_at_least_compulsory(run: Played) -> None:
    """Every tensor that does not stay is loaded; inputs and outputs of the network cross the host link once."""
    network, stays = run.plan.network, run.plan.residency.stays
    for index, layer in enumerate(run.layers):
        if run.on_host(index):
            continue
        if _reads_all(layer):
            outside = sum(run.tensor_bytes(name) for name in layer.sources if not stays(name))
            assert run.timeline.bytes[run.tasks(index, "input")].sum() >= outside, layer.name
    if run.chip.host_link is not None:
        given = [name for name in network.inputs if run.chip.dram is not None or stays(name)]
        assert run.moved_bytes("arrival") == sum(run.tensor_bytes(name) for name in given)
        taken = network.outputs if run.chip.dram is not None else ()
        assert run.moved_bytes("departure") == sum(run.tensor_bytes(name) for name in taken)


def weights_come_from_memory_or_cache(run: Played) -> None:
    """Layers that share weights (stripes of one layer) load them once at least, encoded, unless they are cached.

    Each tile of the chip caches all weights of its layers, its share where output channels are split.
    """
    sharing: dict[tuple[str, ...], list[int]] = {}
    for index, layer in enumerate(run.layers):
        if not run.on_host(index) and layer.op.kind not in _BY_ROWS:
            sharing.setdefault(layer.weights, []).append(index)
    cached = run.plan.caching.cached
    for names, layers in sharing.items():
        kinds = COMPUTE if run.chip.streams_weights else ("weights",)
        loaded = sum(float(run.timeline.bytes[run.tasks(index, *kinds)].sum()) for index in layers)
        needed = 0 if cached[layers].any() else sum(run.tensor_bytes(name) for name in names)
        assert loaded >= needed * run.encoding * (1 - 1e-9), run.layers[layers[0]].name
    kept: dict[str, float] = {}
    for index in np.flatnonzero(cached).tolist():
        share = 1 / run.plan.split.pieces[index] if run.plan.split.strategy[index] == Strategy.CHANNELS else 1.0
        for name in run.layers[index].weights:
            kept[name] = min(share, kept.get(name, 1.0)) * run.tensor_bytes(name)
    assert run.plan.caching.bytes >= sum(kept.values()) * (1 - 1e-9)
    room = run.chip.parameter_cache.size.value if run.chip.parameter_cache is not None else 0
    assert run.plan.caching.bytes * run.chip.tiles <= room


def _reads_all(layer: Layer) -> bool:
    """True if every byte of the sources is needed: no piece of a slice, no rows between strides."""
    window = layer.op.window
    steps = window is not None and any(s > k for s, k in zip(window.stride, window.kernel, strict=True))
    return layer.reads == layer.sources and not steps


def energy_is_that_of_events(run: Played) -> None:
    """Sum over tasks = products, elements and bytes times their energies, each task rounded to a femtojoule.

    A transfer reads its memory once and writes the scratchpad of every tile of the chip that gets the same bytes.
    """
    chip, tiles, split = run.chip, run.plan.tiles, run.plan.split
    energy = chip.energy
    mac_j = [0.0 if run.on_host(i) else energy.mac[p.dtype].value for i, p in enumerate(run.plan.placements)]
    behind = energy.dram.value if chip.dram is not None else energy.host_link.value
    beyond = energy.dram.value if chip.dram is not None else energy.scratchpad.value
    from_memory = energy.weight_memory.value if chip.weight_memory is not None else behind
    for_rows = np.where(split.strategy == Strategy.ROWS, split.pieces, 1)
    for_channels = np.where(split.strategy == Strategy.CHANNELS, split.pieces / split.input_pieces, 1)
    written = (
        run.bytes_of_layers("weights") @ for_rows
        + run.bytes_of_layers("input") @ for_channels
        + run.moved_bytes(*COMPUTE[:2], "output")
    )
    expected_j = (
        sum(mac_j[i] * operator_macs(run.plan.network.graph, layer.op) for i, layer in enumerate(run.layers))
        + float(tiles.elements.sum()) * energy.vector_element.value
        + float(tiles.scratchpad_bytes.sum()) * energy.scratchpad.value
        + run.moved_bytes("input", "output") * behind
        + run.moved_bytes("weights", *COMPUTE[:2]) * from_memory
        + written * energy.scratchpad.value
        + run.moved_bytes("arrival", "departure") * (energy.host_link.value + beyond)
    )
    found_fj = run.timeline.energy_sum_fj()
    assert abs(found_fj - expected_j * 1e15) <= len(run.timeline) + 1e-9 * found_fj


def what_lives_at_once_lies_apart(run: Played) -> None:
    """No two leases that overlap on the timeline overlap in address, nor with cached weights."""
    check_addresses(run.plan, run.program, run.timeline)


def barriers_serve_one_at_a_time(run: Played) -> None:
    """A physical barrier is free when all consumers of the one before have started; no more are used than there are."""
    check_barriers(run.program, run.timeline, run.chip.control.barriers)


CHECKS = (
    every_task_ends, what_is_read_was_written, loads_come_before_computing, what_stays_is_held, what_moves_has_a_place,
    scratchpad_is_never_overfull, queues_keep_their_order, macs_are_conserved, stores_are_whole,
    traffic_is_at_least_compulsory, weights_come_from_memory_or_cache, energy_is_that_of_events,
    what_lives_at_once_lies_apart, barriers_serve_one_at_a_time,
)  # fmt: skip
"All laws of one inference."


def check(run: Played) -> None:
    """Assert all of `CHECKS`."""
    for law in CHECKS:
        law(run)
