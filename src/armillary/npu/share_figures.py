"""The report page of several networks on one chip, composed of the primitives of `report`.

In:  a `ShareResult`. Out: one HTML page: latencies by network, every inference over time, timeline, power.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.engine import ResourceKind
from armillary.npu.queues import DRAM, HOST_LINK, SCRATCHPAD
from armillary.npu.share_result import ShareResult
from armillary.report import (
    Block,
    Column,
    Counter,
    Footer,
    Page,
    Section,
    StepSeries,
    Tile,
    TimelineColumns,
    step_chart,
    table,
    tiles,
    timeline_columns,
    timeline_view,
    trust_box,
)
from armillary.report.palette import colours_of

MOST_TASKS = 40_000  # that the timeline shows: some 4 MB of page


def report(result: ShareResult) -> str:
    """Return the report page of `result`."""
    columns = _columns(result)
    shown = first_tasks(columns, MOST_TASKS)
    sections = [
        Section("Summary", [_tiles(result), trust_box(result.trust)]),
        Section(
            "Networks",
            [_networks(result)],
            lead="Latencies from arrival to end. A network waits for its earlier inferences, and for its turn: for "
            "more urgent ones, for equals that came first, and for the layer that runs when it arrives.",
        ),
        Section("Inferences", [_latencies(result)], lead="Latency of each inference, by its time of arrival."),
        Section("Use", [_use(result)], lead="Share of the whole duration for which each queue and link was in use."),
        Section(
            "Timeline",
            [timeline_view(shown)],
            lead="Every task, on what it held, by network."
            if len(shown) == len(columns)
            else f"The first {shown.end_s.max() * 1e3:.3g} ms: {len(shown)} tasks, on what they held, by network.",
        ),
        Section(
            "Power", [_power(result)], lead="Energy of events spread over their tasks, plus idle and leakage power."
        ),
    ]
    facts = {
        "Digest of the result": result.digest(),
        **{f"Input: {name}": text for name, text in result.inputs.items()},
    }
    versions = dict(result.run.versions) if result.run is not None else {}
    footer = Footer(versions=versions, reproduce=result.command, facts=facts)
    title = f"{len(result.tenants)} networks on {result.chip}"
    return Page(title, sections, subtitle="By priority, preempted between layers", footer=footer).html()


def first_tasks(columns: TimelineColumns, most: int) -> TimelineColumns:
    """Return `columns` up to the time at which about `most` tasks have started; what began before stays whole."""
    if len(columns) <= most:
        return columns
    until_s = float(np.partition(columns.start_s, most)[most])
    kept = columns.start_s < until_s
    place = np.where(kept, np.cumsum(kept) - 1, -1)
    cause = columns.cause if columns.cause is not None else np.full(len(kept), -1)
    return replace(
        columns,
        task_lane=columns.task_lane[kept],
        task_name=columns.task_name[kept],
        task_kind=columns.task_kind[kept],
        start_s=columns.start_s[kept],
        end_s=columns.end_s[kept],
        bytes=None if columns.bytes is None else columns.bytes[kept],
        energy_j=None if columns.energy_j is None else columns.energy_j[kept],
        cause=np.where(cause[kept] >= 0, place[cause[kept]], -1),
        counters=[_until(counter, until_s) for counter in columns.counters],
    )


def _until(counter: Counter, until_s: float) -> Counter:
    kept = counter.time_s < until_s
    return replace(counter, time_s=counter.time_s[kept], value=counter.value[kept])


def _columns(result: ShareResult) -> TimelineColumns:
    timeline = result.timeline
    names, kinds = timeline.resources.names, timeline.resources.kind
    pads = [
        name
        for name, kind in zip(names, kinds, strict=True)
        if kind == ResourceKind.POOL and name.startswith(f"{SCRATCHPAD}: ")
    ]
    return timeline_columns(
        timeline,
        static_w=result.static_power_w,
        pool_units=dict.fromkeys(pads, "B"),
        links=[name for name in (DRAM, HOST_LINK) if name in names],
        kind_colours=_colours(result),
    )


def _colours(result: ShareResult) -> dict[str, str]:
    return colours_of([tenant.name for tenant in result.tenants])


def _tiles(result: ShareResult) -> Block:
    busiest = max(result.utilisation, key=lambda name: result.utilisation[name])
    late = [tenant.deadline_misses for tenant in result.tenants if tenant.deadline_misses is not None]
    return tiles(
        [
            Tile("Duration", result.duration_s, "s", note=f"arrivals for {result.seconds:g} s"),
            Tile("Inferences", f"{len(result.inferences)}"),
            Tile("Deadlines missed", f"{sum(late)}" if late else "none set"),
            Tile("Busiest", result.utilisation[busiest], "%", note=busiest),
            Tile("Energy", result.energy_j, "J", note="chip alone, without its host"),
            Tile("Average power", result.average_power_w, "W"),
        ]
    )


def _networks(result: ShareResult) -> Block:
    columns = [
        Column("Network"),
        Column("Priority", "", "number"),
        Column("Inferences", "", "number"),
        Column("Alone", "s", "number"),
        Column("Median", "s", "number"),
        Column("p99", "s", "number"),
        Column("Longest", "s", "number"),
        Column("Slow-down", "", "number"),
        Column("Waits on average", "s", "number"),
        Column("Late", "", "number"),
        Column("Longest layer", "s", "number"),
        Column("Scratchpad", "B", "number"),
        Column("Energy", "J", "number"),
    ]
    return table(
        columns,
        [
            [
                tenant.name,
                float(tenant.priority),
                float(tenant.inferences),
                tenant.alone_s,
                tenant.latency_p50_s,
                tenant.latency_p99_s,
                tenant.latency_max_s,
                tenant.slowdown,
                tenant.wait_mean_s,
                None if tenant.deadline_misses is None else float(tenant.deadline_misses),
                tenant.longest_segment_s,
                float(tenant.scratchpad_bytes),
                tenant.energy_j,
            ]
            for tenant in result.tenants
        ],
    )


def _latencies(result: ShareResult) -> Block:
    series = []
    for tenant in result.tenants:
        rows = [row for row in result.inferences if row.tenant == tenant.name]
        time_s, value = np.array([row.arrival_s for row in rows]), np.array([row.latency_s for row in rows])
        # Of those that arrive together, the last one is drawn.
        last = np.append(np.diff(time_s) > 0, True)
        series.append(StepSeries(tenant.name, time_s[last], value[last], max(result.seconds, float(time_s[-1]))))
    return step_chart(series, unit="s", label="Latency")


def _use(result: ShareResult) -> Block:
    used = sorted(result.utilisation.items(), key=lambda item: -item[1])
    return table([Column("Queue or link"), Column("In use", show="share")], [[name, share] for name, share in used])


def _power(result: ShareResult) -> Block:
    power = result.timeline.power(static_w=result.static_power_w)
    return step_chart([StepSeries("Chip", power.time_s, power.power_w, result.duration_s)], unit="W", label="Power")
