"""The page of a characterisation: power, latency and energy over each sweep, lock against cap, training, the front.

In:  a `Characterization`. Out: one HTML page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from typing import Any

from armillary.power.characterize import Case, Characterization, FrontPoint, LockOrCap, Swing
from armillary.report import Block, Column, Footer, Page, Section, chart, table
from armillary.report.markup import chart_text
from armillary.report.palette import PALETTE

# Sweep -> the axis that varies.
_AXES: dict[str, tuple[str, Callable[[Case], Any]]] = {
    "prompt": ("Prompt (tokens)", lambda case: case.prompt),
    "output": ("Output (tokens)", lambda case: case.output),
    "batch": ("Batch", lambda case: case.batch),
    "tp": ("Tensor-parallel degree", lambda case: case.tp),
    "dtype": ("Element type", lambda case: case.dtype),
    "clock": ("Locked clock (MHz)", lambda case: case.clock_mhz),
    "cap": ("Power cap (W)", lambda case: case.power_cap_w),
}
_LOGARITHMIC = ("prompt", "output", "batch", "tp")
# Panel -> (title, value of a case).
_PANELS: tuple[tuple[str, Callable[[Case], float | None]], ...] = (
    ("Peak power (W)", lambda case: case.peak_power_w),
    ("Mean power (W)", lambda case: case.mean_power_w),
    ("Latency (s)", lambda case: case.latency_s),
    ("Energy per token (J)", lambda case: case.energy_j_per_token),
)
_LOCK = {
    "level": Column("Level of peak", show="share"), "lock_loss": Column("Lock: latency", "%", "number"),
    "cap_loss": Column("Cap: latency", "%", "number"), "clock_mhz": Column("Clock (MHz)", "", "number"),
    "lock_peak_w": Column("Lock: peak", "W", "number"), "cap_w": Column("Cap", "W", "number"),
    "cap_peak_w": Column("Cap: spikes", "W", "number"), "model": Column("Model"),
}  # fmt: skip
_SWING = {
    "work": Column("Work"), "kind": Column("Kind"),
    "peak_w": Column("Peak", "W", "number"), "mean_w": Column("Mean", "W", "number"),
    "lowest_w": Column("Lowest phase", "W", "number"), "mean_of_peak": Column("Mean of peak", show="share"),
    "loss_at_80": Column("Time lost at 80 % of the peak", "%", "number"),
}  # fmt: skip
_FRONT = {
    "model": Column("Model"), "tp": Column("Degree", "", "number"), "batch": Column("Batch", "", "number"),
    "clock_mhz": Column("Clock (MHz)", "", "number"), "latency_s": Column("Latency", "s", "number"),
    "tokens_per_s_per_gpu": Column("Tokens/s a GPU", "", "number"),
    "energy_j_per_token": Column("Energy a token", "J", "number"),
}  # fmt: skip


def page(result: Characterization) -> str:
    """Return the page of `result`."""
    sections = [
        Section(
            f"Over {title.split(' (')[0].lower()}",
            [_sweep(result, sweep)],
            lead="Power of one GPU; energy of all GPUs a token made. All else: a prompt of 2048 tokens, an answer of "
            "128, one at a time, fp16, the least degree that fits.",
        )
        for sweep, (title, _) in _AXES.items()
        if any(case.sweep == sweep and case.refused is None for case in result.cases)
    ]
    sections += [
        Section(
            "Lock or cap",
            [_lock(result), _table(result.lock_or_cap, _LOCK, LockOrCap)],
            lead="The same level of power by a locked clock, which always costs time, and by a reactive cap, which "
            "prompts shorter than its lag pass over.",
        ),
        Section(
            "Inference and training",
            [_table(result.swings, _SWING, Swing)],
            lead="Training swings in step over all GPUs, so a row of it peaks where each server does.",
        ),
        Section(
            "Energy and speed",
            [_front(result), _table(result.front, _FRONT, FrontPoint)],
            lead="Settings of degree, batch and clock that no other one beats in both.",
        ),
    ]
    refused = [case for case in result.cases if case.refused is not None]
    if refused:
        columns = [Column("Model"), Column("Sweep"), Column("Degree", "", "number"), Column("Why")]
        rows = [[case.model, case.sweep, float(case.tp), case.refused] for case in refused]
        sections.append(Section("What does not fit", [table(columns, rows)]))
    command = f"armillary power characterize --gpu {result.gpu} --models {' '.join(result.models)}"
    return Page(
        f"Language models on {result.gpu}",
        sections,
        subtitle="Power, latency, energy",
        footer=Footer(reproduce=command),
    ).html()


def _sweep(result: Characterization, sweep: str) -> Block:
    from plotly.subplots import make_subplots

    title, value = _AXES[sweep]
    figure = make_subplots(rows=2, cols=2, subplot_titles=[name for name, _ in _PANELS])
    figure.update_layout(template="none")
    for number, model in enumerate(result.models):
        cases = [case for case in result.cases if (case.sweep, case.model, case.refused) == (sweep, model, None)]
        for place, (_, reading) in enumerate(_PANELS):
            figure.add_scatter(
                x=[value(case) for case in cases], y=[reading(case) for case in cases], name=chart_text(model),
                mode="lines+markers", line={"color": PALETTE[number % len(PALETTE)]}, legendgroup=str(number),
                showlegend=place == 0, row=place // 2 + 1, col=place % 2 + 1,
            )  # fmt: skip
    figure.update_xaxes(title_text=title, type="log" if sweep in _LOGARITHMIC else None)
    figure.update_yaxes(rangemode="tozero")
    return chart(figure, label=f"Power, latency and energy over {title}", height_px=620)


def _lock(result: Characterization) -> Block:
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    for number, model in enumerate(result.models):
        rows = [row for row in result.lock_or_cap if row.model == model]
        for name, dash, loss in (("lock", "solid", "lock_loss"), ("cap", "dot", "cap_loss")):
            figure.add_scatter(
                x=[100 * row.level for row in rows], y=[100 * getattr(row, loss) for row in rows],
                name=f"{chart_text(model)}, {name}", mode="lines+markers",
                line={"color": PALETTE[number % len(PALETTE)], "dash": dash},
            )  # fmt: skip
    figure.update_xaxes(title_text="Power (% of the free peak)", autorange="reversed")
    figure.update_yaxes(title_text="Latency lost (%)", rangemode="tozero")
    return chart(figure, label="Latency lost by lock and by cap")


def _front(result: Characterization) -> Block:
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    for number, model in enumerate(result.models):
        rows = [point for point in result.front if point.model == model]
        figure.add_scatter(
            x=[point.tokens_per_s_per_gpu for point in rows], y=[point.energy_j_per_token for point in rows],
            name=chart_text(model), mode="lines+markers", line={"color": PALETTE[number % len(PALETTE)]},
            text=[f"degree {point.tp}, batch {point.batch}, {point.clock_mhz:.0f} MHz" for point in rows],
        )  # fmt: skip
    figure.update_xaxes(title_text="Tokens a second a GPU", type="log")
    figure.update_yaxes(title_text="Energy a token (J)", type="log")
    return chart(figure, label="Energy and speed")


def _table(rows: Sequence[Any], columns: dict[str, Column], kind: type) -> Block:
    """Return a table of dataclasses of `kind`, the name of each row first."""
    names = [entry.name for entry in fields(kind) if entry.name in columns]
    values = [dict(zip([entry.name for entry in fields(kind)], astuple(row), strict=True)) for row in rows]
    return table([columns[name] for name in names], [[_plain(row[name]) for name in names] for row in values])


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value
