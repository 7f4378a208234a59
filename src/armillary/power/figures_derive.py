"""The page of a derivation: thresholds, rises, what was judged, the threshold map.

In:  a `Derivation`. Out: one HTML page.
"""

from __future__ import annotations

from armillary.power.derive_result import Derivation
from armillary.report import Block, Column, Footer, Page, Section, Tile, chart, table, tiles
from armillary.report.palette import PALETTE


def page(result: Derivation) -> str:
    """Return the page of `result`."""
    sections = [
        Section("Summary", [_tiles(result)]),
        Section(
            "Rises",
            [_rises(result)],
            lead="T2 lies below the budget by the largest rise that can happen before a lock lands. Lower bounds come "
            "from resampled days, upper ones from a Gumbel law of the daily largest.",
        ),
        Section(
            "Candidates",
            [_candidates(result)],
            lead="Each was judged by replaying the history, scaled to more and more servers, until something braked or "
            "broke the SLO.",
        ),
    ]
    if result.threshold_map:
        lead = (
            "Largest safe number of servers at each pair of thresholds, at the clocks above; empty: not even those of "
        )
        lead += "the history."
        sections.append(Section("Threshold map", [_map(result)], lead=lead))
    subtitle = f"{result.history_days} days of {result.history_servers} servers, {result.gpu}"
    return Page("Thresholds of a row", sections, subtitle=subtitle, footer=Footer(facts=dict(result.inputs))).html()


def _tiles(result: Derivation) -> Block:
    set_to, servers, t2 = result.thresholds, result.servers, result.t2
    return tiles(
        [
            Tile("Largest safe", servers.value, "", f"{servers.low:.0f} to {servers.high:.0f} over resampled days"),
            Tile("T2 of the history", t2.value, "%", f"{t2.low:.1%} to {t2.high:.1%}"),
            Tile("T1 there", set_to.t1, "%"),
            Tile("T2 there", set_to.t2, "%"),
            Tile("Low over T1", f"{set_to.low1_mhz}", "MHz"),
            Tile("Low over T2", f"{set_to.low2_mhz}", "MHz"),
            Tile("High over T2", f"{set_to.high2_mhz}", "MHz"),
            *(Tile(name.replace("_", " "), value, "%", "latency lost") for name, value in result.impact.items()),
        ]
    )


def _rises(result: Derivation) -> Block:
    columns = [Column("Within", "s", "number"), *(Column(name, "%", "number") for name in ("Low", "Largest", "High"))]
    rows = [[one.within_s, one.largest.low, one.largest.value, one.largest.high] for one in result.rises]
    return table(columns, rows)


def _candidates(result: Derivation) -> Block:
    columns = [
        Column("T1", "%", "number"), Column("T2", "%", "number"), Column("Low over T1 (MHz)", "", "number"),
        Column("Low over T2 (MHz)", "", "number"), Column("High over T2 (MHz)", "", "number"),
        Column("Servers", "", "number"), Column("Low: mean latency", "%", "number"),
        Column("High: mean latency", "%", "number"),
    ]  # fmt: skip
    rows = [
        [
            one.thresholds.t1, one.thresholds.t2, float(one.thresholds.low1_mhz), float(one.thresholds.low2_mhz),
            float(one.thresholds.high2_mhz), float(one.servers), one.low_mean_impact, one.high_mean_impact,
        ]
        for one in result.candidates
    ]  # fmt: skip
    return table(columns, rows)


def _map(result: Derivation) -> Block:
    import plotly.graph_objects as go

    levels = sorted({level for cell in result.threshold_map for level in (cell.t1, cell.t2)})
    found = {(cell.t1, cell.t2): cell.servers for cell in result.threshold_map}
    least = result.history_servers
    servers = [[number if (number := found.get((t1, t2), 0)) >= least else None for t2 in levels] for t1 in levels]
    names = [f"{level:.0%}" for level in levels]
    figure = go.Figure(layout={"template": "none"})
    figure.add_heatmap(
        x=names, y=names, z=servers, text=[["" if n is None else n for n in line] for line in servers],
        texttemplate="%{text}", colorscale=[[0.0, "#ffffff"], [1.0, PALETTE[0]]], colorbar={"title": "servers"},
    )  # fmt: skip
    figure.update_xaxes(title_text="T2", type="category")
    figure.update_yaxes(title_text="T1", type="category")
    return chart(figure, label="Largest safe number of servers over thresholds")
