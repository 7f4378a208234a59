"""Thresholds from a history: rises against their definition, replays against closed forms, what must be monotone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InfeasibleError, InputError
from armillary.hardware.gpu import load_gpu
from armillary.power.derive import derive_thresholds, impacts
from armillary.power.history import PowerHistory, daily_largest, largest_interval, return_level, rises
from armillary.power.policies.polca import DEFAULTS, polca
from armillary.power.replay import replay
from armillary.power.response import Latencies, Response
from armillary.power.slo import Slo, parse_slo

BUDGET_W = 260_000.0
LATENCIES = Latencies(low_s=40.0, high_s=40.0, brake_s=5.0, delay_readings=1, brake_mhz=288)


def response(gpu: str = "a100-80gb") -> Response:
    return Response(load_gpu(gpu), floor_w=2100.0, gpu_share=0.75, low_share=0.5, low_bound=0.25, high_bound=0.22)


def history(share: np.ndarray, interval_s: float = 2.0) -> PowerHistory:
    return PowerHistory(interval_s, share * BUDGET_W, 40, BUDGET_W)


def week(days: int = 2, seed: int = 1) -> PowerHistory:
    """A day's wave and noise that forgets itself within a minute."""
    from scipy.signal import lfilter

    time_s = np.arange(days * 43_200) * 2.0
    noise = lfilter([1.0], [1.0, -0.97], np.random.default_rng(seed).normal(0.0, 0.0055, len(time_s)))
    return history(0.62 + 0.08 * np.sin(2 * np.pi * time_s / 86_400) + noise)


@given(st.lists(st.floats(0.0, 1.0) | st.just(np.nan), min_size=3, max_size=40), st.integers(1, 12))
def test_a_rise_is_the_distance_to_the_least_value_of_the_window(shares: list[float], length: int) -> None:
    u = np.array([0.5, *shares])
    found = rises(PowerHistory(1.0, u, 1, 1.0), float(length))
    for at in range(len(u)):
        window = u[max(0, at - length) : at + 1]
        expected = u[at] - np.nanmin(window) if not np.isnan(u[at]) else np.nan
        assert found[at] == pytest.approx(expected, nan_ok=True)


def test_t2_is_one_less_the_largest_rise_within_the_latency_less_the_margin() -> None:
    past = week()
    found = derive_thresholds(past, response=response(), latencies=LATENCIES, margin=0.01, resamples=50)
    u = past.utilisation
    largest = max(float((u[lag:] - u[:-lag]).max()) for lag in range(1, 21))
    assert found.t2.value == pytest.approx(1.0 - largest - 0.01)
    assert found.t2.low <= found.t2.value <= found.t2.high
    assert found.thresholds.t2 == pytest.approx(1.0 - largest * found.servers.value / 40 - 0.01, abs=1e-4)
    assert found.servers.low <= found.servers.value <= found.servers.high
    assert found.servers.value >= 40


def test_a_slower_actuator_leaves_a_lower_threshold_and_no_more_servers() -> None:
    past = week()
    slow = replace(LATENCIES, low_s=120.0, high_s=120.0)
    fast = replace(LATENCIES, low_s=4.0, high_s=4.0)
    near = derive_thresholds(past, response=response(), latencies=fast, resamples=20)
    far = derive_thresholds(past, response=response(), latencies=slow, resamples=20)
    assert far.t2.value < near.t2.value
    assert far.servers.value <= near.servers.value


def test_a_replay_without_need_changes_nothing() -> None:
    past = history(0.7 + 0.01 * np.sin(np.arange(5000)))
    days = replay(past, 40, policy=polca, mind=DEFAULTS, response=response(), latencies=LATENCIES)
    assert days.brakes.sum() == days.over.sum() == 0
    assert days.peak_mw[0] == round(past.power_w.max() * 1e3)
    assert impacts(days.held.sum(axis=0), response()) == dict.fromkeys(
        ("low_p50", "low_p99", "high_p50", "high_p99"), 0
    )


def test_a_lock_sheds_the_share_of_its_priority_once_it_has_landed() -> None:
    """u = 0.85 for ever: low priority goes to its first clock; power falls by dynamic x share x (1 - factor)."""
    past, does = history(np.full(500, 0.85)), response()
    days = replay(past, 40, policy=polca, mind=DEFAULTS, response=does, latencies=LATENCIES)
    held = days.held.sum(axis=0)
    dynamic_mw = (0.85 * BUDGET_W - 40 * 2100.0) * 1e3
    # The first reading is seen one reading later; the command lands 20 readings after that, before that reading.
    readings_before = 1 + 20
    assert held[0, 1410] == pytest.approx(readings_before * dynamic_mw * 0.5, rel=1e-6)
    assert held[0, 1275] == pytest.approx((500 - readings_before) * dynamic_mw * 0.5, rel=1e-6)
    assert held[1, 1410] == pytest.approx(500 * dynamic_mw * 0.5, rel=1e-6)


def test_a_load_over_the_budget_brakes_once_and_the_brake_holds() -> None:
    past = history(np.full(2000, 1.2))
    days = replay(past, 40, policy=polca, mind=DEFAULTS | {"release_ppm": 0}, response=response(), latencies=LATENCIES)
    assert days.brakes.tolist() == [1]
    # Seen one reading late, in force 5 s later: readings at 0, 2, 4, 6 s are over, since the brake lands at 7 s.
    assert days.over.tolist() == [4]
    assert days.held[0, 0, 288] > 0


def test_python_and_compiled_policies_command_the_same() -> None:
    past = week(days=1)
    both = [
        replay(past, 55, policy=polca, mind=DEFAULTS, response=response(), latencies=LATENCIES, compiled=compiled)
        for compiled in (True, False)
    ]
    assert np.array_equal(both[0].held, both[1].held)
    assert both[0].peak_mw.tolist() == both[1].peak_mw.tolist()


def test_intervals_cover_the_largest_and_the_return_level_grows_with_the_horizon() -> None:
    daily = np.random.default_rng(3).gumbel(0.1, 0.01, 40)
    interval = largest_interval(daily, resamples=300, seed=1)
    assert interval.value == daily.max()
    assert return_level(daily, 40, 0.5) < return_level(daily, 400, 0.5)
    # Moments of a Gumbel law: location + scale ln n is the level that n days exceed with 1 - 1/e.
    level = return_level(np.random.default_rng(4).gumbel(0.1, 0.01, 200_000), 1.0, 1 - np.exp(-1))
    assert level == pytest.approx(0.1, abs=2e-4)


def test_another_gpu_gives_other_clocks() -> None:
    past = week(days=1)
    a100 = derive_thresholds(past, response=response(), latencies=LATENCIES, resamples=20)
    h100 = derive_thresholds(past, response=response("h100-80gb"), latencies=LATENCIES, resamples=20)
    assert h100.thresholds.low2_mhz > a100.thresholds.low2_mhz
    assert h100.t2 == a100.t2


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InfeasibleError, match="not even the 40 servers"):
        derive_thresholds(history(np.full(500, 1.1)), response=response(), latencies=LATENCIES)
    with pytest.raises(InputError, match="cannot show a rise within 1 s"):
        daily_largest(week(days=1), 1.0)
    with pytest.raises(InputError, match="negative"):
        history(np.array([0.5, -0.1]))
    with pytest.raises(InputError, match="margin"):
        derive_thresholds(week(days=1), response=response(), latencies=LATENCIES, margin=1.5)


def test_an_slo_is_read_and_judged() -> None:
    slo = parse_slo("high-p99=4%, low-p50=0.1")
    assert slo == Slo(high_p99=0.04, low_p50=0.1)
    assert slo.broken({"high_p99": 0.041, "low_p50": 0.1, "high_p50": None}) == ("high_p99",)
    for text in ("high-p98=1%", "high-p99=much", "high-p50=10%", "low-p99=-1"):
        with pytest.raises(InputError):
            parse_slo(text)
