"""What the view shows of a timeline is what the timeline says."""

from __future__ import annotations

import numpy as np
import pytest

from armillary.engine import GraphBuilder, TaskGraph
from armillary.engine.reference import ReferenceSimulation
from armillary.report import timeline_columns, timeline_view
from armillary.timeline import Timeline


def small_graph() -> TaskGraph:
    """A load on DMA and link, a join, two computations on a server of two units; a lease of scratchpad around them."""
    builder = GraphBuilder()
    dma, array = builder.server("dma"), builder.server("array", units=2)
    builder.server("unused")
    link = builder.link("link", capacity=1e9)
    scratchpad = builder.pool("scratchpad", units=1024)
    lease = builder.lease(scratchpad, 512)
    load = builder.task("load", on=dma, crossing=link, bytes=1000.0, leases=[lease], kind="load", energy_fj=10**9)
    join = builder.task("join", after=[load])
    for name in ("left", "right"):
        builder.task(name, duration=500_000, on=array, after=[join], leases=[lease], kind="conv", energy_fj=10**9)
    builder.task("wire", crossing=link, bytes=1000.0, kind="load")
    return builder.build()


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    simulation = ReferenceSimulation(small_graph())
    simulation.advance()
    return Timeline.from_trace(simulation.trace())


def test_lanes_are_the_servers_and_the_links_used_without_one(timeline: Timeline) -> None:
    columns = timeline_columns(timeline)
    assert list(columns.lanes) == ["dma", "array", "unused", "link"]
    shown = [
        (columns.lanes[lane], columns.names[name])
        for lane, name in zip(columns.task_lane, columns.task_name, strict=True)
    ]
    assert sorted(shown) == [("array", "left"), ("array", "right"), ("dma", "load"), ("link", "wire")]


def test_busy_time_by_kind_equals_the_sum_of_the_timeline(timeline: Timeline) -> None:
    columns = timeline_columns(timeline)
    for number, kind in enumerate(columns.kinds):
        chosen = columns.task_kind == number
        shown_s = (columns.end_s - columns.start_s)[chosen].sum()
        assert shown_s == pytest.approx(timeline.duration_sum_s(timeline.of_kind(kind)))


def test_a_cause_without_a_place_gives_way_to_its_own_cause(timeline: Timeline) -> None:
    columns = timeline_columns(timeline)
    assert columns.cause is not None
    by_name = {columns.names[name]: place for place, name in enumerate(columns.task_name)}
    assert columns.cause[by_name["left"]] == by_name["load"]
    assert columns.cause[by_name["load"]] == -1


def test_counters_integrate_to_energy_and_bytes(timeline: Timeline) -> None:
    columns = timeline_columns(timeline, static_w=0.5, pool_units={"scratchpad": "B"}, links=["link"])
    power, scratchpad, traffic = columns.counters
    totals = []
    for counter in (power, traffic):
        widths = np.diff(np.append(counter.time_s, timeline.makespan_s))
        totals.append(float((counter.value * widths).sum()))
    assert totals == pytest.approx([3e-6 + 0.5 * timeline.makespan_s, 2000.0], rel=1e-6)
    assert (scratchpad.unit, scratchpad.limit, scratchpad.value.max()) == ("B", 1024.0, 512.0)
    assert (traffic.unit, traffic.limit) == ("B/s", 1e9)


def test_without_energy_no_power_is_shown() -> None:
    builder = GraphBuilder()
    builder.task("only", duration=5, on=builder.server("s"))
    simulation = ReferenceSimulation(builder.build())
    simulation.advance()
    assert timeline_columns(Timeline.from_trace(simulation.trace())).counters == []


def test_the_view_takes_the_columns_as_they_are(timeline: Timeline) -> None:
    assert "4 tasks in 4 lanes" in timeline_view(timeline_columns(timeline)).html
