"""A page as a system would compose it: an NPU-like run with lanes, counters, a roofline, tables and a hostile name.

In:  number of tasks. Out: `sample_columns(...)`, `sample_page(...)`.
Noise comes from an integer hash, so that pages are equal everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.report import (
    Block,
    Bottleneck,
    Column,
    Counter,
    Footer,
    Page,
    RooflinePoints,
    Section,
    StepSeries,
    Tile,
    TimelineColumns,
    bottleneck_table,
    roofline,
    step_chart,
    table,
    tiles,
    timeline_view,
    trust_box,
)
from armillary.timeline import Trust

FloatArray = npt.NDArray[np.float64]

HOSTILE = "</script><img src=x onerror=\"document.title='owned'\">"
LANES = ("DMA in", "DMA out", "MAC array", "Vector unit", "Shave cores", "Host link")
KINDS = ("load weights", "load input", "convolution", "depthwise", "activation", "store", "host transfer")
LAYERS = 53
STEPS = 6  # of a tile: two loads, array, vector unit, store, shave
SECONDS_A_TICK = 1e-12


def noise(count: int, stream: int) -> FloatArray:
    """Uniform draws in [0, 1) from a counter-based integer hash."""
    x = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream * 0x1234567)
    x ^= x >> np.uint64(31)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(29)
    return (x >> np.uint64(11)).astype(np.float64) / 2.0**53


def layer_names() -> list[str]:
    names = [f"block{number // 4}/layer{number}" for number in range(LAYERS)]
    names[7] = HOSTILE
    return names


def played(lane: npt.NDArray[np.int64], duration: list[int]) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Start in ticks and cause of each task: lanes in order, three shaves, room for eight tiles in the scratchpad."""
    start: list[int] = []
    cause: list[int] = []
    free = [(0, -1)] * len(LANES)
    shaves = [(0, -1)] * 3
    for task, ticks in enumerate(duration):
        step = task % STEPS
        ready = (start[-1] + duration[task - 1], task - 1) if step else (0, -1)
        behind = task - 8 * STEPS + 2
        room = (start[behind] + duration[behind], behind) if step == 0 and behind >= 0 else ready
        queue, place = (shaves, shaves.index(min(shaves))) if step == 5 else (free, int(lane[task]))
        begin = max(ready, room, queue[place])
        queue[place] = (begin[0] + ticks, task)
        start.append(begin[0])
        cause.append(begin[1])
    return np.array(start, np.float64), np.array(cause, np.int64)


def sample_columns(tasks: int) -> TimelineColumns:
    """Tiles of layers that flow through DMA, array, vector unit, store and shaves."""
    count = tasks // STEPS
    size = 0.25 + noise(count, 1) ** 2 * 2.5
    layer = np.minimum((noise(count, 2).cumsum() / count * 2 * LAYERS).astype(np.int64), LAYERS - 1)
    heavy = 1.0 + 1.6 * np.sin(layer / 6.0) ** 2
    even = np.ones_like(heavy)
    shape = np.array([0.45 * heavy, 0.35 / heavy, heavy, 0.4 * even, 0.3 / heavy, 0.54 * even]).T
    ticks = np.ceil((size[:, None] * shape).ravel() * 1e6)
    lane = np.tile([0, 0, 2, 3, 1, 4], count)
    kind = np.tile([0, 1, 2, 4, 5, 4], count)
    kind[2::STEPS] = np.where(layer % 3 == 1, 3, 2)
    start, cause = played(lane, ticks.astype(np.int64).tolist())
    start_s, end_s = start * SECONDS_A_TICK, (start + ticks) * SECONDS_A_TICK
    time_s = np.sort(start_s[::2])
    load = 0.4 + 0.6 * noise(len(time_s), 3) * np.abs(np.sin(np.arange(len(time_s)) / len(time_s) * 9))
    scratchpad = np.append(np.round(load * 7.2e6), 0.0)
    return TimelineColumns(
        lanes=LANES,
        names=layer_names(),
        kinds=KINDS,
        task_lane=lane,
        task_name=np.repeat(layer, STEPS),
        task_kind=kind,
        start_s=start_s,
        end_s=end_s,
        bytes=ticks * 4e-3 * (lane < 2),
        energy_j=ticks * SECONDS_A_TICK * 1.7,
        cause=cause,
        counters=(
            Counter("Power", "W", time_s, 0.6 + 1.5 * load),
            Counter("Scratchpad", "B", np.append(time_s, end_s.max()), scratchpad, limit=8 * 2.0**20),
        ),
    )


def sample_page(tasks: int) -> Page:
    """A whole report over `sample_columns`."""
    columns = sample_columns(tasks)
    total_s = float(columns.end_s.max())
    power = columns.counters[0]
    points = sample_points(columns)
    steps = step_chart(
        [StepSeries("Power", power.time_s, power.value, total_s)], unit="W", label="Power", limits=[("budget", 2.0)]
    )
    roof = roofline(points, peaks={"MAC array": 2e12}, memories={"SRAM": 50e9, "Host link": 4e8}, operation="MAC")
    return Page(
        title="MobileNetV2 on Coral Edge TPU (USB 3)",
        subtitle="224 × 224, int8, batch 1, seed 0",
        sections=(
            Section("Summary", summary(total_s)),
            Section("What bounds it", (bottlenecks(total_s),)),
            Section("Timeline", (timeline_view(columns),)),
            Section("Power", (steps,)),
            Section("Roofline", (roof,)),
            Section("Layers", (layer_table(points),)),
        ),
        footer=Footer(
            versions={"armillary": "0.1.0", "numpy": "2.4.6", "numba": "0.68.1"},
            reproduce="armillary npu run mobilenet_v2 --chip coral-edge-tpu-usb --seed 0",
            facts={"Result digest": "6f1c0b7e9a42"},
        ),
    )


def summary(total_s: float) -> tuple[Block, Block]:
    entries = [
        Tile("Latency", total_s, "s"),
        Tile("Throughput", 1 / total_s, "inf/s"),
        Tile("Energy", 5.31e-3, "J", "a run, static power included"),
        Tile("Average power", 1.74, "W"),
        Tile("MAC utilisation", 0.371, "%", "of 2 TMAC/s"),
        Tile("Host link traffic", 602_112, "B"),
        Tile("Parameters", 3_504_872.0, "", "3.3 MiB of 6.75 MiB cache"),
    ]
    trust = Trust(
        inside=True,
        calibrated_range="8-bit CNNs of 0.3 to 12 GMAC on USB 3",
        expected_error=0.14,
        basis="leave-one-network-out error over six measured networks",
        improve="measured latency of one network of your own",
    )
    return tiles(entries), trust_box(trust)


def bottlenecks(total_s: float) -> Block:
    shares = {
        "DMA": (0.19, "a second DMA port"),
        "MAC array": (0.41, "more channels a layer would fill the array"),
        "Weights over the host link": (0.27, "keep the model under 6.75 MiB"),
        "Per-layer cost": (0.08, ""),
    }
    return bottleneck_table(
        [Bottleneck(what, share * total_s, share, remedy) for what, (share, remedy) in shares.items()]
    )


def sample_points(columns: TimelineColumns) -> RooflinePoints:
    on_array = np.where(columns.task_lane == 2, columns.end_s - columns.start_s, 0.0)
    time_s = np.bincount(columns.task_name, weights=on_array, minlength=LAYERS).astype(np.float64)
    intensity = 6 + 190 * noise(LAYERS, 6) ** 2
    operations = time_s * np.minimum(2e12, intensity * 50e9) * (0.4 + 0.55 * noise(LAYERS, 5))
    bound = ["MAC array" if value > 40 else "memory" for value in intensity.tolist()]
    return RooflinePoints(columns.names, bound, operations, operations / intensity, time_s)


def layer_table(points: RooflinePoints) -> Block:
    heads = [
        Column("Layer"),
        Column("Bound by"),
        Column("Share", show="share"),
        Column("Time", "s", "number"),
        Column("Work", "MAC", "number"),
        Column("Traffic", "B", "number"),
    ]
    figures = np.column_stack(
        (points.time_s / points.time_s.sum(), points.time_s, points.operations, points.bytes)
    ).tolist()
    return table(heads, [[name, why, *row] for name, why, row in zip(points.name, points.bound, figures, strict=True)])
