"""The pages of a comparison and of a sizing: servers against risk, what each policy costs whom, headroom, ablations.

In:  a `Comparison` or a `Sizing`. Out: one HTML page.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armillary.power.compare import Comparison, Line
from armillary.power.size import Sizing, wilson
from armillary.power.trial import Outcome
from armillary.report import Block, Column, Footer, Page, Section, Tile, chart, share_bar, table, tiles
from armillary.report.markup import chart_text
from armillary.report.palette import PALETTE
from armillary.stats import Interval

IMPACTS = ("high_p50", "high_p99", "low_p50", "low_p99")


def page(result: Comparison) -> str:
    """Return the page of a comparison."""
    sections = [
        Section("Largest safe", [_largest(result)], lead="Without any brake and within the SLO, in every seed."),
        Section(
            "Servers and risk",
            [_risk(result), _brakes(result)],
            lead="Share of seeds in which a size brakes or breaks the SLO, with its 95 % interval; brakes of a run.",
        ),
        Section(
            "Latency against the SLO",
            [_impact(result, name) for name in IMPACTS if any(getattr(line, name) for line in result.lines)],
            lead="Increase of latency over the same requests without any cap; mean, least and greatest of the seeds.",
        ),
        Section("All of it", [_lines(result.lines)]),
    ]
    if result.headroom:
        sections.append(
            Section(
                "Headroom",
                [block for one in result.headroom for block in _headroom(one)],
                lead="What is left of the budget at the peak, and why: long phases draw less than short ones, which "
                "multiplexing cannot fully use; training swings in step, so that nothing is left of it.",
            )
        )
    if result.ablations:
        lead = "One assumption changed at a time, at 30 % more servers; true power and what the meter showed."
        rows = [(one.what, one.outcome) for one in result.ablations]
        sections.append(Section("Ablations", [_outcomes(rows)], lead=lead))
    names = " ".join(f"--policies {found.policy}" for found in result.largest_safe)
    footer = Footer(
        versions=dict(result.run.versions) if result.run is not None else {},
        reproduce=f"armillary power compare --row {result.row} {names} --days {result.days:g} --mix {result.mix}",
        facts=dict(result.inputs),
    )
    subtitle = f"{result.budget_w / 1e3:.0f} kW, {result.days:g} days, {result.mix}"
    return Page(f"Policies on {result.row}", sections, subtitle=subtitle, footer=footer).html()


def size_page(result: Sizing) -> str:
    """Return the page of a sizing."""
    servers, more = result.servers, result.oversubscription
    summary = tiles(
        [
            Tile("Largest safe", servers.low, "", "in every seed"),
            Tile("Over seeds", f"{servers.low:.0f} to {servers.high:.0f}", "", f"median {servers.value:g}"),
            Tile("Oversubscription", more.low, "%"),
            Tile("Density", f"{result.servers_per_mw:.0f}", "servers/MW"),
        ]
    )
    curve = _scatter(
        {result.policy: [(point.servers, point.unsafe) for point in result.risk]}, "Unsafe seeds (%)", scale=100.0
    )
    first = [[float(one.seed), float(one.servers), ", ".join(one.first_broken) or None] for one in result.by_seed]
    columns = [Column("Seed", "", "number"), Column("Largest safe", "", "number"), Column("One more breaks")]
    sections = [
        Section("Summary", [summary]),
        Section("Servers and risk", [curve], lead="Share of seeds in which a size is not safe, with 95 % intervals."),
        Section("Seeds", [table(columns, first)]),
        Section("Runs", [_outcomes([(f"seed {one.seed}", one) for one in result.outcomes])]),
    ]
    footer = Footer(
        versions=dict(result.run.versions) if result.run is not None else {},
        reproduce=f"armillary power size --row {result.row} --policy {result.policy} --days {result.days:g}",
        facts=dict(result.inputs),
    )
    subtitle = f"{result.budget_w / 1e3:.0f} kW, {result.days:g} days, {result.mix}"
    return Page(f"Size of {result.row} under {result.policy}", sections, subtitle=subtitle, footer=footer).html()


def _largest(result: Comparison) -> Block:
    entries = []
    for found in result.largest_safe:
        seeds = ", ".join("none" if one is None else str(one) for one in found.servers_by_seed)
        more = "" if found.servers is None else f"{found.servers / result.provisioned_servers - 1.0:+.0%}; "
        number = None if found.servers is None else float(found.servers)
        entries.append(Tile(found.policy, number, "", f"{more}by seed: {seeds}"))
    return tiles(entries)


def _risk(result: Comparison) -> Block:
    curves = {
        found.policy: [
            (line.servers, wilson(line.seeds - line.safe_seeds, line.seeds))
            for line in result.lines
            if line.policy == found.policy
        ]
        for found in result.largest_safe
    }
    return _scatter(curves, "Unsafe seeds (%)", scale=100.0)


def _brakes(result: Comparison) -> Block:
    return _scatter(_curves(result, "brakes"), "Brakes")


def _impact(result: Comparison, name: str) -> Block:
    title = f"{name.replace('_', ' ')}: latency (%)"
    return _scatter(_curves(result, name), title, scale=100.0, limit=("SLO", getattr(result.slo, name)))


def _curves(result: Comparison, name: str) -> dict[str, list[tuple[int, Interval]]]:
    return {
        found.policy: [
            (line.servers, value)
            for line in result.lines
            if line.policy == found.policy and (value := getattr(line, name)) is not None
        ]
        for found in result.largest_safe
    }


def _scatter(
    curves: dict[str, list[tuple[int, Interval]]],
    title: str,
    *,
    scale: float = 1.0,
    limit: tuple[str, float] | None = None,
) -> Block:
    """Return a chart over servers with a curve a policy and its intervals as bars."""
    import plotly.graph_objects as go

    figure = go.Figure(layout={"template": "none"})
    for number, (name, points) in enumerate(curves.items()):
        colour = PALETTE[number % len(PALETTE)]
        figure.add_scatter(
            x=[servers for servers, _ in points], y=[scale * value.value for _, value in points],
            error_y={
                "type": "data", "symmetric": False, "width": 3, "thickness": 1,
                "array": [scale * (value.high - value.value) for _, value in points],
                "arrayminus": [scale * (value.value - value.low) for _, value in points],
            },
            name=chart_text(name), mode="lines+markers", line={"color": colour},
        )  # fmt: skip
    if limit is not None:
        line = {"dash": "dash", "width": 1.2, "color": PALETTE[3]}
        figure.add_hline(y=scale * limit[1], line=line, annotation_text=limit[0])
    figure.update_xaxes(title_text="Servers")
    figure.update_yaxes(title_text=title, rangemode="tozero")
    return chart(figure, label=f"{title} over servers", height_px=300)


def _lines(lines: Sequence[Line]) -> Block:
    shown = [
        ("brakes", "Brakes", ""), ("breaker_trips", "Breaker would trip", ""), ("ups_trips", "Supply would trip", ""),
        ("peak_utilisation", "Peak", "%"), ("max_rise_2s", "Rise in 2 s", "%"), ("max_rise_40s", "Rise in 40 s", "%"),
        ("high_p50", "High p50", "%"), ("high_p99", "High p99", "%"), ("low_p50", "Low p50", "%"),
        ("low_p99", "Low p99", "%"), ("low_throughput", "Low tokens", "%"), ("high_throughput", "High tokens", "%"),
        ("low_capped", "Low capped", "%"), ("high_capped", "High capped", "%"), ("braked", "Braked", "%"),
        ("tokens_per_s_per_kw", "Tokens/s a kW", ""), ("energy_j", "Energy", "J"), ("energy_cost", "Energy cost", ""),
    ]  # fmt: skip
    shown = [entry for entry in shown if any(getattr(line, entry[0]) is not None for line in lines)]
    columns = [Column("Policy"), Column("Servers", "", "number"), Column("Servers a MW", "", "number")]
    columns += [Column(label, unit, "number") for _, label, unit in shown]
    rows = [
        [line.policy, float(line.servers), line.servers_per_mw, *(_mean(getattr(line, name)) for name, _, _ in shown)]
        for line in lines
    ]
    return table(columns, rows, caption="Means over the seeds")


def _mean(value: Interval | None) -> float | None:
    return None if value is None else value.value


def _headroom(one: Any) -> list[Block]:
    parts = {
        "used at the peak": one.used, "rating": one.rated, "phases": one.phases,
        "multiplexing": one.multiplexing, "idle": one.idle,
    }  # fmt: skip
    columns = [Column(f"{one.mix}, {one.servers} servers"), Column("Share of the budget", "%", "number")]
    # What fluctuations take back comes off what mixing of phases could give.
    net = {"used at the peak": one.used, "phases, net": one.phases + one.multiplexing, "idle": one.idle}
    bar = share_bar([(name, max(0.0, share)) for name, share in net.items()])
    return [bar, table(columns, [[name, share] for name, share in parts.items()])]


def _outcomes(rows: Sequence[tuple[str, Outcome]]) -> Block:
    columns = [
        Column("Run"), Column("Servers", "", "number"), Column("Brakes", "", "number"),
        Column("Breaker would trip", "", "number"),
        Column("True peak", "%", "number"), Column("Seen peak", "%", "number"), Column("Over budget", "s", "number"),
        Column("Seen over budget", "s", "number"), Column("High p50", "%", "number"), Column("High p99", "%", "number"),
        Column("Low p50", "%", "number"), Column("Low p99", "%", "number"), Column("Breaks"),
    ]  # fmt: skip
    return table(
        columns,
        [
            [
                name, float(one.servers), float(one.brakes), float(one.breaker_trips), one.peak_utilisation,
                one.seen_peak_utilisation, one.over_s, one.seen_over_s, one.high_p50, one.high_p99, one.low_p50,
                one.low_p99, ", ".join(one.broken) or None,
            ]
            for name, one in rows
        ],
    )  # fmt: skip
