"""Measures of a timeline against a count of every tick, on random runs of the reference."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from armillary.engine.graph import GraphBuilder, ResourceKind
from armillary.engine.trace import Reason, Status
from armillary.errors import InputError
from armillary.testing.graphs import Feature
from armillary.timeline import Mask, Timeline, class_times_s
from tests.timeline.traces import played, random_timeline, random_trace

SEEDS = range(20)


def ticks_running(timeline: Timeline, tasks: Mask) -> set[int]:
    """Every tick in which one of `tasks` ran, counted one by one."""
    chosen = np.flatnonzero(tasks & (timeline.start >= 0))
    return {tick for task in chosen for tick in range(timeline.start[task], timeline.stop[task])}


@pytest.mark.parametrize("seed", SEEDS)
def test_unions_overlaps_and_idle_time_are_those_of_the_ticks(seed: int) -> None:
    timeline = random_timeline(seed)
    rng = np.random.default_rng(seed)
    first, second = rng.random(len(timeline)) < 0.3, rng.random(len(timeline)) < 0.5
    a, b = ticks_running(timeline, first), ticks_running(timeline, second)
    tick_s = timeline.tick_s
    assert timeline.union_s(first) == len(a) * tick_s
    assert timeline.union_s(first | second) == len(a | b) * tick_s
    assert timeline.overlap_s(first, second) == len(a & b) * tick_s
    assert timeline.idle_s(first) == (timeline.ticks - len(a)) * tick_s
    everything = np.ones(len(timeline), np.bool_)
    assert timeline.idle_s() == (timeline.ticks - len(ticks_running(timeline, everything))) * tick_s


@pytest.mark.parametrize("seed", SEEDS)
def test_units_in_use_are_those_of_tasks_and_leases_at_every_tick_and_fit(seed: int) -> None:
    trace = random_trace(seed)
    timeline, graph = Timeline.from_trace(trace), trace.graph
    ticks = np.arange(timeline.ticks + 1)
    for index, name in enumerate(timeline.resources.names):
        used = np.zeros(len(ticks), np.int64)
        if graph.resources.kind[index] == ResourceKind.SERVER:
            for task in np.flatnonzero(trace.start >= 0).tolist():
                row = graph.demands.row(task)
                units = int(graph.demands.value[row][graph.demands.index[row] == index].sum())
                used[trace.start[task] : timeline.stop[task]] += units
        elif graph.resources.kind[index] == ResourceKind.POOL:
            for lease in np.flatnonzero(graph.leases.pool == index):
                members = [t for t in range(len(graph)) if lease in graph.members.index[graph.members.row(t)]]
                starts = [int(trace.start[t]) for t in members if trace.start[t] >= 0]
                over = trace.start if graph.leases.until_start[lease] else trace.end
                ends = [int(over[t]) if over[t] >= 0 else trace.now for t in members]
                if starts:
                    used[min(starts) : max(ends)] += int(graph.leases.units[lease])
        else:
            continue
        steps = timeline.in_use(name)
        assert steps.at(ticks).tolist()[:-1] == used.tolist()[:-1], name
        assert steps.peak <= graph.resources.units[index]
        offered = int(graph.resources.units[index]) * timeline.ticks
        share = used[:-1].sum() / offered if offered else 0.0
        assert timeline.utilisation(name) == pytest.approx(share)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_task_is_ready_when_its_edges_and_release_let_it(seed: int) -> None:
    trace = random_trace(seed)
    timeline, edges = Timeline.from_trace(trace), trace.graph.edges
    for target in np.flatnonzero(trace.start >= 0):
        ready = int(trace.graph.release[target])
        for source in range(len(timeline)):
            row = edges.row(source)
            for value in edges.value[row][edges.index[row] == target]:
                ready = max(ready, int((trace.start if value & 1 else trace.end)[source]))
        assert timeline.ready[target] == ready


def test_sums_and_class_times_obey_their_identities() -> None:
    timeline = random_timeline(5, tasks=60, features=Feature.integers())
    servers = [
        name
        for name, kind in zip(timeline.resources.names, timeline.resources.kind, strict=True)
        if kind == ResourceKind.SERVER
    ]
    classes = {name: timeline.on(name) for name in servers[:3]}
    times = class_times_s(timeline, classes)
    assert times["union_s"] + times["idle_s"] == pytest.approx(times["total_s"])
    for a, b in pairwise(classes):
        joint = timeline.union_s(classes[a] | classes[b])
        assert joint == pytest.approx(times[f"{a}_s"] + times[f"{b}_s"] - times[f"{a}_{b}_overlap_s"])
        assert times[f"{a}_without_{b}_s"] == pytest.approx(times[f"{a}_s"] - times[f"{a}_{b}_overlap_s"])
    for name, tasks in classes.items():
        others = set().union(*(ticks_running(timeline, m) for other, m in classes.items() if other != name))
        assert times[f"{name}_alone_s"] == pytest.approx(len(ticks_running(timeline, tasks) - others) * timeline.tick_s)
        assert times[f"{name}_sum_s"] == timeline.duration_sum_s(tasks)


def test_utilisation_of_a_link_is_bytes_over_capacity_and_time() -> None:
    """A link of 2 B/tick that is set to 1 B/tick after 50 ticks: 100 + 100 bytes, 150 ticks, always full."""
    builder = GraphBuilder(tick_s=1e-9)
    link = builder.link("link", capacity=2e9)
    builder.change(50, link, 1e9)
    for _ in range(2):
        builder.task(bytes=100.0, crossing=link)
    timeline = played(builder)
    assert timeline.ticks == 150
    assert timeline.utilisation("link") == pytest.approx(1.0)
    assert timeline.moved_bytes().until(np.array([150]))[0] == 200
    assert timeline.in_use("link").peak == 2


def test_bytes_at_a_cost_load_a_link_by_their_cost() -> None:
    """A disk as one link of capacity 1: 300 bytes read at 1/6 and 100 written at 1/2 per byte are 100 s of it."""
    builder = GraphBuilder(tick_s=1e-3)
    disk = builder.link("disk", capacity=1.0)
    builder.task(bytes=300.0, crossing=[(disk, 1 / 6)])
    builder.task(bytes=100.0, crossing=[(disk, 1 / 2)])
    builder.task(duration=200_000)
    assert played(builder).utilisation("disk") == pytest.approx(0.5)


def test_latency_comes_before_the_bytes() -> None:
    builder = GraphBuilder(tick_s=1e-9)
    link = builder.link("link", capacity=1e9)
    builder.task(bytes=10.0, latency=5, crossing=link)
    flow = played(builder).moved_bytes()
    assert flow.until(np.array([5, 10, 15])).tolist() == [0, 5, 10]


def test_a_run_cut_short_counts_up_to_the_cut() -> None:
    trace = random_trace(3, tasks=40, features=Feature.integers(), until=10)
    assert trace.reason == Reason.TIME
    timeline = Timeline.from_trace(trace)
    assert timeline.ticks == 10
    running = timeline.status == Status.RUNNING
    assert running.any()
    assert np.all(timeline.stop[running] == 10)
    assert timeline.union_s() + timeline.idle_s() == pytest.approx(10 * timeline.tick_s)


def test_an_empty_graph_has_a_timeline_of_nothing() -> None:
    timeline = played(GraphBuilder())
    assert (timeline.makespan_s, timeline.union_s(), timeline.idle_s()) == (0.0, 0.0, 0.0)
    assert len(timeline.critical_path()) == 0
    assert timeline.power().energy_fj == 0
    assert timeline.frame("tasks").height == 0


def test_unknown_names_bring_the_nearest() -> None:
    builder = GraphBuilder()
    builder.task("a", duration=1, on=builder.server("dma0"), kind="copy")
    builder.pool("scratchpad", units=8)
    timeline = played(builder)
    with pytest.raises(InputError, match="did you mean dma0"):
        timeline.utilisation("dma1")
    with pytest.raises(InputError, match="did you mean copy"):
        timeline.of_kind("copies")
    with pytest.raises(InputError, match="is a pool"):
        timeline.on("scratchpad")
    with pytest.raises(InputError, match="no table named 'task'; did you mean tasks"):
        timeline.frame("task")


def test_frames_say_what_the_columns_say() -> None:
    timeline = random_timeline(11, tasks=50)
    tasks = timeline.frame("tasks")
    started = timeline.start >= 0
    assert tasks["start_s"].null_count() == int((~started).sum())
    assert tasks["duration_s"].drop_nulls().to_list() == pytest.approx(
        ((timeline.stop - timeline.start)[started] * timeline.tick_s).tolist()
    )
    resources = timeline.frame("resources")
    assert resources["resource"].to_list() == list(timeline.resources.names)
    assert resources["utilisation"].to_list() == [timeline.utilisation(name) for name in timeline.resources.names]
    counters = timeline.frame("counters")
    assert set(counters["counter"]) == {*timeline.resources.names, "power"}
    for name in timeline.resources.names:
        times = counters.filter(counters["counter"] == name)["time_s"]
        assert times.is_sorted()
