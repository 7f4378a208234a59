"""Small rows for tests: a few servers, tiny integer times, any policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine.calendar import CHANGE, POLICY, SAMPLE, Calendar, Stream, new_calendar
from armillary.engine.deciding import decide, new_decider
from armillary.engine.policy import Policy
from armillary.power.policies.polca import DEFAULTS, polca
from armillary.power.row import records as at
from armillary.power.row.handler import ARRIVES, CLOSES, READS, TELEMETRY, TRAINS, advance
from armillary.power.row.state import Control, Meter, Watch, clock_table, more_room, new_state
from armillary.testing.models import Listing, Model

TOP_MHZ = 1410
METER = Meter(2_000, 2_000)


def small_row(
    arrival: Any,
    group: Any,
    prefill: Any,
    tokens: Any,
    *,
    lanes: int = 3,
    slots: int = 1,
    buffer: int = 1,
    budget_mw: int = 40_000,
    until: int = 200_000,
    policy: Policy = polca,
    compiled: bool = True,
    log: int = 0,
    latency: int = 40_000,
    meter: Meter = METER,
    training: bool = False,
    dark: tuple[int, int] | None = None,
    **mind: int,
) -> tuple[at.RowState, Calendar]:
    """Two classes (low, high priority) of `lanes` servers each; on demand a training job of two servers."""
    classes = np.zeros(2 + training, at.CLASS)
    classes["first"][:2], classes["lanes"][:2], classes["priority"][:2] = [0, lanes], lanes, [at.LOW, at.HIGH]
    classes["slots"], classes["buffer"] = slots, buffer
    classes["decode_bound"], classes["idle_mw"], classes["busy_mw"] = 0.25, 1500, 700
    table = np.zeros(2 * lanes + training, at.LANE)
    table["group"], table["servers"] = np.repeat(np.arange(len(classes)), [lanes, lanes, 1][: len(classes)]), 1
    if training:
        classes["first"][2], classes["lanes"][2] = 2 * lanes, 0
        table["servers"][-1] = 2
    order = np.lexsort((tokens, prefill, group, arrival))
    requests = np.zeros(len(arrival), at.REQUEST)
    requests["group"], requests["prefill"], requests["tokens"] = group[order], prefill[order], tokens[order]
    requests["prefill_mw"], requests["prefill_bound"] = 6000, 0.9
    requests["cache_step"] = 1 + (tokens[order] % 3)
    batches = np.zeros((len(classes), slots + 1), at.BATCH)
    batches["step"], batches["dynamic_mw"] = 40 + 3 * np.arange(slots + 1), 2500 + 100 * np.arange(slots + 1)
    segments = np.zeros(2, at.SEGMENT)
    segments["work"], segments["bound"], segments["dynamic_mw"] = [3000, 700], [0.95, 0.2], [5500, 800]
    segments["next"] = [1, 0]
    filled = DEFAULTS | mind if policy is polca else mind
    state = new_state(
        budget_mw=budget_mw,
        classes=classes,
        lanes=table,
        requests=requests,
        batches=batches,
        segments=segments,
        clocks=clock_table(TOP_MHZ, 1.2),
        meter=meter,
        control=Control(latency, latency, latency // 8, 288),
        watch=Watch(100, (2_000, 40_000), 5_000, until, 10_000, np.where(np.arange(2000) > 1000, 1e-5, -1e-6), log),
        decider=new_decider(policy, compiled=compiled, **filled),
    )
    readings = np.arange(meter.period, until, meter.period)
    streams = [
        Stream(ARRIVES, arrival[order]),
        Stream(READS, readings, np.zeros_like(readings), order=POLICY),
        Stream(CLOSES, np.array([until]), order=SAMPLE),
    ]
    if dark is not None:
        streams.append(Stream(TELEMETRY, np.array(dark), np.array([1, 0]), order=CHANGE))
    if training:
        streams.append(Stream(TRAINS, np.array([5]), np.array([2 * lanes]), order=CHANGE))
    return state, new_calendar(streams, timers=4 * lanes + 8, burst=2 * lanes + 8)


def random_row(seed: int, listing: Listing, **options: Any) -> tuple[at.RowState, Calendar]:
    rng = np.random.default_rng(seed)
    count = 300
    rows = listing(count)
    columns = (
        rng.integers(0, 150_000, count),
        rng.integers(0, 2, count),
        rng.integers(10, 900, count),
        rng.integers(1, 90, count),
    )
    return small_row(*(column[rows] for column in columns), **options)


def build(seed: int, listing: Listing) -> tuple[at.RowState, Calendar]:
    return random_row(seed, listing)


def build_batched(seed: int, listing: Listing) -> tuple[at.RowState, Calendar]:
    return random_row(seed, listing, slots=4, training=True)


def outcome(state: at.RowState) -> dict[str, Any]:
    names = ("group", "tokens", "prefill", "started", "ended")
    columns = {name: state.requests[name] for name in names}
    return columns | {
        "histogram": state.histogram,
        "rises": state.windows["rise_mw"],
        "peaks": state.history["peak_mw"],
        "energy": state.history["energy"],
        "readings": state.readings,
        "done": state.row["done"],
    }


def broken(state: at.RowState) -> list[str]:
    row, lanes, requests = state.row[0], state.lanes, state.requests
    begun, ended = int((requests["started"] >= 0).sum()), int((requests["ended"] >= 0).sum())
    queued = int(state.classes["queued"].sum())
    laws = {
        "requests that came = done + at lanes + queued": row["arrived"] == row["done"] + lanes["load"].sum() + queued,
        "done = ended": row["done"] == ended,
        "power of the row = sum over lanes": row["power_mw"] == lanes["power_mw"].sum(),
        "begun, not ended = in prefill or decode": begun - ended
        == lanes["decoding"].sum() + ((lanes["does"] == at.PREFILL).sum()),
    }
    return [law for law, holds in laws.items() if not holds]


def ask_python(state: at.RowState) -> None:
    decide(polca, state.decider)


MODEL = Model(build, advance, outcome, broken, grow=more_room, decide=ask_python)
BATCHED = Model(build_batched, advance, outcome, broken, grow=more_room, decide=ask_python)
