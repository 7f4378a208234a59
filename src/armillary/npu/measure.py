"""Figures of a run, measured on its timeline.

In:  the `Plan`, the `Program` and the `Timeline` that the engine made of it.
Out: figures of layers, what bounds the run, the statistics of the schedule trace, and how far to trust it all.
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.dispatch import ISSUE, SUBMIT
from armillary.npu.emit import Program
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.queues import DRIVER, HOST_LINK, WEIGHT_MEMORY
from armillary.npu.result import Bound, Fallback, LayerFigures
from armillary.timeline import Mask, Timeline, Trust, class_times_s
from armillary.timeline.power import FEMTOJOULE

TRANSFERS = ("weights", "input", "output", "arrival", "departure")
LAYER_COST = "layer cost"


def layer_figures(plan: Plan, program: Program, timeline: Timeline) -> tuple[LayerFigures, ...]:
    """Return the figures of every layer, in program order; the stripes of a layer count together."""
    layers, place = plan.striping.whole.layers, plan.striping.whole_place
    count = len(layers)
    tick_s, mine = timeline.tick_s, program.layer >= 0
    layer = plan.striping.origin[program.layer[mine]]
    start, end = timeline.start[mine], timeline.end[mine]
    moves = _of_kinds(timeline, TRANSFERS)[mine]

    def per_layer(values: IntArray | FloatArray, chosen: IntArray | None = None) -> FloatArray:
        picked = slice(None) if chosen is None else chosen
        return np.bincount(layer[picked], weights=values[picked], minlength=count).astype(np.float64)

    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    computing = np.flatnonzero(~moves)
    np.minimum.at(first, layer[computing], start[computing])
    np.maximum.at(last, layer[computing], end[computing])
    moving = np.flatnonzero(moves)
    wait = per_layer(timeline.latency[mine], computing)
    work = per_layer(end - start, computing) - wait
    # A tile whose weights arrive while it computes may have waited for them.
    streamed = _streamed_ticks(plan, timeline, program)[mine]
    work -= per_layer(streamed)
    queues = max(1, sum(name.startswith("DMA") for name in timeline.resources.names) - 1)
    apart = plan.chip.weight_memory is not None
    weights = np.flatnonzero(_of_kinds(timeline, ("weights",))[mine]) if apart else moving[:0]
    fetch = per_layer(end - start, weights)
    transfer, fetch = (per_layer(end - start, moving) - fetch) / queues, fetch + per_layer(streamed)
    moved, energy_fj = per_layer(timeline.bytes[mine]), per_layer(timeline.energy_fj[mine])
    names = [_engine_name(plan.placements[index].engine) for index in place.tolist()]
    shapes = plan.whole
    tensor_bytes = shapes.in_bytes + shapes.out_bytes + shapes.weight_bytes + shapes.row_bytes
    return tuple(
        LayerFigures(
            name=item.name,
            op=item.op.kind.value,
            engine=names[i],
            start_s=int(first[i]) * tick_s,
            end_s=int(last[i]) * tick_s,
            bound=max(
                (work[i], names[i]),
                (transfer[i], backing_name(plan.chip)),
                (fetch[i], WEIGHT_MEMORY.lower()),
                (wait[i], LAYER_COST),
            )[1],
            macs=int(shapes.macs[i]),
            bytes=int(moved[i]),
            tensor_bytes=int(tensor_bytes[i]),
            energy_j=float(energy_fj[i]) * FEMTOJOULE,
            fused=item.fused,
        )
        for i, item in enumerate(layers)
    )


def fallbacks(plan: Plan, figures: tuple[LayerFigures, ...]) -> tuple[Fallback, ...]:
    """Return the layers that run on the host, with the reason."""
    on_host = [(figures[plan.striping.origin[at]], plan.placements[at].reason) for at in plan.host_layers]
    return tuple(Fallback(row.name, row.op, reason, row.end_s - row.start_s) for row, reason in on_host)


def bounds(plan: Plan, program: Program, timeline: Timeline) -> tuple[Bound, ...]:
    """Return what the critical path consists of, largest first, with what would shorten it."""
    path = timeline.critical_path()
    kinds = np.array(timeline.kinds)[timeline.kind[path.task]] if len(path) else np.zeros(0, np.str_)
    span = path.end - path.start
    computing = (kinds == "array") | (kinds == "vector")
    has_dram, backing = plan.chip.dram is not None, backing_name(plan.chip)
    weights = int(plan.whole.constant_bytes.sum())
    waited = np.minimum(_streamed_ticks(plan, timeline, program)[path.task], span)
    streamed = {kind: int(waited[kinds == kind].sum()) for kind in ("array", "vector")}
    fetched = int(span[kinds == "weights"].sum() + waited.sum())
    moved = int(span[np.isin(kinds, ("input", "output"))].sum())
    if plan.chip.weight_memory is None:
        moved, fetched = moved + fetched, 0
    over_link = int(span[np.isin(kinds, ("arrival", "departure"))].sum())
    parts = {
        "array": (
            int((span - path.latency)[kinds == "array"].sum()) - streamed["array"],
            "a larger array, a higher clock, or layers that fill its granules",
        ),
        "vector": (
            int((span - path.latency)[kinds == "vector"].sum()) - streamed["vector"],
            "a wider vector engine",
        ),
        LAYER_COST: (int(path.latency[computing].sum()), "fewer layers, or a larger batch"),
        "host": (int(span[kinds == "host"].sum()), "operators that the chip supports"),
        HOST_LINK.lower(): (
            over_link + (0 if has_dram else moved),
            "a faster link, or " + ("fewer weights" if plan.caching.bytes < weights else "smaller inputs and outputs"),
        ),
        "control processor": (int(span[kinds == ISSUE].sum()), "fewer and larger tasks, or a faster control processor"),
        DRIVER.lower(): (int(span[kinds == SUBMIT].sum()), "more inferences in flight, or a leaner driver"),
        WEIGHT_MEMORY.lower(): (fetched, "a faster weight memory, fewer weights, or a larger batch"),
    }
    if has_dram:
        parts[backing] = (moved, f"more {backing} bandwidth, or a larger scratchpad")
    total = max(1, timeline.ticks)
    found = [
        Bound(what, ticks * timeline.tick_s, ticks / total, remedy) for what, (ticks, remedy) in parts.items() if ticks
    ]
    return tuple(sorted(found, key=lambda bound: -bound.time_s))


def statistics(timeline: Timeline) -> dict[str, float]:
    """Return unions, overlaps and sums of DMA, DPU (array) and SW (vector, host), as the schedule trace names them."""
    classes = {
        "dma": _of_kinds(timeline, TRANSFERS),
        "dpu": _of_kinds(timeline, ("array",)),
        "sw": _of_kinds(timeline, ("vector", "host")),
    }
    return class_times_s(timeline, classes)


def bytes_over(timeline: Timeline, link: str) -> int:
    """Return the bytes that crossed `link` (0 where the chip has none)."""
    if link not in timeline.resources.names:
        return 0
    return int(timeline.bytes[timeline.on(link)].sum())


def trust(plan: Plan, dtype: str, batch: int, *, own_point: bool = True) -> Trust:
    """Say whether the network lies inside the range on which the chip's parameters were fitted.

    Another clock or voltage than the chip's own (`own_point`) lies outside: no fit has seen two of them.
    """
    chip, shapes = plan.chip, plan.whole
    calibration = chip.calibration
    if calibration is None:
        return Trust(
            calibrated_range="none",
            inside=False,
            expected_error=None,
            basis="no measurement of this chip is known",
            improve="measure a few networks on the chip and fit its efficiency, layer cost and memory rate",
        )
    macs, weights = int(shapes.macs.sum()), int(shapes.constant_bytes.sum())
    strange = sorted({layer.op.kind for layer in plan.network.layers} - set(calibration.operators))
    inside = (
        not strange
        and own_point
        and chip.name == calibration.chip
        and dtype in calibration.element_types
        and batch == 1
        and not plan.host_layers
        and calibration.macs.low <= macs <= calibration.macs.high
        and calibration.parameter_bytes.low <= weights <= calibration.parameter_bytes.high
    )
    return Trust(
        calibrated_range=(
            f"{', '.join(calibration.element_types)}, {calibration.macs.low / 1e9:.3g} to "
            f"{calibration.macs.high / 1e9:.3g} GMAC, {calibration.parameter_bytes.low / 1e6:.3g} to "
            f"{calibration.parameter_bytes.high / 1e6:.3g} MB of weights, batch 1, on {calibration.chip} alone"
            + ("" if own_point else ", at its own clock and voltage")
        ),
        inside=inside,
        expected_error=calibration.expected_error.value if inside else None,
        basis=f"latency, leave-one-network-out over {len(calibration.networks)} networks",
        improve="a measured latency of a network like this one on this board"
        + (f": none of those compared has {', '.join(strange)}" if strange else ""),
    )


def _streamed_ticks(plan: Plan, timeline: Timeline, program: Program) -> IntArray:
    """Return the ticks in which each task had computed, but waited for the rest of its weights, shape (tasks,)."""
    computing = _of_kinds(timeline, ("array", "vector"))
    if not plan.chip.streams_weights:
        return np.zeros(len(timeline.start), np.int64)
    span = timeline.end - timeline.start - timeline.latency
    return np.where(computing & (timeline.bytes > 0), np.maximum(span - program.tasks.duration, 0), 0)


def backing_name(chip: Chip) -> str:
    """Return what lies behind the scratchpad, for people."""
    return chip.dram.kind if chip.dram is not None else HOST_LINK.lower()


def _engine_name(engine: Engine) -> str:
    return engine.name.lower()


def _of_kinds(timeline: Timeline, kinds: tuple[str, ...]) -> Mask:
    return timeline.of_kind(*(kind for kind in kinds if kind in timeline.kinds))
