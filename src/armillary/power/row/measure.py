"""Figures of a run: read off its records, against a run of the same requests without any cap.

In:  `Played` of a policy, and of `uncapped`.
Out: `RowResult`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import GraphBuilder
from armillary.engine.simulate import simulate
from armillary.power.row import records as at
from armillary.power.row.assemble import PRIORITIES
from armillary.power.row.play import Played
from armillary.power.row.result import CapChange, History, Latency, ServiceFigures
from armillary.timeline import Timeline, Trust

ACTUATORS: Final = ("low", "high", "brake")
LEVELS: Final = (0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99, 0.999)
MW_TICKS: Final = 1e-3 * at.TICK_S  # joules of 1 mW for a tick
Mask = npt.NDArray[np.bool_]


def figures(run: Played, reference: Played) -> dict[str, Any]:
    """Return the measured fields of `RowResult`."""
    state, assembly = run.state, run.assembly
    totals, row, budget = state.statistics[0], state.row[0], assembly.budget_mw
    watched = assembly.watch.until - assembly.watch.opens
    energy = int(state.history["energy"].sum(dtype=object))
    samples = np.cumsum(state.histogram)
    inside = watched_tokens(run), watched_tokens(reference)
    return {
        "servers": assembly.servers,
        "budget_w": budget * 1e-3,
        "brakes": int(row["brakes"]),
        "breaker_trips": int(totals["trips"]),
        "ups_trips": int(totals["ups_trips"]),
        "over_budget_s": int(totals["over"]) * at.TICK_S,
        "longest_over_budget_s": int(totals["over_longest"]) * at.TICK_S,
        "peak_utilisation": int(totals["peak_mw"]) / budget,
        "mean_utilisation": energy / watched / budget,
        "p999_utilisation": int(np.searchsorted(samples, 0.999 * samples[-1])) * 1e-3,
        "max_rise_2s": int(state.windows["rise_mw"][0]) / budget,
        "max_rise_40s": int(state.windows["rise_mw"][1]) / budget,
        "latency": {name: _latency(run, reference, name) for name in PRIORITIES},
        "throughput_impact": _throughput(run, reference, *inside),
        "services": tuple(_service(run, reference, group, inside[0][group]) for group in range(len(assembly.labels))),
        "energy_j": energy * MW_TICKS,
        "tokens": int(inside[0].sum()),
        "requests": len(run.requests.group),
        "training_iterations": training_iterations(run),
        "commands": int(state.actuators["commands"].sum()),
        "refused_commands": int(row["refused"]),
        "time_in_state": time_in_state(run),
        "caps_timeline": tuple(
            CapChange(
                (int(change["tick"]) - assembly.watch.opens) * at.TICK_S,
                ACTUATORS[change["actuator"]],
                _clock(run, int(change["actuator"]), int(change["mhz"])),
            )
            for change in run.changes
        ),
        "histogram": tuple(int(count) for count in np.trim_zeros(state.histogram, "b")),
        "history": _history(run, watched),
        "events": run.events,
        "readings_w": _readings(run),
        "meter_s": assembly.meter.period * at.TICK_S,
    }


def watched_tokens(run: Played) -> npt.NDArray[np.int64]:
    """Return the tokens of requests that ended within the watch, by class, shape (classes,)."""
    watch, served = run.assembly.watch, run.requests
    inside = (served.ended_s <= watch.until * at.TICK_S) & (served.ended_s > watch.opens * at.TICK_S)
    tokens = np.bincount(served.group[inside], served.tokens[inside], minlength=len(run.assembly.labels))
    return tokens.astype(np.int64)


def training_iterations(run: Played) -> int:
    """Return the iterations that all training jobs have finished: each has two segments."""
    lanes = run.state.lanes[len(run.state.lanes) - run.assembly.training_lanes :]
    return int((lanes["tokens"] // 2).sum())


def time_in_state(run: Played) -> dict[str, dict[str, float]]:
    """Return, for low and high priority and the brake, the seconds at each clock within the watch."""
    watch = run.assembly.watch
    result: dict[str, dict[str, float]] = {}
    for index, name in enumerate(ACTUATORS):
        own = run.changes[run.changes["actuator"] == index]
        edges = np.clip(np.concatenate([[watch.opens], own["tick"], [watch.until]]), watch.opens, watch.until)
        states = [0, *own["mhz"].tolist()]
        seconds: dict[str, float] = {}
        for mhz, length in zip(states, np.diff(edges) * at.TICK_S, strict=True):
            clock = _clock(run, index, mhz)
            label = ("released" if index == at.BRAKE else "uncapped") if clock is None else f"{clock} MHz"
            seconds[label] = seconds.get(label, 0.0) + float(length)
        result[name] = seconds
    return result


def caps_on_timeline(run: Played) -> Timeline:
    """Return the locks and brakes as tasks: one a stretch of time at one clock."""
    builder = GraphBuilder(tick_s=at.TICK_S)
    watch = run.assembly.watch
    for index, name in enumerate(ACTUATORS):
        server = builder.server("brake" if index == at.BRAKE else f"{name} priority")
        own = run.changes[run.changes["actuator"] == index]
        begins = np.maximum(own["tick"] - watch.opens, 0)
        ends = np.append(begins[1:], watch.until - watch.opens)
        held = np.flatnonzero((own["mhz"] > 0) & (ends > begins))
        if held.size:
            labels = [f"{_clock(run, index, int(mhz))} MHz" for mhz in own["mhz"][held]]
            tasks = builder.tasks(
                held.size, labels=labels, kind=name, release=begins[held], duration=(ends - begins)[held]
            )
            builder.demand(np.array(tasks), server)
    return Timeline.from_trace(simulate(builder.build()))


def trust(gpu_measured: bool) -> Trust:
    """Return how far a simulated row can be trusted."""
    return Trust(
        calibrated_range="phases of language models on one server; the row itself was never compared with a real one",
        inside=False,
        expected_error=None,
        basis="workload, load over the week and power besides GPUs are from memory or estimates"
        + ("" if gpu_measured else "; phases of this GPU were not measured"),
        improve="give the history of the row's own power (--history) and its own services",
    )


def _clock(run: Played, actuator: int, mhz: int) -> int | None:
    if mhz == 0:
        return None
    return run.assembly.control.brake_mhz if actuator == at.BRAKE else mhz


def _of_priority(run: Played, name: str) -> Mask:
    groups = [group for group, (_, priority) in enumerate(run.assembly.labels) if priority == name]
    return np.isin(run.requests.group, groups)


def _quantiles(latency: npt.NDArray[np.float32], levels: tuple[float, ...]) -> list[float] | None:
    return [float(value) for value in np.quantile(latency, levels)] if len(latency) else None


def _latency(run: Played, reference: Played, priority: str) -> Latency:
    own = run.requests.latency_s[_of_priority(run, priority)]
    other = reference.requests.latency_s[_of_priority(reference, priority)]
    mine, theirs = _quantiles(own, LEVELS), _quantiles(other, LEVELS)
    if mine is None or theirs is None:
        return Latency(0, None, None, None, None, None, ())
    middle, tail = LEVELS.index(0.5), LEVELS.index(0.99)
    return Latency(
        requests=len(own),
        p50_s=mine[middle],
        p99_s=mine[tail],
        p50_impact=mine[middle] / theirs[middle] - 1.0,
        p99_impact=mine[tail] / theirs[tail] - 1.0,
        mean_impact=float(own.mean(dtype=np.float64) / other.mean(dtype=np.float64)) - 1.0,
        quantiles=tuple(zip(LEVELS, mine, theirs, strict=True)),
    )


def _throughput(
    run: Played, reference: Played, tokens: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> Mapping[str, float | None]:
    impact: dict[str, float | None] = {}
    for name in PRIORITIES:
        own = [group for group, (_, priority) in enumerate(run.assembly.labels) if priority == name]
        before = int(other[own].sum())
        impact[name] = int(tokens[own].sum()) / before - 1.0 if before else None
    before = training_iterations(reference)
    impact["training"] = training_iterations(run) / before - 1.0 if before else None
    return impact


def _service(run: Played, reference: Played, group: int, tokens: int) -> ServiceFigures:
    service, priority = run.assembly.labels[group]
    mine = _quantiles(run.requests.latency_s[run.requests.group == group], (0.5, 0.99))
    theirs = _quantiles(reference.requests.latency_s[reference.requests.group == group], (0.5, 0.99))
    known = mine is not None and theirs is not None
    watch = run.assembly.watch
    return ServiceFigures(
        service=service,
        priority=priority,
        servers=int(run.assembly.classes["lanes"][group]),
        requests=int((run.requests.group == group).sum()),
        p50_s=mine[0] if mine else None,
        p99_s=mine[1] if mine else None,
        p50_impact=mine[0] / theirs[0] - 1.0 if known and mine and theirs else None,
        p99_impact=mine[1] / theirs[1] - 1.0 if known and mine and theirs else None,
        tokens_per_s=int(tokens) / ((watch.until - watch.opens) * at.TICK_S),
    )


def _history(run: Played, watched: int) -> History:
    width = run.assembly.watch.bin
    bins = -(-watched // width)
    history = run.state.history[:bins]
    lengths = np.full(bins, width, np.float64)
    lengths[-1] = watched - (bins - 1) * width
    return History(
        bin_s=width * at.TICK_S,
        mean_w=tuple((history["energy"] / lengths * 1e-3).round(3).tolist()),
        peak_w=tuple((history["peak_mw"] * 1e-3).tolist()),
    )


def _readings(run: Played) -> npt.NDArray[np.float64]:
    """Return what the meter showed within the watch, watts, NaN where a reading was lost."""
    watch, period = run.assembly.watch, run.assembly.meter.period
    first = max(0, -(-watch.opens // period) - 1)
    shown = run.state.readings[first : int(run.state.row["reading"][0])]
    return np.where(shown >= 0, shown * 1e-3, np.nan)


def as_mapping(values: Mapping[str, int]) -> dict[str, int]:
    """Return parameters with plain whole numbers."""
    return {name: int(value) for name, value in values.items()}
