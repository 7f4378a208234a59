"""From a row file to the records of the kernel: classes, lanes, tables, meter, actuators, breaker.

In:  a `Row`, servers, a mix of work, seconds, a seed.
Out: `Assembly`: everything of a run but its requests and its policy.
Servers go to services by their shares, and to priorities within a service, by largest remainder; training jobs take
turns until no server is left, the last one what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine.calendar import CHANGE, POLICY, SAMPLE, Stream
from armillary.engine.hash import component_id, uniforms
from armillary.errors import InfeasibleError, InputError
from armillary.hardware.gpu import Gpu, load_gpu
from armillary.power.breaker import heating
from armillary.power.requests import Source
from armillary.power.row import records as at
from armillary.power.row.handler import CLOSES, OPENS, READS, TELEMETRY, TRAINS
from armillary.power.row.state import Control, Meter, Watch, clock_table
from armillary.power.sensor import losses, meter_of
from armillary.power.service_table import ServiceTable, service_table
from armillary.power.topology import Row, Service, Sizes, TrainingJob
from armillary.units import to_ticks
from armillary.workload.language_models import load_language_model

MIXES: Final = ("inference", "training", "mixed")
SAMPLE_S: Final = 0.1
RISES_S: Final = (2.0, 40.0)
PRIORITIES: Final = ("low", "high")


@dataclass(frozen=True, slots=True)
class Assembly:
    """A row ready to be played, in ticks and milliwatts."""

    servers: int
    budget_mw: int
    labels: tuple[tuple[str, str], ...]  # (service, priority) of each class that serves requests
    sources: tuple[Source, ...]  # of their requests
    tables: tuple[ServiceTable, ...]
    classes: npt.NDArray[np.void]
    lanes: npt.NDArray[np.void]
    batches: npt.NDArray[np.void]
    segments: npt.NDArray[np.void]
    clocks: npt.NDArray[np.void]
    meter: Meter
    control: Control
    watch: Watch
    streams: tuple[Stream, ...]  # besides requests and readings
    training_lanes: int


def assemble(
    row: Row,
    *,
    servers: int,
    seconds: float,
    mix: str = "inference",
    seed: int = 0,
    power_factor: float = 1.0,
    warm_s: float = 0.0,
    log: int = 0,
    bin_s: float = 60.0,
    sizes: Sequence[tuple[Sizes, Sizes]] | None = None,
) -> Assembly:
    """Return the row with `servers` servers.

    Args:
        row: what it is.
        servers: how many stand in it; its budget stays that of `row.servers`.
        seconds: how long it is watched.
        mix: inference, training, or half of the servers each.
        seed: of the meter and the phases of training jobs.
        power_factor: on all power of GPUs above idle.
        warm_s: time before the watch, in which the row fills.
        log: decisions to keep.
        bin_s: seconds of a bin of the history of power.
        sizes: (prompt, output) of each service, instead of the row's, for requests from elsewhere.

    Raises:
        InputError: an unknown GPU, model or mix, or a clock or number of servers out of range.
        InfeasibleError: a model does not fit, or the idle row is over its budget.
    """
    if mix not in MIXES:
        raise InputError(f"no mix called {mix!r}", where="mix", hint=", ".join(MIXES))
    if not 1 <= servers <= 10_000:
        raise InputError(f"{servers} servers", where="servers", hint="1 to 10000")
    gpu = load_gpu(row.server.gpu)
    _check_clocks(row, gpu)
    training = {"inference": 0, "training": servers, "mixed": servers // 2}[mix]
    groups = _groups(row.services, servers - training)
    spans = sizes or [(service.prompt, service.output) for service in row.services]
    tables = [_table(row, gpu, service, *spans[place], power_factor) for place, service in enumerate(row.services)]
    jobs = _jobs(row.training, training)
    idle_mw = round((row.server.other_idle.value + row.server.gpus * gpu.power.idle.value) * 1e3)
    budget_mw = round(row.budget_w * 1e3)
    if idle_mw * servers >= budget_mw:
        raise InfeasibleError(
            f"{servers} idle servers draw {idle_mw * servers / 1e6:.1f} kW of a budget of {budget_mw / 1e6:.1f} kW; "
            f"at most {(budget_mw - 1) // idle_mw} fit"
        )
    segments, firsts = _segments(row, gpu, jobs, power_factor)
    opens = to_ticks(warm_s, at.TICK_S)
    until = opens + to_ticks(seconds, at.TICK_S)
    return Assembly(
        servers=servers,
        budget_mw=budget_mw,
        labels=tuple((row.services[place].name, PRIORITIES[priority]) for place, priority, _ in groups),
        sources=tuple(_source(row, spans, tables, group) for group in groups),
        tables=tuple(tables[place] for place, _, _ in groups),
        classes=_classes(row, tables, groups, idle_mw, training > 0),
        lanes=_lanes(groups, jobs, firsts),
        batches=_batches(tables, groups, training > 0),
        segments=segments,
        clocks=clock_table(gpu.boost_mhz, gpu.power.exponent.value),
        meter=meter_of(row.telemetry, seed=seed, tick_s=at.TICK_S),
        control=_control(row),
        watch=Watch(
            sample=to_ticks(SAMPLE_S, at.TICK_S),
            windows=tuple(to_ticks(rise, at.TICK_S) for rise in RISES_S),
            bin=to_ticks(bin_s, at.TICK_S),
            until=until,
            ups_deadline=to_ticks(row.breaker.ups_deadline.value, at.TICK_S),
            heating=heating(row.breaker, at.TICK_S),
            log=log,
            opens=opens,
        ),
        streams=_streams(row, jobs, sum(size for _, _, size in groups), opens, until, seed),
        training_lanes=len(jobs),
    )


def readings_between(meter: Meter, first: int, last: int) -> Stream:
    """Return the readings of the meter from tick `first` to before tick `last`."""
    ticks = np.arange(-(-max(first, 1) // meter.period) * meter.period, last, meter.period)
    return Stream(READS, ticks, np.zeros_like(ticks), order=POLICY)


def _check_clocks(row: Row, gpu: Gpu) -> None:
    limits = row.thresholds
    for name in ("low_at_t1", "low_at_t2", "high_at_t2"):
        clock_mhz = getattr(limits, name).value / 1e6
        if not gpu.clocks.lowest.value / 1e6 <= clock_mhz <= gpu.boost_mhz:
            raise InputError(
                f"{gpu.name} has no clock of {clock_mhz:g} MHz",
                where=f"row {row.name}: thresholds.{name}",
                hint=f"{gpu.clocks.lowest.value / 1e6:g} to {gpu.boost_mhz} MHz",
            )
    if not 0 < row.actuators.brake_clock.value / 1e6 <= gpu.boost_mhz:
        raise InputError("brake_clock is above the boost clock", where=f"row {row.name}: actuators.brake_clock")


def _by_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Return whole numbers that add up to `total`, in the ratio of `shares`."""
    exact = np.array(shares) * total
    whole = np.floor(exact + 1e-9).astype(np.int64)
    for place in np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]:
        whole[place] += 1
    return [int(number) for number in whole]


def _groups(services: Sequence[Service], servers: int) -> list[tuple[int, int, int]]:
    """Return (service, priority, servers) of each class."""
    pairs = [
        (place, priority, service.share.value * (service.high.value if priority else 1.0 - service.high.value))
        for place, service in enumerate(services)
        for priority in (at.LOW, at.HIGH)
    ]
    numbers = _by_remainder(servers, [share for _, _, share in pairs])
    return [(place, priority, n) for (place, priority, _), n in zip(pairs, numbers, strict=True) if n > 0]


def _table(row: Row, gpu: Gpu, service: Service, prompt: Sizes, output: Sizes, power_factor: float) -> ServiceTable:
    return service_table(
        load_language_model(service.model),
        gpu,
        tensor_parallel=row.server.tensor_parallel,
        lowest_prompt=prompt.low,
        highest_prompt=prompt.high,
        mean_output=(output.low + output.high) / 2,
        largest_batch=service.batch,
        power_factor=power_factor,
    )


def _source(
    row: Row, spans: Sequence[tuple[Sizes, Sizes]], tables: Sequence[ServiceTable], group: tuple[int, int, int]
) -> Source:
    place, priority, servers = group
    prompt, output = spans[place]
    mean = (prompt.low + prompt.high) / 2, (output.low + output.high) / 2
    per_request_s = tables[place].seconds_per_request(*mean, at.TICK_S)
    return Source(f"{row.services[place].name}.{PRIORITIES[priority]}", prompt, output, servers / per_request_s)


def _classes(
    row: Row, tables: Sequence[ServiceTable], groups: Sequence[tuple[int, int, int]], idle_mw: int, training: bool
) -> npt.NDArray[np.void]:
    classes = np.zeros(len(groups) + training, at.CLASS)
    classes["idle_mw"] = idle_mw
    classes["busy_mw"] = round((row.server.other_busy.value - row.server.other_idle.value) * 1e3)
    classes["priority"] = at.LOW
    first = 0
    for record, (place, priority, servers) in zip(classes, groups, strict=False):
        service = row.services[place]
        record["first"], record["lanes"], record["priority"] = first, servers, priority
        record["slots"], record["buffer"] = service.batch, service.buffer
        record["decode_bound"] = tables[place].decode_bound
        first += servers
    return classes


def _lanes(
    groups: Sequence[tuple[int, int, int]], jobs: Sequence[tuple[int, int]], firsts: Sequence[int]
) -> npt.NDArray[np.void]:
    serving = sum(servers for _, _, servers in groups)
    lanes = np.zeros(serving + len(jobs), at.LANE)
    lanes["servers"] = 1
    lanes["group"][:serving] = np.repeat(np.arange(len(groups)), [servers for _, _, servers in groups])
    for lane, (kind, servers) in zip(lanes[serving:], jobs, strict=True):
        lane["group"], lane["servers"], lane["serves"] = len(groups), servers, firsts[kind]
    return lanes


def _batches(
    tables: Sequence[ServiceTable], groups: Sequence[tuple[int, int, int]], training: bool
) -> npt.NDArray[np.void]:
    largest = max((len(table.step) for table in tables), default=1)
    batches = np.zeros((len(groups) + training, largest), at.BATCH)
    for line, (place, _, _) in zip(batches, groups, strict=False):
        table = tables[place]
        line["step"][: len(table.step)], line["dynamic_mw"][: len(table.step)] = table.step, table.dynamic_mw
    return batches


def _jobs(kinds: Sequence[TrainingJob], servers: int) -> list[tuple[int, int]]:
    """Return (kind, servers) of each training job."""
    jobs: list[tuple[int, int]] = []
    while servers > 0:
        kind = len(jobs) % len(kinds)
        jobs.append((kind, min(servers, kinds[kind].servers)))
        servers -= jobs[-1][1]
    return jobs


def _segments(
    row: Row, gpu: Gpu, jobs: Sequence[tuple[int, int]], power_factor: float
) -> tuple[npt.NDArray[np.void], list[int]]:
    """Return the plateau and the dip of each kind of job, and the first segment of each kind."""
    limit_w, idle_w = gpu.power.limit.value, gpu.power.idle.value
    to_mw = row.server.gpus * 1e3 * power_factor
    segments = np.zeros(max(1, 2 * len(row.training)), at.SEGMENT)
    for place, kind in enumerate(row.training):
        ticks = kind.iteration.value / at.TICK_S
        dip_w = max(kind.dip.value * limit_w, idle_w)
        share = kind.dip_share.value
        segments[2 * place] = ((1.0 - share) * ticks, kind.bound.value, (limit_w - idle_w) * to_mw, 2 * place + 1)
        segments[2 * place + 1] = (max(1.0, share * ticks), 0.0, (dip_w - idle_w) * to_mw, 2 * place)
    return segments, [2 * place for place in range(len(row.training))]


def _control(row: Row) -> Control:
    clock = to_ticks(row.actuators.clock_latency_s, at.TICK_S)
    return Control(
        low_latency=clock,
        high_latency=clock,
        brake_latency=to_ticks(row.actuators.brake.value, at.TICK_S),
        brake_mhz=round(row.actuators.brake_clock.value / 1e6),
    )


def _streams(
    row: Row, jobs: Sequence[tuple[int, int]], serving: int, opens: int, until: int, seed: int
) -> tuple[Stream, ...]:
    lost_at, lost = losses(row.telemetry, days=until * at.TICK_S / 86_400.0, seed=seed, tick_s=at.TICK_S)
    phase = uniforms(len(jobs), seed, component_id("power.training"), 0, 0)
    length = np.array([row.training[kind].iteration.value for kind, _ in jobs])
    begins = np.floor(phase * length / at.TICK_S).astype(np.int64)
    return (
        Stream(CLOSES, np.array([until]), np.array([0]), order=SAMPLE),
        Stream(TELEMETRY, lost_at, lost, order=CHANGE),
        Stream(OPENS, np.full(int(opens > 0), opens), np.zeros(int(opens > 0), np.int64), order=CHANGE),
        Stream(TRAINS, begins, serving + np.arange(len(jobs)), order=CHANGE),
    )
