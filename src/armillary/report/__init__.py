"""Primitives of one self-contained HTML page; each system composes its own page of them in its `figures.py`.

In:  plain values and columns in base units: tiles, tables, step functions, rooflines, timelines.
Out: `Block`s, put into `Section`s of a `Page`, whose `html()` is one file that needs no network.
All names are escaped here; callers pass them raw. plotly is imported by the functions that need it.
"""

from __future__ import annotations

from armillary.report.charts import StepSeries, chart, step_chart
from armillary.report.from_timeline import timeline_columns
from armillary.report.markup import Block
from armillary.report.page import Footer, Page, Section
from armillary.report.roofline import RooflinePoints, roofline
from armillary.report.tables import Bottleneck, Column, bottleneck_table, share_bar, table
from armillary.report.tiles import Tile, tiles, trust_box
from armillary.report.timeline_view import Counter, TimelineColumns, timeline_view

__all__ = [
    "Block",
    "Bottleneck",
    "Column",
    "Counter",
    "Footer",
    "Page",
    "RooflinePoints",
    "Section",
    "StepSeries",
    "Tile",
    "TimelineColumns",
    "bottleneck_table",
    "chart",
    "roofline",
    "share_bar",
    "step_chart",
    "table",
    "tiles",
    "timeline_columns",
    "timeline_view",
    "trust_box",
]
