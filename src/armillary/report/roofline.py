"""The roofline of a run: achieved rate against operational intensity, under the roofs of the machine.

In:  per layer: operations, bytes, seconds, what it is bound by; the machine's rates. Out: a `Block`.
Source: Williams, Waterman, Patterson, "Roofline", CACM 52(4), 2009: attainable = min(peak, intensity * bandwidth).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.report.charts import chart
from armillary.report.markup import Block, chart_text
from armillary.report.numbers import quantity
from armillary.report.palette import OTHER, colours_of

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RooflinePoints:
    """Layers as columns, shape (layers,)."""

    name: Sequence[str]
    bound: Sequence[str]  # what each layer is bound by; one colour each
    operations: FloatArray
    bytes: FloatArray
    time_s: FloatArray


def roofline(
    points: RooflinePoints,
    *,
    peaks: Mapping[str, float],
    memories: Mapping[str, float],
    operation: str = "OP",
    colours: Mapping[str, str] | None = None,
) -> Block:
    """Return the roofline chart; hovering a point names its layer.

    Args:
        points: the layers; their area grows with their time.
        peaks: name -> operations per second (horizontal roofs).
        memories: name -> bytes per second (sloping roofs).
        operation: what is counted ("MAC", "FLOP").
        colours: bound -> "#rrggbb", where it has a colour elsewhere on the page.

    Raises:
        InputError: no peak, no memory, or a rate that is not positive.
    """
    import plotly.graph_objects as go

    rates = [*peaks.values(), *memories.values()]
    if not peaks or not memories or min(rates) <= 0:
        raise InputError("a roofline needs at least one peak and one memory, with positive rates")
    shown = (points.operations > 0) & (points.bytes > 0) & (points.time_s > 0)
    intensity = points.operations[shown] / points.bytes[shown]
    rate = points.operations[shown] / points.time_s[shown]
    top = max(peaks.values())
    ridges = [top / rate_of for rate_of in memories.values()]
    low = min([*intensity.tolist(), min(ridges)]) / 3
    high = max([*intensity.tolist(), min(ridges)]) * 3
    figure = go.Figure(layout={"template": "none"})
    for number, (name, memory) in enumerate(memories.items()):
        ridge = top / memory
        _roof(
            figure,
            [low, min(ridge, high)],
            [low * memory, min(ridge, high) * memory],
            f"{name}, {quantity(memory, 'B/s')}",
            number,
        )
    for name, peak in peaks.items():
        _roof(
            figure,
            [peak / max(memories.values()), high],
            [peak, peak],
            f"{name}, {quantity(peak, f'{operation}/s')}",
            None,
        )
    share = points.time_s[shown] / max(points.time_s.sum(), np.finfo(float).tiny)
    names = [chart_text(name) for name, keep in zip(points.name, shown, strict=True) if keep]
    bounds = [bound for bound, keep in zip(points.bound, shown, strict=True) if keep]
    for bound, colour in colours_of(bounds, colours).items():
        chosen = [index for index, other in enumerate(bounds) if other == bound]
        details = [
            [
                names[i],
                quantity(points.time_s[shown][i], "s"),
                quantity(share[i], "%"),
                quantity(rate[i], f"{operation}/s"),
            ]
            for i in chosen
        ]
        figure.add_scatter(
            x=intensity[chosen],
            y=rate[chosen],
            mode="markers",
            name=chart_text(bound),
            customdata=details,
            marker={
                "size": 7 + 30 * np.sqrt(share[chosen]),
                "color": colour,
                "opacity": 0.8,
                "line": {"width": 1},
            },
            hovertemplate="<b>%{customdata[0]}</b><br>"
            f"%{{x:.3~s}} {operation}/B, %{{customdata[3]}}<br>"
            f"%{{customdata[1]}}, %{{customdata[2]}} of the time<extra>{chart_text(bound)}</extra>",
        )
    floor = min([*rate.tolist(), low * max(memories.values())]) / 2
    figure.update_xaxes(title_text=f"Operational intensity ({operation}/B)", range=[np.log10(low), np.log10(high)])
    figure.update_xaxes(type="log", tickformat="~s", dtick=1)
    decades = [10.0**power for power in range(math.floor(math.log10(floor)), math.ceil(math.log10(top * 2)) + 1)]
    figure.update_yaxes(
        type="log",
        title_text="Achieved rate",
        range=np.log10([floor, top * 2]).tolist(),
        tickvals=decades,
        ticktext=[quantity(rate_of, f"{operation}/s") for rate_of in decades],
    )
    left_out = int(len(shown) - shown.sum())
    note = f"{left_out} layers without operations or without bytes are not shown." if left_out else ""
    return chart(figure, label="Roofline of the layers", height_px=420, note=note)


def _roof(figure: object, x: list[float], y: list[float], name: str, slope: int | None) -> None:
    dash = "solid" if slope is None else ("dash", "dot", "dashdot", "longdash")[slope % 4]
    figure.add_scatter(  # type: ignore[attr-defined]
        x=x,
        y=y,
        mode="lines",
        name=chart_text(name),
        line={"width": 1.5, "color": OTHER, "dash": dash},
        hoverinfo="name",
    )
