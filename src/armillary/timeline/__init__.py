"""What happened in a run, what can be measured on it, and the results that all systems return.

In:  a `Trace` of the engine. Out: `Timeline` (unions, overlaps, utilisation, power, bytes and units over time, critical
path, tables, Parquet), Perfetto traces, and `Result`, the base of every system's result with its `Trust` and run
folder.
"""

from __future__ import annotations

from armillary.timeline.causes import Cause
from armillary.timeline.classes import class_times_s
from armillary.timeline.critical_path import CriticalPath
from armillary.timeline.intervals import Intervals
from armillary.timeline.lanes import Lanes, lanes
from armillary.timeline.parquet import read_timeline, write_timeline
from armillary.timeline.perfetto import perfetto_trace
from armillary.timeline.power import Power
from armillary.timeline.result import Result, SavedRun, load_run
from armillary.timeline.run_info import RunInfo
from armillary.timeline.steps import Spread, Steps
from armillary.timeline.timeline import LeaseSpans, Mask, ResourceTable, Timeline
from armillary.timeline.trust import Trust

__all__ = [
    "Cause",
    "CriticalPath",
    "Intervals",
    "Lanes",
    "LeaseSpans",
    "Mask",
    "Power",
    "ResourceTable",
    "Result",
    "RunInfo",
    "SavedRun",
    "Spread",
    "Steps",
    "Timeline",
    "Trust",
    "class_times_s",
    "lanes",
    "load_run",
    "perfetto_trace",
    "read_timeline",
    "write_timeline",
]
