"""What a row does where a closed form says what it must do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from armillary.engine.drive import Run
from armillary.engine.policy import policy
from armillary.power.policies.contract import COMMAND, SEEN
from armillary.power.policies.no_cap import uncapped
from armillary.power.row import records as at
from armillary.power.row.handler import advance
from armillary.power.row.state import more_room
from tests.power.rows import METER, TOP_MHZ, small_row

LOCK = np.dtype([("low_mhz", np.int64)])
HALF = TOP_MHZ // 2


@policy(state=LOCK, seen=SEEN, command=COMMAND)
def lock_low(seen: Any, mind: Any, command: Any) -> None:
    """Lock low priority once, at the first reading."""
    now, order = seen[0], command[0]
    if now["low_mhz"] != mind["low_mhz"] and now["low_target_mhz"] < 0:
        order["low_mhz"] = mind["low_mhz"]


def played(arrival: list[int], prefill: list[int], tokens: list[int], **options: Any) -> at.RowState:
    columns = (np.array(column) for column in (arrival, [0] * len(arrival), prefill, tokens))
    run = Run(advance, *small_row(*columns, **options), grow=more_room)
    run.advance()
    return run.state


def test_latency_of_one_request_is_prefill_and_tokens_times_step() -> None:
    """latency = prefill + tokens x (step of a batch of one + what its cache adds)."""
    state = played([1000], [500], [30], policy=uncapped)
    request = state.requests[0]
    assert request["ended"] - 1000 == 500 + 30 * (43 + float(request["cache_step"]))


def test_power_of_one_request_is_idle_prefill_decode_idle() -> None:
    state = played([1000], [500], [30], policy=uncapped, until=20_000)
    step = 43 + float(state.requests[0]["cache_step"])
    idle, ticks = 6 * 1500, 500 + 30 * step
    energy = idle * 20_000 + 700 * ticks + 6000 * 500 + 2600 * 30 * step
    assert int(state.history["energy"].sum()) == energy
    assert int(state.statistics["peak_mw"][0]) in (idle + 700 + 6000, idle + 700 + 2600)


@pytest.mark.parametrize("lands", [1, 137, 499, 777, 1200])
def test_integral_of_speed_is_the_work_to_the_tick(lands: int) -> None:
    """Locked to half the clock while it runs: pieces at speed 1 and at 1 / (2 b + 1 - b) add up to the work."""
    arrival = METER.period + lands
    state = played(
        [arrival - 1 - lands], [500], [30], policy=lock_low, low_mhz=HALF, latency=lands, meter=METER, until=50_000
    )
    request = state.requests[0]
    landed = int(state.changes["tick"][0])
    assert int(state.changes["mhz"][0]) == HALF
    step = 43 + float(request["cache_step"])
    begins, left = int(request["started"]), 0.0
    clock = float(begins)
    for work, bound in ((500.0, float(request["prefill_bound"])), (30 * step, 0.25)):
        slow = 1.0 / (bound / 0.5 + 1.0 - bound)
        fast = min(work, max(0.0, landed - clock))
        left = work - fast
        clock = np.ceil(clock + fast + left / slow - 1e-6)
    assert int(request["ended"]) == clock


def test_a_server_with_one_slot_keeps_pollaczek_and_khinchine() -> None:
    """M/G/1: mean wait = rate x E[S^2] / (2 (1 - load))."""
    rng = np.random.default_rng(5)
    count, mean_gap = 200_000, 2500.0
    tokens = rng.integers(1, 60, count)
    prefill = rng.integers(10, 500, count)
    gaps = rng.exponential(size=count)
    arrival = np.cumsum(gaps / gaps.mean() * mean_gap).astype(np.int64)
    row, calendar = small_row(
        arrival, np.zeros(count, np.int64), prefill, tokens, lanes=1, buffer=0, policy=uncapped, until=10_000
    )
    run = Run(advance, row, calendar, grow=more_room)
    run.advance()
    requests = run.state.requests
    service = requests["prefill"] + requests["tokens"] * (43.0 + requests["cache_step"])
    load = service.mean() / mean_gap
    expected = (service**2).mean() / mean_gap / (2 * (1 - load))
    wait = (requests["started"] - arrival).mean()
    assert 0.5 < load < 0.8
    assert wait == pytest.approx(expected, rel=0.03)


def test_requests_that_decode_together_take_the_step_of_their_number() -> None:
    """Two requests at once on one lane: prefills one after the other, then a step of a batch of two for both."""
    state = played([10, 10], [100, 100], [20, 20], policy=uncapped, lanes=1, slots=2)
    steps = 40 + 3 * 2 + float(state.requests["cache_step"].sum())
    assert (state.requests["ended"] == 10 + 200 + 20 * steps).all()


def test_a_training_job_loses_what_its_bound_says() -> None:
    """At half the clock a plateau of bound 0.95 takes 1.95 times as long, a dip of bound 0.2 takes 1.2 times."""
    none = np.zeros(0, np.int64)

    def iterations(mhz: int) -> float:
        options: dict[str, Any] = {"training": True, "policy": lock_low, "low_mhz": mhz, "latency": 0}
        run = Run(advance, *small_row(none, none, none, none, until=4_000_000, **options), grow=more_room)
        run.advance()
        return float(run.state.lanes["tokens"][-1]) / 2

    assert iterations(HALF) / iterations(0) == pytest.approx(3700 / (3000 * 1.95 + 700 * 1.2), rel=2e-3)
