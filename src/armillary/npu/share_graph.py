"""Several networks in one task graph: what they share, and whose turn it is.

In:  `Party`s: the program of one inference each, its turns, its arrivals, its level of urgency.
Out: `Shared`: one `TaskGraph`, and the inference of each task.
Servers and links are the chip's, and serve the most urgent first; pools are each party's own.
Arrival is a release time. Inferences of one party follow one another. Each asks for its turn when it has arrived, and
again when its host is done:
- one pool a level, "Order", of one unit, held for the turn: equals go in the order in which they asked;
- one pool a level but the first, "Gate", of as many units as there are more urgent levels. A turn takes one unit of
  the gate of every less urgent level; a segment takes all units of its own. So a segment begins only when nothing more
  urgent is on, and whoever is more urgent begins when the segment that runs has ended.
A turn waits only for its equals and for segments, a segment only for more urgent turns: no circle, no deadlock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine import EdgeKind, GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.columns import TASK_COLUMNS
from armillary.npu.emit import Program
from armillary.npu.geometry import IntArray
from armillary.npu.turns import Segment, Turns

ARRIVE, DONE, ASK = "arrive", "done", "turn"


@dataclass(frozen=True, slots=True)
class Party:
    """One network on the chip."""

    name: str
    program: Program  # of one inference
    turns: Turns
    level: int  # 0 is the most urgent; every level up to the highest has a party
    arrival: IntArray  # ticks, ascending, shape (inferences,)


@dataclass(frozen=True, slots=True)
class Shared:
    """All parties in one graph; `arrive`, `done` and `asks` of each party have a row an inference."""

    graph: TaskGraph
    party: IntArray  # of each task, shape (tasks,)
    segment: IntArray  # of each task over all inferences, -1: it computes nothing, shape (tasks,)
    arrive: tuple[IntArray, ...]
    done: tuple[IntArray, ...]
    asks: tuple[IntArray, ...]  # shape (inferences, turns)


@dataclass(frozen=True, slots=True)
class _Level:
    """The pools of one level; no gate where nothing is more urgent."""

    order: int
    gate: int
    above: int  # levels that are more urgent


def join(parties: Sequence[Party]) -> Shared:
    """Return all inferences of `parties` as one graph."""
    build = GraphBuilder(tick_s=parties[0].program.tasks.tick_s)
    levels = [
        _Level(build.pool(f"Order {level}", units=1), build.pool(f"Gate {level}", units=level) if level else -1, level)
        for level in range(1 + max(party.level for party in parties))
    ]
    known: dict[str, int] = {}
    owner: list[IntArray] = []
    segment: list[IntArray] = []
    arrive: list[IntArray] = []
    done: list[IntArray] = []
    asks: list[IntArray] = []
    segments = 0
    for number, party in enumerate(parties):
        begin = len(build)
        first = _copies(build, party, known)
        ends = _in_sequence(build, party, first)
        arrive.append(ends[0])
        done.append(ends[1])
        asks.append(_take_turns(build, party, levels, first, ends[0]))
        owner.append(np.full(len(build) - begin, number))
        each = 1 + int(party.turns.segment.max(initial=-1))
        at = segments + each * np.arange(len(first))[:, None] + party.turns.segment
        numbered = np.where(party.turns.segment < 0, -1, at).ravel()
        segment.append(np.append(numbered, np.full(len(build) - begin - len(numbered), -1)))
        segments += each * len(first)
    return Shared(
        build.build(), np.concatenate(owner), np.concatenate(segment), tuple(arrive), tuple(done), tuple(asks)
    )


def _copies(build: GraphBuilder, party: Party, known: dict[str, int]) -> IntArray:
    """Add the program of `party` once an inference; return the first task of each, shape (inferences,)."""
    graph, times = party.program.tasks, len(party.arrival)
    count, leases = len(graph), len(graph.leases)
    number = _resources(build, graph, party.name, known)
    columns = {name: np.tile(getattr(graph, name), times) for name in TASK_COLUMNS if name != "priority"}
    names = [f"{party.name}: {label}" for label in graph.labels]
    labels = [names[index] for index in graph.label.tolist()] * times
    first = build.tasks(count * times, labels=labels, kind=party.name, priority=party.level, **columns).start
    start = first + count * np.arange(times)
    for lists, add in ((graph.demands, build.demand), (graph.crossings, build.cross)):
        add(_rows(lists.offset, start), np.tile(number[lists.index], times), np.tile(lists.value, times))
    flags = np.tile(graph.edges.value, times)
    source, target = _rows(graph.edges.offset, start), _shifted(graph.edges.index, start)
    for flag in np.unique(flags).tolist():
        chosen = flags == flag
        build.edge(source[chosen], target[chosen], kind=EdgeKind(flag & 1), keep=bool(flag & 2))
    held = zip(graph.leases.pool.tolist(), graph.leases.units.tolist(), graph.leases.until_start.tolist(), strict=True)
    once = [(int(number[pool]), units, until_start) for pool, units, until_start in held]
    taken = [build.lease(pool, units, until_start=until_start) for pool, units, until_start in once * times]
    lease = (taken[0] if taken else 0) + leases * np.arange(times)
    build.member(_rows(graph.members.offset, start), _shifted(graph.members.index, lease))
    return start


def _resources(build: GraphBuilder, graph: TaskGraph, name: str, known: dict[str, int]) -> IntArray:
    """Return the number in `build` of each resource of `graph`; servers and links are there once."""
    table, numbers = graph.resources, []
    for index, resource in enumerate(table.names):
        match ResourceKind(int(table.kind[index])):
            case ResourceKind.POOL:
                numbers.append(build.pool(f"{resource}: {name}", units=int(table.units[index])))
                continue
            case ResourceKind.LINK if resource not in known:
                known[resource] = build.link(resource, capacity=float(table.capacity[index]))
            case ResourceKind.SERVER if resource not in known:
                units, backfill = int(table.units[index]), bool(table.backfill[index])
                known[resource] = build.server(resource, units=units, backfill=backfill)
        numbers.append(known[resource])
    return np.array(numbers, np.int64)


def _in_sequence(build: GraphBuilder, party: Party, first: IntArray) -> tuple[IntArray, IntArray]:
    """Let every inference begin when it has arrived and the one before is done; return (arrivals, ends)."""
    graph, times = party.program.tasks, len(first)
    arrive = _joins(build, party, ARRIVE, times, release=party.arrival)
    done = _joins(build, party, DONE, times)
    begins = np.flatnonzero(np.bincount(graph.edges.index, minlength=len(graph)) == 0)
    ends = np.flatnonzero(np.diff(graph.edges.offset) == 0)
    build.edge(np.repeat(arrive, len(begins)), _shifted(begins, first))
    build.edge(_shifted(ends, first), np.repeat(done, len(ends)))
    build.edge(done[:-1], arrive[1:])
    return arrive, done


def _take_turns(build: GraphBuilder, party: Party, levels: list[_Level], first: IntArray, arrive: IntArray) -> IntArray:
    """Add the turns of all inferences; return the tasks that ask for them, shape (inferences, turns)."""
    times, mine, lower = len(first), levels[party.level], levels[party.level + 1 :]
    asks: list[IntArray] = []
    previous: Segment | None = None
    for turn in party.turns.turns:
        ask = _joins(build, party, ASK, times)
        asks.append(ask)
        build.edge(arrive, ask)
        if turn.after_host is not None:
            build.edge(first + turn.after_host, ask)
        for task in previous.last if previous is not None else ():
            build.edge(first + task, ask)
        for task in turn.segments[0].first:
            build.edge(ask, first + task)
        # An engine may do its last task of the turn in any of its segments.
        last = {task for segment in turn.segments for task in segment.last}
        members = np.stack([ask, *(first + task for task in sorted(last))], axis=1)
        for pool in (mine.order, *(level.gate for level in lower)):
            _hold(build, pool, 1, members)
        if mine.above:
            for segment in turn.segments:
                tasks = sorted({*segment.first, *segment.last})
                _hold(build, mine.gate, mine.above, np.stack([first + task for task in tasks], axis=1))
        previous = turn.segments[-1]
    return np.stack(asks, axis=1) if asks else np.zeros((times, 0), np.int64)


def _joins(build: GraphBuilder, party: Party, what: str, times: int, release: IntArray | int = 0) -> IntArray:
    """Add a task without length for each inference; return them, shape (inferences,)."""
    labels = [f"{party.name}: {what} {number}" for number in range(times)]
    ids = build.tasks(times, labels=labels, kind=party.name, priority=party.level, release=release)
    return np.array(ids, np.int64)


def _hold(build: GraphBuilder, pool: int, units: int, members: npt.NDArray[np.int64]) -> None:
    """Add a lease for each row of `members`."""
    leases = [build.lease(pool, units) for _ in range(len(members))]
    build.member(members.ravel(), np.repeat(leases, members.shape[1]))


def _rows(offset: npt.NDArray[np.int32], start: IntArray) -> IntArray:
    """Return the task of each entry of a ragged list, in every copy that begins at `start`."""
    return _shifted(np.repeat(np.arange(len(offset) - 1), np.diff(offset)), start)


def _shifted(index: npt.NDArray[np.integer], start: IntArray) -> IntArray:
    """Return `index` counted from each of `start`, one after the other."""
    return (start[:, None] + index[None, :]).ravel().astype(np.int64)
