"""Measures of a large timeline take vectorised time: no Python step per task."""

from __future__ import annotations

from time import process_time

from armillary.timeline import Timeline
from tests.timeline.large import large_trace


def test_a_quarter_of_a_million_tasks_are_measured_within_a_second() -> None:
    """About 0.5 s on a quiet machine; a Python step per task and measure would take several seconds."""
    trace = large_trace(250_000)
    began = process_time()
    timeline = Timeline.from_trace(trace)
    even = timeline.on("link")
    timeline.union_s()
    timeline.overlap_s(even, ~even)
    timeline.utilisations()
    timeline.power(static_w=1.0)
    timeline.moved_bytes()
    timeline.critical_path()
    timeline.digest()
    spent_s = process_time() - began
    assert spent_s < 2.0, f"{spent_s:.2f} s"
