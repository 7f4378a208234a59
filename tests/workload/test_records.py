"""The records between rings hold what they promise."""

from __future__ import annotations

import math

import pytest

from armillary.errors import InputError
from armillary.workload import ActivityProfile, ServiceTime


def profile(**changes: float) -> ActivityProfile:
    fields = {
        "duration_s": 2.0,
        "energy_j": 3.0,
        "peak_power_w": 2.0,
        "compute_share": 0.5,
        "memory_share": 1.0,
        "link_share": 0.0,
    } | changes
    return ActivityProfile("net", "chip", **fields)


def test_throughput_is_batch_over_period() -> None:
    assert ServiceTime("net", "chip", batch=4, latency_s=0.1, period_s=0.05).throughput_per_s == pytest.approx(80.0)


@pytest.mark.parametrize(
    ("batch", "latency_s", "period_s"),
    [(0, 1.0, 1.0), (1, 1.0, 2.0), (1, 1.0, 0.0), (1, math.inf, 1.0), (1, math.nan, 1.0)],
)
def test_impossible_service_times_are_refused(batch: int, latency_s: float, period_s: float) -> None:
    with pytest.raises(InputError, match="service time of 'net'"):
        ServiceTime("net", "chip", batch, latency_s, period_s)


def test_mean_power_is_energy_over_duration() -> None:
    assert profile().mean_power_w == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"duration_s": 0.0}, "not positive"),
        ({"energy_j": -1.0}, "negative"),
        ({"energy_j": math.nan}, "not finite"),
        ({"peak_power_w": 1.4}, "below the mean"),
        ({"compute_share": 1.01}, "compute_share is 1.01"),
        ({"link_share": math.nan}, "link_share"),
    ],
)
def test_impossible_activities_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        profile(**changes)
