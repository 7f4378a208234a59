"""The page of a simulated row: power with thresholds and caps, latencies by priority against the SLO, rises, states.

In:  a `RowResult`. Out: one HTML page.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.power.row.result import RowResult
from armillary.power.slo import PROMISED, Slo
from armillary.report import (
    Block,
    Column,
    Footer,
    Page,
    Section,
    StepSeries,
    Tile,
    chart,
    step_chart,
    table,
    tiles,
    trust_box,
)
from armillary.report.palette import PALETTE

MOST_STEPS = 700  # of the chart of power
# Parameter of a policy -> the line in the chart of power.
_LINES = {"t1_ppm": "T1", "t2_ppm": "T2", "brake_ppm": "brake"}
_COLOURS = {"low": PALETTE[0], "high": PALETTE[1], "brake": PALETTE[3]}


def report(result: RowResult, slo: Slo = PROMISED) -> str:
    """Return the page of `result`; latencies are judged by `slo`."""
    sections = [
        Section("Summary", [_tiles(result), trust_box(result.trust)]),
        Section("Power", [_power(result)], lead="Mean and peak of each interval, with the thresholds of the policy."),
        Section(
            "Caps",
            [_caps(result), _states(result)],
            lead="Clock of each priority as commands landed; the brake slows all servers.",
        ),
        Section(
            "Latency",
            [_latency(result), _judged(result, slo)],
            lead="Distribution of latency by priority, with and without the policy, and what the SLO allows.",
        ),
        Section("How often at which power", [_distribution(result)], lead="Samples every 100 ms."),
        Section("Services", [_services(result)]),
    ]
    facts = {"Digest of the result": result.digest(), **{f"Input: {k}": v for k, v in result.inputs.items()}}
    footer = Footer(
        versions=dict(result.run.versions) if result.run is not None else {},
        reproduce=f"armillary power simulate --row {result.row} --servers {result.servers} --policy {result.policy} "
        f"--days {result.days:g} --mix {result.mix} --seed {result.seed}",
        facts=facts,
    )
    more = result.servers / result.provisioned_servers - 1.0
    subtitle = f"{result.servers} servers ({more:+.0%}) under {result.budget_w / 1e3:.0f} kW, {result.days:g} days"
    return Page(f"{result.row} under {result.policy}", sections, subtitle=subtitle, footer=footer).html()


def _tiles(result: RowResult) -> Block:
    entries = [
        Tile("Brakes", float(result.brakes)),
        Tile("Breaker would trip", float(result.breaker_trips), "", f"supply: {result.ups_trips} times"),
        Tile("Peak", result.peak_utilisation, "%", "of the budget, at 100 ms"),
        Tile("Mean", result.mean_utilisation, "%"),
        Tile("Largest rise", result.max_rise_2s, "%", "within 2 s"),
        Tile("Largest rise", result.max_rise_40s, "%", "within 40 s"),
        Tile("Energy", result.energy_j, "J"),
        Tile("Tokens", f"{result.tokens / 1e6:.4g} M"),
    ]
    for priority, latency in result.latency.items():
        if latency.p50_impact is not None:
            entries.append(Tile(f"{priority} priority, p50", latency.p50_impact, "%", "latency over uncapped"))
            entries.append(Tile(f"{priority} priority, p99", latency.p99_impact, "%", "latency over uncapped"))
    return tiles(entries)


def _power(result: RowResult) -> Block:
    history = result.history
    # As many bins in one as leave a chart that can be read.
    step = -(-len(history.mean_w) // MOST_STEPS)
    edges = np.arange(0, len(history.mean_w), step)
    start_s = np.asarray(edges * history.bin_s, np.float64)
    counts = np.diff([*edges, len(history.mean_w)])
    mean_w = np.asarray(np.add.reduceat(np.array(history.mean_w), edges) / counts, np.float64)
    peak_w = np.asarray(np.maximum.reduceat(np.array(history.peak_w), edges), np.float64)
    end_s = result.days * 86_400.0
    limits = [("budget", result.budget_w)]
    limits += [
        (label, result.parameters[name] * 1e-6 * result.budget_w)
        for name, label in _LINES.items()
        if name in result.parameters and result.parameters[name] != 1_000_000
    ]
    series = [
        StepSeries("Row, mean", start_s, mean_w, end_s),
        StepSeries("Row, highest sample", start_s, peak_w, end_s),
    ]
    return step_chart(series, unit="W", label="Power", limits=limits)


def _caps(result: RowResult) -> Block:
    """Return the clocks over time; where nothing is capped, the boost clock is not known here, so a gap is drawn."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    end_s = result.days * 86_400.0
    for what, colour in _COLOURS.items():
        changes = [change for change in result.caps_timeline if change.what == what]
        if changes:
            figure.add_scatter(
                x=[*(change.time_s / 3600.0 for change in changes), end_s / 3600.0],
                y=[*(change.mhz for change in changes), changes[-1].mhz], name=what, mode="lines+markers",
                line={"shape": "hv", "color": colour, "width": 1.4}, marker={"size": 3}, connectgaps=False,
            )  # fmt: skip
    figure.update_xaxes(title_text="Time (h)", range=[0.0, end_s / 3600.0])
    figure.update_yaxes(title_text="Locked clock (MHz)")
    note = "" if result.caps_timeline else "Nothing was capped."
    return chart(figure, label="Locked clocks over time", height_px=260, note=note)


def _states(result: RowResult) -> Block:
    columns = [Column("What"), Column("State"), Column("Time", "s", "number"), Column("Share", show="share")]
    rows: list[list[Any]] = []
    for what, seconds in result.time_in_state.items():
        total = sum(seconds.values())
        rows += [[what, state, held, held / total if total else None] for state, held in seconds.items()]
    return table(columns, rows)


def _latency(result: RowResult) -> Block:
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    for priority, latency in result.latency.items():
        if not latency.quantiles:
            continue
        levels, own, free = zip(*latency.quantiles, strict=True)
        for name, dash, seconds in ((result.policy, "solid", own), ("uncapped", "dot", free)):
            figure.add_scatter(
                x=list(seconds), y=[100 * level for level in levels], name=f"{priority}, {name}", mode="lines+markers",
                line={"color": _COLOURS[priority], "dash": dash},
            )  # fmt: skip
    figure.update_xaxes(title_text="Latency (s)")
    figure.update_yaxes(title_text="Requests served by then (%)", range=[0, 101])
    return chart(figure, label="Distribution of latency by priority")


def _judged(result: RowResult, slo: Slo) -> Block:
    columns = [
        Column("Priority"), Column("Quantile"), Column("Latency", "s", "number"),
        Column("Over uncapped", "%", "number"), Column("SLO", "%", "number"), Column("Kept"),
    ]  # fmt: skip
    rows: list[list[Any]] = []
    for priority, latency in result.latency.items():
        for name in ("p50", "p99"):
            impact, limit = getattr(latency, f"{name}_impact"), getattr(slo, f"{priority}_{name}")
            kept = None if impact is None else ("yes" if impact <= limit else "no")
            rows.append([priority, name, getattr(latency, f"{name}_s"), impact, limit, kept])
    return table(columns, rows)


def _distribution(result: RowResult) -> Block:
    import plotly.graph_objects as go

    counts = np.array(result.histogram, np.float64)
    figure = go.Figure(layout={"template": "none"})
    if counts.sum() > 0:
        above = 100.0 * counts[::-1].cumsum()[::-1] / counts.sum()
        figure.add_scatter(
            x=(np.arange(len(counts)) / 10.0).tolist(), y=above.tolist(), mode="lines",
            line={"shape": "hv", "color": PALETTE[0]}, name="time at or above",
        )  # fmt: skip
    figure.update_xaxes(title_text="Power (% of the budget)")
    figure.update_yaxes(title_text="Time at or above (%)", type="log")
    return chart(figure, label="Share of time at or above a power", height_px=300)


def _services(result: RowResult) -> Block:
    columns = [
        Column("Service"), Column("Priority"), Column("Servers", "", "number"), Column("Requests", "", "number"),
        Column("p50", "s", "number"), Column("p99", "s", "number"), Column("p50 over uncapped", "%", "number"),
        Column("p99 over uncapped", "%", "number"), Column("Tokens/s", "", "number"),
    ]  # fmt: skip
    rows: list[list[Any]] = [
        [
            one.service, one.priority, float(one.servers), float(one.requests), one.p50_s, one.p99_s, one.p50_impact,
            one.p99_impact, one.tokens_per_s,
        ]
        for one in result.services
    ]  # fmt: skip
    return table(columns, rows)
