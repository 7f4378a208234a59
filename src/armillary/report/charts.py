"""Plotly figures in the house's restrained look, and the step-function chart.

In:  a plotly figure, or step series in base units.
Out: `Block`s that hold the figure as data; assets/charts.js draws it in the colours of the reader's light or
     dark theme, once plotly's JavaScript (one copy a page) is unpacked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.report.markup import Block, chart_text, clean, escape, guard_json
from armillary.report.numbers import ColumnScale, column_scale
from armillary.report.palette import PALETTE

FloatArray = npt.NDArray[np.float64]

# Up to this many steps each one is drawn; beyond it they would hide each other, so mean and peak of bins are shown.
MAX_STEPS = 1200
BINS = 600


@dataclass(frozen=True, slots=True)
class StepSeries:
    """A step function: `value[i]` holds from `time_s[i]` to the next entry, the last one to `end_s`."""

    name: str
    time_s: FloatArray
    value: FloatArray
    end_s: float


def chart(figure: Any, *, label: str, height_px: int = 380, note: str = "") -> Block:
    """Return a plotly figure as a block.

    Args:
        figure: a `plotly.graph_objects.Figure`; colours of text, axes and grid are set by the page's theme.
        label: what the chart shows, for screen readers.
        height_px: its height.
        note: a line below it.
    """
    data = guard_json(figure.to_json(validate=False, engine="json"))
    caption = f"<figcaption>{escape(note)}</figcaption>" if note else ""
    return Block(
        f'<figure class="chart" role="img" aria-label="{escape(label)}">'
        f'<div class="plot" style="height:{height_px}px"></div>'
        f'<script type="application/json">{data}</script>{caption}</figure>',
        charts=True,
    )


def step_chart(
    series: Sequence[StepSeries], *, unit: str, label: str, limits: Sequence[tuple[str, float]] = ()
) -> Block:
    """Return step functions over one time axis, such as power over time.

    Args:
        series: one or more functions in `unit`.
        unit: base unit of the values ("W").
        label: what is shown ("Power").
        limits: named horizontal lines, such as a power budget.

    Raises:
        InputError: a series is empty, or its times do not ascend.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    times, values = (
        _scale([entry.end_s for entry in series], "s"),
        _scale([*_peaks(series), *dict(limits).values()], unit),
    )
    thinned = 0
    for number, entry in enumerate(series):
        colour = PALETTE[number % len(PALETTE)]
        time_s, mean, peak = _drawn(entry)
        name = chart_text(entry.name)
        if peak is not None:
            thinned += 1
            line = {"shape": "hv", "width": 0.8, "color": colour}
            figure.add_scatter(
                x=time_s / times.scale,
                y=peak / values.scale,
                name=f"{name}, peak",
                mode="lines",
                line=line,
                opacity=0.5,
            )
        figure.add_scatter(
            x=time_s / times.scale,
            y=mean / values.scale,
            name=name if peak is None else f"{name}, mean",
            mode="lines",
            line={"shape": "hv", "width": 1.4, "color": colour},
            fill="tozeroy" if number == 0 else None,
            fillcolor=_faint(colour),
        )
    figure.update_traces(hovertemplate=f"%{{y:.4~r}} {chart_text(values.unit)}")
    for name, value in limits:
        figure.add_hline(
            y=value / values.scale,
            line={"dash": "dash", "width": 1.2, "color": PALETTE[3]},
            annotation_text=chart_text(name),
        )
    figure.update_layout(hovermode="x unified", showlegend=len(figure.data) > 1)
    figure.update_xaxes(title_text=f"Time ({times.unit})", hoverformat=".5~r")
    figure.update_yaxes(title_text=chart_text(f"{label} ({values.unit})"), rangemode="tozero")
    note = f"Shown by mean and peak of {BINS} intervals; the run folder has every step." if thinned else ""
    return chart(figure, label=f"{label} over time", height_px=300, note=note)


def _scale(sizes: Sequence[float], unit: str) -> ColumnScale:
    """Return the one prefix of an axis, by its largest value."""
    return column_scale([max(map(abs, sizes), default=0.0)], unit)


def _peaks(series: Sequence[StepSeries]) -> list[float]:
    return [float(np.abs(entry.value).max(initial=0.0)) for entry in series]


def binned(entry: StepSeries, bins: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return edges (bins,), time-weighted means and peaks of a step function in equal bins; the integral is kept."""
    edges = np.linspace(entry.time_s[0], entry.end_s, bins + 1)
    stops = np.append(entry.time_s, entry.end_s)
    integral = np.concatenate(([0.0], np.cumsum(entry.value * np.diff(stops))))
    mean = np.diff(np.interp(edges, stops, integral)) / np.diff(edges)
    first = np.searchsorted(entry.time_s, edges[:-1], side="right") - 1
    last = np.maximum(np.searchsorted(entry.time_s, edges[1:], side="left"), first + 1)
    # reduceat over (first, last) pairs: every second result is the maximum of one bin.
    padded = np.append(entry.value, entry.value[-1])
    peak = np.maximum.reduceat(padded, np.column_stack((first, last)).ravel())[::2]
    return edges[:-1], mean, peak


def _drawn(entry: StepSeries) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    where = f"series {clean(entry.name)!r}"
    if not len(entry.time_s) or len(entry.time_s) != len(entry.value):
        raise InputError("a step function needs at least one step, and one value a time", where=where)
    if bool(np.any(np.diff(entry.time_s) < 0)) or entry.end_s < entry.time_s[-1]:
        raise InputError("the times of a step function must ascend", where=where)
    if len(entry.time_s) <= MAX_STEPS:
        return np.append(entry.time_s, entry.end_s), np.append(entry.value, entry.value[-1]), None
    time_s, mean, peak = binned(entry, BINS)
    return np.append(time_s, entry.end_s), np.append(mean, mean[-1]), np.append(peak, peak[-1])


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"
