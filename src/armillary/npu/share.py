"""Several networks on one NPU, by priority, with preemption at layer boundaries.

In:  `Tenant`s (or their texts) and a chip. Out: `ShareResult`, measured on the timeline of all of them.
Model: every network is compiled for its share of the scratchpad, which it keeps, so changing over moves nothing. Its
inferences follow one another. A more urgent network comes in when the layer that runs has ended, and keeps the engines
until its inference is done or its host has work; equals go in the order of arrival (npu/share_graph.py). Transfers
overlap with what others compute, the more urgent first. All of it is one task graph for the one engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from time import perf_counter

import numpy as np

from armillary.engine import ResourceKind
from armillary.engine.simulate import simulate
from armillary.engine.trace import Trace
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity, load_chip
from armillary.npu.compile import compile_network
from armillary.npu.emit import Program, emit
from armillary.npu.geometry import IntArray
from armillary.npu.run import chip_identity, model_identity, read_graph
from armillary.npu.share_graph import Party, Shared, join
from armillary.npu.share_result import InferenceFigures, ShareResult, TenantFigures
from armillary.npu.tenant import Tenant, parse_tenant
from armillary.npu.turns import Turns, turns
from armillary.timeline import RunInfo, Timeline, Trust
from armillary.timeline.power import FEMTOJOULE
from armillary.units import to_ticks_array
from armillary.workload import Graph

MAX_TENANTS = 16
MAX_TASKS = 4_000_000
_HAIR = 1e-9  # by which shares may add up to more than 1


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One tenant, compiled and played alone."""

    tenant: Tenant
    name: str
    graph: Graph
    identity: str
    scratchpad_bytes: int
    cached_bytes: int
    program: Program
    turns: Turns
    alone: Trace
    arrival_s: tuple[float, ...]


def share(
    tenants: Sequence[Tenant | str],
    /,
    *,
    chip: str | Chip,
    seconds: float = 1.0,
    seed: int = 0,
) -> ShareResult:
    """Simulate several networks that share `chip`.

    Args:
        tenants: networks with priority, arrivals, deadline and share of the scratchpad; or their texts, such as
            "mobilenet_v2:priority=0,period-ms=10,deadline-ms=8".
        chip: name of the catalogue, YAML file, or a chip.
        seconds: for how long periodic inferences arrive; the run goes on until all are done.
        seed: recorded with the result; nothing in this run is random.

    Returns:
        Latencies, deadline misses and slow-down of each network, use of every queue and link, energy, timeline.

    Raises:
        InputError: a tenant or chip that is not right, shares of more than the scratchpad, or too many inferences.
        InfeasibleError: a layer does not fit in its network's share of the scratchpad.
    """
    started = perf_counter()
    if not (isfinite(seconds) and seconds > 0):
        raise InputError(f"a run of {seconds} s", where="seconds", hint="use a time above 0")
    if not 1 <= len(tenants) <= MAX_TENANTS:
        raise InputError(f"{len(tenants)} networks", where="tenants", hint=f"name 1 to {MAX_TENANTS}")
    device = chip if isinstance(chip, Chip) else load_chip(chip)
    given = [tenant if isinstance(tenant, Tenant) else parse_tenant(tenant) for tenant in tenants]
    compiled = _compile(given, device, seconds)
    levels = sorted({tenant.priority for tenant in given})
    parties = [
        Party(each.name, each.program, each.turns, levels.index(each.tenant.priority), _ticks(each))
        for each in compiled
    ]
    shared = join(parties)
    timeline = Timeline.from_trace(simulate(shared.graph))
    inferences = [_inferences(each, number, shared, timeline) for number, each in enumerate(compiled)]
    static_w = device.energy.idle.value + device.energy.leakage.value
    power = timeline.power(static_w=static_w)
    table = timeline.resources
    return ShareResult(
        timeline=timeline,
        trust=_trust(device),
        seed=seed,
        inputs={"chip": chip_identity(device), **{f"model of {each.name}": each.identity for each in compiled}},
        run=RunInfo.now(wall_s=perf_counter() - started),
        chip=device.name,
        seconds=seconds,
        duration_s=timeline.makespan_s,
        tenants=tuple(
            _figures(each, number, rows, shared, timeline)
            for number, (each, rows) in enumerate(zip(compiled, inferences, strict=True))
        ),
        inferences=tuple(row for rows in inferences for row in rows),
        utilisation={
            name: float(used)
            for name, used, kind in zip(table.names, timeline.utilisations(), table.kind, strict=True)
            if kind != ResourceKind.POOL
        },
        energy_j=power.energy_fj * FEMTOJOULE,
        average_power_w=power.mean_w,
        peak_power_w=power.peak_w,
        static_power_w=static_w,
        command=" ".join(
            [
                f"armillary npu share --chip {device.name} --seconds {seconds:g}",
                *(f"--tenant '{t.text()}'" for t in given),
            ]
        ),
    )


def _compile(tenants: list[Tenant], chip: Chip, seconds: float) -> list[_Compiled]:
    """Compile every tenant for its share, and play one inference of it alone."""
    names: list[str] = []
    compiled: list[_Compiled] = []
    for tenant, part in zip(tenants, _shares(tenants), strict=True):
        graph = read_graph(
            tenant.model,
            dtype=tenant.dtype,
            batch=tenant.batch,
            resolution=tenant.resolution,
            sequence=tenant.sequence,
            width=tenant.width,
        )
        name = _fresh(tenant.name or graph.name, names)
        names.append(name)
        own = _part_of(chip, part)
        try:
            plan = compile_network(graph, own)
        except InfeasibleError as error:
            raise InfeasibleError(
                f"tenant {name!r} with {part:.3g} of the scratchpad: {error}; give it a larger share"
            ) from error
        program = emit(plan)
        compiled.append(
            _Compiled(
                tenant=replace(tenant, name=name),
                name=name,
                graph=graph,
                identity=model_identity(tenant.model, graph),
                scratchpad_bytes=int(own.scratchpad.size.value),
                cached_bytes=plan.caching.bytes,
                program=program,
                turns=turns(program),
                alone=simulate(program.tasks),
                arrival_s=replace(tenant, name=name).arrivals_s(seconds),
            )
        )
    total = sum(len(each.program.tasks) * len(each.arrival_s) for each in compiled)
    if total > MAX_TASKS:
        raise InputError(
            f"{total} tasks in {seconds} s",
            where="tenants",
            hint=f"at most {MAX_TASKS}: use longer periods or a shorter run",
        )
    return compiled


def _shares(tenants: list[Tenant]) -> list[float]:
    """Return the share of each tenant: its own, or an equal part of what the others leave.

    Raises:
        InputError: more than the whole, or nothing left for those that name no share.
    """
    given = sum(tenant.share for tenant in tenants if tenant.share is not None)
    others = sum(tenant.share is None for tenant in tenants)
    left = 1.0 - given
    if left < -_HAIR:
        raise InputError(f"shares of the scratchpad add up to {given:.4g}", where="share", hint="at most 1 together")
    if others and left <= _HAIR:
        raise InputError(
            "nothing of the scratchpad is left for tenants without a share",
            where="share",
            hint="lower the other shares",
        )
    return [left / others if tenant.share is None else tenant.share for tenant in tenants]


def _part_of(chip: Chip, part: float) -> Chip:
    """Return `chip` with a part of its scratchpad, parameter cache and barriers (two at least)."""
    if part == 1.0:
        return chip
    pad, cache = chip.scratchpad, chip.parameter_cache
    update: dict[str, object] = {"scratchpad": pad.model_copy(update={"size": _scaled(pad.size, part)})}
    if cache is not None:
        update["parameter_cache"] = cache.model_copy(update={"size": _scaled(cache.size, part)})
    if chip.control.barriers is not None:
        update["control"] = chip.control.model_copy(update={"barriers": max(2, int(chip.control.barriers * part))})
    return chip.model_copy(update=update)


def _scaled(size: Quantity, part: float) -> Quantity:
    return Quantity(float(int(size.value * part)))


def _fresh(name: str, taken: list[str]) -> str:
    """Return `name`, numbered where another tenant has it."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found


def _ticks(each: _Compiled) -> IntArray:
    return to_ticks_array(each.arrival_s, each.program.tasks.tick_s)


def _inferences(each: _Compiled, number: int, shared: Shared, timeline: Timeline) -> list[InferenceFigures]:
    """Return the inferences of tenant `number`, in the order of arrival."""
    tick_s, deadline_s = timeline.tick_s, each.tenant.deadline_s
    arrival, end = _ticks(each), timeline.end[shared.done[number]]
    asks = shared.asks[number]
    held_up = timeline.start[shared.arrive[number]] - arrival  # by its own earlier inferences
    wait = held_up + (timeline.start[asks] - timeline.ready[asks]).sum(axis=1)
    count = len(each.program.tasks)
    own = np.flatnonzero(shared.party == number)[: count * len(arrival)].reshape(len(arrival), count)
    begin = timeline.start[own].min(axis=1)
    latency_s = [ticks * tick_s for ticks in (end - arrival).tolist()]
    return [
        InferenceFigures(
            tenant=each.name,
            number=index,
            arrival_s=int(arrival[index]) * tick_s,
            begin_s=int(begin[index]) * tick_s,
            end_s=int(end[index]) * tick_s,
            latency_s=latency_s[index],
            wait_s=int(wait[index]) * tick_s,
            met=None if deadline_s is None else latency_s[index] <= deadline_s,
        )
        for index in range(len(arrival))
    ]


def _figures(
    each: _Compiled, number: int, rows: list[InferenceFigures], shared: Shared, timeline: Timeline
) -> TenantFigures:
    latency_s = np.array([row.latency_s for row in rows])
    p50_s, p99_s = np.percentile(latency_s, [50, 99], method="inverted_cdf").tolist()
    alone_s = each.alone.makespan_s
    return TenantFigures(
        name=each.name,
        model=each.graph.name,
        priority=each.tenant.priority,
        inferences=len(rows),
        scratchpad_bytes=each.scratchpad_bytes,
        cached_parameter_bytes=each.cached_bytes,
        alone_s=alone_s,
        latency_mean_s=float(latency_s.mean()),
        latency_p50_s=p50_s,
        latency_p99_s=p99_s,
        latency_max_s=float(latency_s.max()),
        slowdown=float(latency_s.mean()) / alone_s,
        wait_mean_s=float(np.mean([row.wait_s for row in rows])),
        throughput_per_s=len(rows) / (rows[-1].end_s - rows[0].arrival_s),
        deadline_s=each.tenant.deadline_s,
        deadline_misses=None if each.tenant.deadline_s is None else sum(not row.met for row in rows),
        segments=int(each.turns.segment.max(initial=-1)) + 1,
        longest_segment_s=int(segment_ticks(each.turns.segment, each.alone.start, each.alone.end).max(initial=0))
        * timeline.tick_s,
        energy_j=timeline.energy_sum_fj(shared.party == number) * FEMTOJOULE,
    )


def segment_ticks(segment: IntArray, start: IntArray, end: IntArray) -> IntArray:
    """Return the ticks from the first start to the last end of each segment, shape (segments,)."""
    inside = segment >= 0
    count = 1 + int(segment.max(initial=-1))
    first, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(first, segment[inside], start[inside])
    np.maximum.at(last, segment[inside], end[inside])
    length: IntArray = last - first
    return length


def _trust(chip: Chip) -> Trust:
    calibration = chip.calibration
    return Trust(
        calibrated_range="none: networks that share a chip were never compared with a measurement",
        inside=False,
        expected_error=None,
        basis="latencies alone are those of npu run"
        + (
            ""
            if calibration is None
            else f" on {calibration.chip}, {calibration.expected_error.value:.1%} off on average"
        ),
        improve="measured latencies of two networks that share this chip, with and without the other",
    )
