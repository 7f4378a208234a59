"""Laws of causes and of the critical path."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from armillary.engine.graph import EdgeKind, GraphBuilder
from armillary.engine.reference import ReferenceSimulation
from armillary.engine.trace import Reason, Status
from armillary.errors import InputError
from armillary.testing.graphs import random_addition
from armillary.timeline import Cause, CriticalPath, Timeline
from tests.timeline.traces import played, random_timeline, random_trace


def check_path(timeline: Timeline, path: CriticalPath) -> None:
    assert path.before + int((path.end - path.start).sum()) == path.ticks == int(timeline.end.max())
    assert np.all(path.start[1:] == path.end[:-1])
    assert np.all(path.end <= timeline.stop[path.task])
    assert np.all(path.latency + path.work + path.beyond == path.end - path.start)
    for part in (path.latency, path.work, path.beyond, path.waited):
        assert np.all(part >= 0)
    assert path.cause[0] in (Cause.BEGIN, Cause.ARRIVAL, Cause.OUTSIDE)
    assert (path.before > 0) == (path.cause[0] != Cause.BEGIN)


@pytest.mark.parametrize("seed", range(40))
def test_critical_path_fills_the_run(seed: int) -> None:
    """Its steps follow one another from 0 to the last end: its length is the makespan."""
    timeline = random_timeline(seed)
    path = timeline.critical_path()
    check_path(timeline, path)
    if timeline.reason == Reason.IDLE:
        assert path.ticks == timeline.ticks
    assert sum(path.ticks_by_cause().values()) + path.before == path.ticks
    assert sum(path.ticks_by_kind(timeline).values()) + path.before == path.ticks


@pytest.mark.parametrize("seed", range(40))
def test_every_start_has_a_cause_that_the_graph_explains(seed: int) -> None:
    trace = random_trace(seed)
    timeline, graph = Timeline.from_trace(trace), trace.graph
    for task, cause in enumerate(timeline.cause_kind.tolist()):
        by = int(trace.cause[task])
        if cause == Cause.NOT_STARTED:
            assert trace.start[task] < 0
        elif cause == Cause.BEGIN:
            assert trace.start[task] == 0
        elif cause == Cause.ARRIVAL:
            assert trace.start[task] == graph.release[task] > 0
        elif cause == Cause.DEPENDENCY:
            assert task in graph.edges.index[graph.edges.row(by)]
        elif cause == Cause.RESOURCE:
            mine, theirs = (set(graph.demands.index[graph.demands.row(t)].tolist()) for t in (task, by))
            assert mine & theirs
        else:
            assert cause == Cause.LEASE
            pools = [
                {int(graph.leases.pool[lease]) for lease in graph.members.index[graph.members.row(t)]}
                for t in (task, by)
            ]
            assert pools[0] & pools[1]


@pytest.mark.parametrize("seed", range(20))
def test_path_holds_after_appending_and_cancelling(seed: int) -> None:
    rng = np.random.default_rng(seed)
    simulation = ReferenceSimulation(random_trace(seed, tasks=20).graph)
    simulation.advance(5)
    more, edges = random_addition(rng, simulation.graph, tasks=10)
    simulation.append(more, edges=edges)
    simulation.advance(8)
    simulation.cancel(int(rng.choice(np.flatnonzero(simulation.trace().status < Status.DONE))))
    simulation.advance()
    timeline = Timeline.from_trace(simulation.trace())
    assert Status.CANCELLED in timeline.status
    check_path(timeline, timeline.critical_path())


def test_each_kind_of_cause_is_told_apart() -> None:
    builder = GraphBuilder(tick_s=1e-9)
    server, pool = builder.server("engine"), builder.pool("pad", units=1)
    first_lease, second_lease = builder.lease(pool, 1), builder.lease(pool, 1)
    first = builder.task("first", duration=10, on=server, leases=[first_lease])
    builder.task("after", duration=2, after=[first])
    builder.task("queued", duration=3, on=server)
    builder.task("leased", duration=4, leases=[second_lease])
    builder.task("late", duration=1, release=7)
    prompt = builder.task("prompt", duration=1)
    builder.edge(first, prompt, kind=EdgeKind.START)
    timeline = played(builder)
    causes = {
        timeline.labels[label]: Cause(kind) for label, kind in zip(timeline.label, timeline.cause_kind, strict=True)
    }
    assert causes == {
        "first": Cause.BEGIN,
        "after": Cause.DEPENDENCY,
        "queued": Cause.RESOURCE,
        "leased": Cause.LEASE,
        "late": Cause.ARRIVAL,
        "prompt": Cause.DEPENDENCY,
    }
    assert (timeline.start - timeline.ready).tolist() == [0, 0, 10, 10, 0, 0]


def test_a_step_is_split_into_latency_work_and_what_lasted_beyond() -> None:
    """10 B at 1 B/tick after 3 ticks of latency, at least 4 ticks of work: 3 + 4 + 6."""
    builder = GraphBuilder(tick_s=1e-9)
    builder.task(duration=4, latency=3, bytes=10.0, crossing=builder.link("link", capacity=1e9))
    path = played(builder).critical_path()
    assert (path.latency.tolist(), path.work.tolist(), path.beyond.tolist()) == ([3], [4], [6])


def test_time_before_an_arrival_is_waiting() -> None:
    builder = GraphBuilder()
    builder.task(duration=5, release=7)
    path = played(builder).critical_path()
    assert (path.before, path.ticks, path.cause.tolist()) == (7, 12, [Cause.ARRIVAL])


def test_causes_that_form_a_circle_are_refused() -> None:
    builder = GraphBuilder()
    builder.chain(builder.tasks(2, duration=0))
    timeline = played(builder)
    circle = replace(timeline, cause=np.array([1, 0], np.int32), cause_kind=np.full(2, Cause.DEPENDENCY, np.uint8))
    with pytest.raises(InputError, match="do not fit"):
        circle.critical_path()
