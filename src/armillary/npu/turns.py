"""Where a network may be interrupted: between layers, at points that all of its engines pass together.

In:  the `Program` of one inference. Out: `Turns`: its segments, and the turns that they are taken in.
A segment is a run of tiles that nothing interrupts: one layer, or several that overlap (branches on two engines, layers
fused tile by tile). It begins where every engine's first tile of the later layers can start only after the last tile of
the earlier ones has ended on every engine: to stop there delays nothing. A turn is a series of segments without host
work in between: a network that waits for its host gives the chip away.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine import EdgeKind, TaskGraph
from armillary.npu.emit import Program
from armillary.npu.geometry import IntArray

BoolArray = npt.NDArray[np.bool_]
COMPUTING = ("array", "vector")
ON_HOST = "host"


@dataclass(frozen=True, slots=True)
class Segment:
    """Tasks that run without interruption: the first and the last one of each engine that it uses."""

    first: tuple[int, ...]
    last: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Turn:
    """Segments in their order, and the host's task that they wait for."""

    segments: tuple[Segment, ...]
    after_host: int | None


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of one inference, and the segment of each task (-1: it computes nothing), shape (tasks,)."""

    turns: tuple[Turn, ...]
    segment: IntArray


def turns(program: Program) -> Turns:
    """Return where an inference of `program` may be interrupted."""
    graph, layer = program.tasks, program.layer
    computing = _of_kinds(graph, COMPUTING)
    segment = np.full(len(graph), -1, np.int64)
    if not computing.any():
        return Turns((), segment)
    order = topological(graph)
    chains = _chains(graph, computing, order)
    host = order[_of_kinds(graph, (ON_HOST,))[order]]
    ended = _ended_before(graph, order, [*chains, host])
    layers = np.unique(layer[computing])
    # Tiles of each chain that belong to earlier layers than each one, shape (layers, chains).
    before = np.stack([np.searchsorted(np.sort(layer[chain]), layers) for chain in chains], axis=1)
    on_host_before = np.searchsorted(np.sort(layer[host]), layers)
    apart = _apart(chains, layer, layers, before)
    cuts: list[int] = []  # places in `layers` at which a segment begins
    resumes: list[bool] = []  # whether it waits for host work that the one before does not
    for place, count in enumerate(before.tolist()):
        # What each engine does first of the later layers.
        first = [int(chain[done]) for chain, done in zip(chains, count, strict=True) if done < len(chain)]
        if place and not (apart[place] and (ended[first, : len(chains)] >= before[place]).all()):
            continue
        between = bool(cuts) and on_host_before[place] > on_host_before[cuts[-1]]
        cuts.append(place)
        resumes.append(bool(between and (ended[first, -1] >= on_host_before[place]).all()))
    cut_of = np.searchsorted(layers[cuts], layer[computing], side="right") - 1
    segment[computing] = cut_of
    return Turns(_grouped(chains, segment, host, ended, resumes), segment)


def _grouped(
    chains: list[IntArray], segment: IntArray, host: IntArray, ended: IntArray, resumes: list[bool]
) -> tuple[Turn, ...]:
    """Put segments together to turns."""
    found: list[tuple[list[Segment], int | None]] = []
    bounds = [np.searchsorted(segment[chain], np.arange(len(resumes) + 1)) for chain in chains]
    for number, resumed in enumerate(resumes):
        spans = [(chain, int(at[number]), int(at[number + 1])) for chain, at in zip(chains, bounds, strict=True)]
        used = [(int(chain[begin]), int(chain[end - 1])) for chain, begin, end in spans if end > begin]
        item = Segment(tuple(first for first, _ in used), tuple(last for _, last in used))
        if resumed or not found:
            # All that an engine's later tiles wait for: the chain of the host is in order.
            waited = min(int(ended[chain[begin], -1]) for chain, begin, _ in spans if begin < len(chain))
            found.append(([], int(host[waited - 1]) if waited else None))
        found[-1][0].append(item)
    return tuple(Turn(tuple(segments), after) for segments, after in found)


def topological(graph: TaskGraph) -> IntArray:
    """Return the tasks such that every edge leads forward, shape (tasks,)."""
    offset, target = graph.edges.offset.tolist(), graph.edges.index.tolist()
    waiting = np.bincount(graph.edges.index, minlength=len(graph)).tolist()
    ready = deque(task for task, count in enumerate(waiting) if not count)
    order: list[int] = []
    while ready:
        task = ready.popleft()
        order.append(task)
        for follower in target[offset[task] : offset[task + 1]]:
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    return np.array(order, np.int64)


def _of_kinds(graph: TaskGraph, kinds: tuple[str, ...]) -> BoolArray:
    return np.isin(graph.kind, [number for number, kind in enumerate(graph.kinds) if kind in kinds])


def _chains(graph: TaskGraph, computing: BoolArray, order: IntArray) -> list[IntArray]:
    """Return the computing tasks of every engine in the order of its queue."""
    task = np.repeat(np.arange(len(graph)), np.diff(graph.demands.offset))
    rank = np.empty(len(graph), np.int64)
    rank[order] = np.arange(len(order))
    engines = np.unique(graph.demands.index[computing[task]]).tolist()
    on_engine = [task[computing[task] & (graph.demands.index == engine)] for engine in engines]
    return [tasks[np.argsort(rank[tasks])].astype(np.int64) for tasks in on_engine]


def _apart(chains: list[IntArray], layer: IntArray, layers: IntArray, before: IntArray) -> BoolArray:
    """Tell for each layer whether every engine does all of the earlier layers before it, shape (layers,)."""
    apart = np.ones(len(layers), np.bool_)
    for chain, count in zip(chains, before.T, strict=True):
        latest = np.append(-1, np.maximum.accumulate(layer[chain]))
        apart &= latest[count] < layers
    return apart


def _ended_before(graph: TaskGraph, order: IntArray, chains: list[IntArray]) -> IntArray:
    """Return how many tasks of each chain have ended when a task starts, by edges alone, shape (tasks, chains)."""
    before = np.zeros((len(graph), len(chains)), np.int64)
    own = np.zeros((len(graph), len(chains)), np.int64)
    for number, chain in enumerate(chains):
        own[chain, number] = np.arange(1, len(chain) + 1)
    offset, target = graph.edges.offset.tolist(), graph.edges.index
    at_start = (graph.edges.value & 1) == EdgeKind.START
    plain = not at_start.any()
    for task in order.tolist():
        edges = slice(offset[task], offset[task + 1])
        after, followers = np.maximum(before[task], own[task]), target[edges]
        if plain:
            before[followers] = np.maximum(before[followers], after)
        else:
            known = np.where(at_start[edges, None], before[task], after)
            before[followers] = np.maximum(before[followers], known)
    return before
