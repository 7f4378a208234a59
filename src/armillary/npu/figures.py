"""The report page of one NPU run, composed of the primitives of `report`.

In:  an `NpuResult`. Out: one HTML page: summary, what bounds the run, roofline of the layers, timeline, power, layers.
"""

from __future__ import annotations

import numpy as np

from armillary.npu.measure import LAYER_COST
from armillary.npu.queues import BACKING, HOST_LINK, SCRATCHPAD, WEIGHT_MEMORY
from armillary.npu.result import NpuResult
from armillary.report import (
    Block,
    Bottleneck,
    Column,
    Footer,
    Page,
    RooflinePoints,
    Section,
    StepSeries,
    Tile,
    bottleneck_table,
    roofline,
    step_chart,
    table,
    tiles,
    timeline_columns,
    timeline_view,
    trust_box,
)
from armillary.report.palette import PALETTE
from armillary.units import format_bytes

# One colour a thing on the whole page, as kind of task and as bound.
_WEIGHTS, _INPUT, _OUTPUT = PALETTE[4], PALETTE[2], PALETTE[6]
COLOURS = {
    "array": PALETTE[0],
    "vector": PALETTE[1],
    "host": PALETTE[7],
    LAYER_COST: PALETTE[5],
    HOST_LINK.lower(): PALETTE[3],
    **dict.fromkeys(BACKING, _INPUT),
    WEIGHT_MEMORY.lower(): _WEIGHTS,
    "arrival": PALETTE[3],
    "departure": PALETTE[3],
    "weights": _WEIGHTS,
    "input": _INPUT,
    "output": _OUTPUT,
}


def report(result: NpuResult) -> str:
    """Return the report page of `result`."""
    sections = [
        Section("Summary", [_tiles(result), trust_box(result.trust)]),
        Section(
            "What bounds it",
            [_bounds(result)],
            lead="Shares of the critical path: the chain of causes that makes the run as long as it is.",
        ),
        Section(
            "Roofline",
            [_roofline(result)],
            lead="Layers by products per byte of their tensors; larger points took longer. What lies above the slope "
            "ran faster than the memory behind the scratchpad feeds it: its data stayed on the chip.",
        ),
        Section(
            "Timeline",
            [_timeline(result)],
            lead=_timeline_lead(result),
        ),
        Section(
            "Power", [_power(result)], lead="Energy of events spread over their tasks, plus idle and leakage power."
        ),
        Section("Layers", [_layers(result)]),
    ]
    if result.fallbacks:
        sections.append(Section("On the host", [_fallbacks(result)], lead="What the chip cannot run, with the reason."))
    facts = {
        "Digest of the result": result.digest(),
        **{f"Input: {name}": text for name, text in result.inputs.items()},
    }
    versions = dict(result.run.versions) if result.run is not None else {}
    footer = Footer(
        versions=versions,
        reproduce=_command(result),
        facts=facts,
    )
    return Page(f"{result.model} on {result.chip}", sections, subtitle=_subtitle(result), footer=footer).html()


def _command(result: NpuResult) -> str:
    """Return the command that makes this page again; a model file is named by the caller."""
    chip = f"--chip {result.chip} --dtype {result.dtype}"
    chip += f" --queue-depth {result.queue_depth}" if result.queue_depth > 1 else ""
    if result.inputs.get("model") == result.model:
        size = next(iter(result.input_shapes.values()))[-1]
        return f"armillary npu run {result.model} {chip} --batch {result.batch} --resolution {size}"
    shapes = " ".join(f"--shape {name}={','.join(map(str, shape))}" for name, shape in result.input_shapes.items())
    return f"armillary npu run MODEL_FILE {chip} {shapes}"


def _subtitle(result: NpuResult) -> str:
    return f"{result.dtype}, batch {result.batch}: one inference, event by event"


def _tiles(result: NpuResult) -> Block:
    cached = result.cached_parameter_bytes / max(1, result.parameter_bytes)
    return tiles(
        [
            Tile("Latency", result.latency_s, "s"),
            Tile("Throughput", f"{result.throughput_per_s:.4g}", "items/s"),
            Tile("Energy", result.energy_j, "J", note="chip alone, without its host"),
            Tile("Average power", result.average_power_w, "W"),
            Tile("Array used", result.mac_utilisation, "%", note="of its peak over the whole latency"),
            Tile("Work", float(result.macs), "MAC"),
            Tile("Weights", float(result.parameter_bytes), "B", note=f"{cached:.0%} stay on the chip"),
            Tile("Host link", float(result.host_link_bytes), "B", note="moved by one inference"),
            *([Tile(result.memory, float(result.dram_bytes), "B")] if result.memory else []),
            *(
                [Tile(WEIGHT_MEMORY, float(result.weight_memory_bytes), "B")]
                if WEIGHT_MEMORY in result.timeline.resources.names
                else []
            ),
            Tile("Scratchpad peak", float(result.scratchpad_peak_bytes), "B"),
        ]
    )


def _bounds(result: NpuResult) -> Block:
    return bottleneck_table([Bottleneck(b.what, b.time_s, b.share, b.remedy) for b in result.bounds], colours=COLOURS)


def _roofline(result: NpuResult) -> Block:
    layers = result.layers
    points = RooflinePoints(
        name=[layer.name for layer in layers],
        bound=[layer.bound for layer in layers],
        operations=np.array([layer.macs for layer in layers], np.float64),
        bytes=np.array([layer.tensor_bytes for layer in layers], np.float64),
        time_s=np.array([layer.end_s - layer.start_s for layer in layers]),
    )
    return roofline(
        points,
        peaks={"Array": result.peak_macs_per_s},
        memories={result.memory or HOST_LINK: result.memory_bytes_per_s},
        operation="MAC",
        colours=COLOURS,
    )


def _timeline(result: NpuResult) -> Block:
    timeline = result.timeline
    columns = timeline_columns(
        timeline,
        static_w=result.static_power_w,
        pool_units={SCRATCHPAD: "B"},
        links=[name for name in (*BACKING, WEIGHT_MEMORY, HOST_LINK) if name in timeline.resources.names],
        kind_colours={kind: colour for kind, colour in COLOURS.items() if kind in timeline.kinds},
    )
    return timeline_view(columns)


def _timeline_lead(result: NpuResult) -> str:
    cached = format_bytes(result.cached_parameter_bytes)
    beside = f" The scratchpad is shown without the {cached} of weights that stay in it." if cached != "0 B" else ""
    return f"Every task of the run, on what it held.{beside}"


def _power(result: NpuResult) -> Block:
    power = result.timeline.power(static_w=result.static_power_w)
    return step_chart([StepSeries("Chip", power.time_s, power.power_w, result.latency_s)], unit="W", label="Power")


def _layers(result: NpuResult) -> Block:
    columns = [
        Column("Layer"),
        Column("Operator"),
        Column("Engine"),
        Column("Bound by"),
        Column("Start", "s", "number"),
        Column("Time", "s", "number"),
        Column("Share of latency", show="share"),
        Column("Work", "MAC", "number"),
        Column("Moved", "B", "number"),
        Column("Energy", "J", "number"),
    ]
    return table(
        columns,
        [
            [
                layer.name,
                layer.op,
                layer.engine,
                layer.bound,
                layer.start_s,
                layer.end_s - layer.start_s,
                (layer.end_s - layer.start_s) / result.latency_s,
                float(layer.macs),
                float(layer.bytes),
                layer.energy_j,
            ]
            for layer in result.layers
        ],
    )


def _fallbacks(result: NpuResult) -> Block:
    columns = [Column("Layer"), Column("Operator"), Column("Reason"), Column("Time", "s", "number")]
    return table(columns, [[each.name, each.op, each.reason, each.time_s] for each in result.fallbacks])
