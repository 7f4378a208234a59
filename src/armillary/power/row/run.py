"""Simulate a row under a policy.

In:  a row, servers, a policy, days, a mix; requests generated from the row's load, from a trace, or from a history of
     row power.
Out: `RowResult`. The same requests are also played without any cap: latencies are told relative to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Final

from armillary.errors import InputError
from armillary.hardware.gpu import load_gpu
from armillary.power.azure import Trace, read_trace, trace_pieces
from armillary.power.load import DAY_S, LoadCurve, load_curve
from armillary.power.policies.registry import RowPolicy, load_policy, row_parameters
from armillary.power.requests import PIECE_S, RequestColumns, generate
from armillary.power.row import measure
from armillary.power.row.assemble import Assembly, assemble
from armillary.power.row.play import Played, Progress, play
from armillary.power.row.records import TICK_S
from armillary.power.row.result import RowResult
from armillary.power.row_power import read_row_power, replayed
from armillary.power.topology import Row, Sizes, load_row
from armillary.store import content_key
from armillary.timeline import RunInfo

WARM_S: Final = 900.0  # before the watch: the row fills
MAX_DAYS: Final = 400.0
MOST_BINS: Final = 10_080  # of the history: minutes of a week


@dataclass(frozen=True, slots=True)
class Case:
    """A row with its requests, to be played under any policy."""

    row: Row
    mix: str
    days: float
    seed: int
    assembly: Assembly
    curve: LoadCurve | None  # of generated requests
    trace: Trace | None
    trace_scale: float

    def pieces(self) -> Iterator[tuple[int, RequestColumns]]:
        """Yield (tick at which it ends, requests) of one piece of time after the other: always the same ones."""
        until = self.assembly.watch.until
        if self.trace is not None:
            serving = [int(record["lanes"]) for record in self.assembly.classes[: len(self.assembly.labels)]]
            pieces = trace_pieces(
                self.trace, serving, scale=self.trace_scale, seed=self.seed, start_s=WARM_S, tick_s=TICK_S
            )
            for end_s, columns in pieces:
                yield min(ceil(end_s / TICK_S), until), columns
        elif self.curve is not None:
            parts = generate(self.assembly.sources, self.curve, seed=self.seed, tick_s=TICK_S)
            for number, columns in enumerate(parts):
                yield min(round((number + 1) * PIECE_S / TICK_S), until), columns


def simulate_row(
    *,
    row: str | Path | Row,
    servers: int | None = None,
    policy: str | RowPolicy = "polca",
    parameters: Mapping[str, int] | None = None,
    days: float = 42.0,
    mix: str = "inference",
    trace: str | Path | None = None,
    history: str | Path | None = None,
    load_scale: float = 1.0,
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> RowResult:
    """Do what `power.simulate` does."""
    started = perf_counter()
    case = prepare(
        row=row,
        servers=servers,
        days=days,
        mix=mix,
        trace=trace,
        history=history,
        load_scale=load_scale,
        power_factor=power_factor,
        actuation_s=actuation_s,
        seed=seed,
    )
    chosen = policy_for(case, policy, parameters)
    reference = run_case(case, policy_for(case, "uncapped"), progress=_part(progress, 0.0))
    played = run_case(case, chosen, progress=_part(progress, 0.5))
    return result_of(case, played, reference, wall_s=perf_counter() - started)


def prepare(
    *,
    row: str | Path | Row,
    servers: int | None = None,
    days: float = 42.0,
    mix: str = "inference",
    trace: str | Path | None = None,
    history: str | Path | None = None,
    load_scale: float = 1.0,
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    seed: int = 0,
    log: int = 0,
) -> Case:
    """Return a row with its requests, which policies can share; arguments and errors as in `power.simulate`.

    Args:
        log: decisions to keep, besides.
    """
    device = load_row(row)
    if not 0.0 < days <= MAX_DAYS:
        raise InputError(f"{days} days", where="days", hint=f"more than 0, at most {MAX_DAYS:g}")
    if not 0.0 <= load_scale <= 10.0 or not 0.0 < power_factor <= 10.0:
        raise InputError("load_scale or power_factor out of range", where="load_scale", hint="0 to 10")
    if trace is not None and history is not None:
        raise InputError("a trace and a history", where="trace, history", hint="give one of them")
    if seed < 0:
        raise InputError(f"seed {seed}", where="seed", hint="from 0 on")
    if actuation_s is not None:
        device = with_latency(device, actuation_s)
    count = device.servers if servers is None else servers
    scale = load_scale * count / device.servers
    requests = read_trace(trace) if trace is not None else None
    seconds = days * DAY_S if requests is None else min(days * DAY_S, requests.seconds / scale + 1.0)
    assembly = assemble(
        device,
        servers=count,
        seconds=seconds,
        mix=mix,
        seed=seed,
        power_factor=power_factor,
        warm_s=WARM_S,
        log=log,
        bin_s=_bin_s(seconds),
        sizes=_sizes(device, requests),
    )
    curve = None
    if requests is None:
        curve = _curve(device, assembly, history, days=days, seed=seed, servers=count)
        curve = LoadCurve(curve.bin_s, curve.load * load_scale).warmed(WARM_S)
    return Case(device, mix, seconds / DAY_S, seed, assembly, curve, requests, scale)


def policy_for(case: Case, policy: str | RowPolicy, parameters: Mapping[str, int] | None = None) -> RowPolicy:
    """Return a policy with what the row says of its parameters; arguments and errors as `load_policy`."""
    top_mhz = load_gpu(case.row.server.gpu).boost_mhz
    return load_policy(policy, row_parameters(case.row.thresholds, top_mhz), parameters)


def run_case(case: Case, policy: RowPolicy, *, compiled: bool = True, progress: Progress | None = None) -> Played:
    """Play a case under a policy."""
    return play(case.assembly, policy, case.pieces(), compiled=compiled, progress=progress)


def result_of(case: Case, played: Played, reference: Played, *, wall_s: float | None = None) -> RowResult:
    """Return the figures of `played`, against `reference`, the same case under `uncapped`."""
    gpu = load_gpu(case.row.server.gpu)
    return RowResult(
        timeline=measure.caps_on_timeline(played),
        trust=measure.trust(gpu.calibration is not None),
        seed=case.seed,
        inputs={"row": content_key(case.row.model_dump(mode="json", by_alias=True)), "policy": played.policy.name},
        run=RunInfo.now(wall_s=wall_s),
        row=case.row.name,
        policy=played.policy.name,
        parameters=measure.as_mapping(played.policy.parameters),
        mix=case.mix,
        provisioned_servers=case.row.servers,
        days=case.days,
        **measure.figures(played, reference),
    )


def with_latency(row: Row, seconds: float) -> Row:
    """Return the row with locks that land after `seconds`."""
    if not 0.0 <= seconds <= 3600.0:
        raise InputError(f"{seconds} s until a lock lands", where="actuation_s", hint="0 to 3600")
    name = "out_of_band" if row.actuators.path == "out-of-band" else "in_band"
    latency = type(row.actuators.out_of_band)(seconds)
    return row.model_copy(update={"actuators": row.actuators.model_copy(update={name: latency})})


def _curve(
    row: Row, assembly: Assembly, history: str | Path | None, *, days: float, seed: int, servers: int
) -> LoadCurve:
    if history is None:
        return load_curve(row.load, days=days, seed=seed)
    curve = replayed(read_row_power(history), assembly, scale=servers / row.servers)
    bins = ceil(days * DAY_S / curve.bin_s)
    if bins > len(curve.load):
        raise InputError(
            f"{days:g} days of a history of {curve.seconds / DAY_S:.3g}",
            where="days",
            hint=f"at most {curve.seconds / DAY_S:.3g}",
        )
    return LoadCurve(curve.bin_s, curve.load[:bins])


def _sizes(row: Row, trace: Trace | None) -> list[tuple[Sizes, Sizes]] | None:
    if trace is None:
        return None
    prompt = Sizes(low=int(trace.prompt.min()), high=int(trace.prompt.max()))
    output = Sizes(low=max(1, int(trace.output.min())), high=max(1, int(trace.output.max())))
    return [(prompt, output)] * len(row.services)


def _bin_s(seconds: float) -> float:
    """Return the bins of the history: whole minutes, and not too many."""
    return 60.0 * max(1, ceil(seconds / 60.0 / MOST_BINS))


def _part(progress: Progress | None, done: float) -> Progress | None:
    return None if progress is None else lambda share: progress(done + 0.5 * share)
