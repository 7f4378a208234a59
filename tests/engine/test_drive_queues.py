"""Closed forms hold for `drive`: M/M/1, M/M/c, M/D/1, G/G/1, processor sharing, and keep-alive as a recursion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from armillary.engine import Reason
from armillary.engine._jit import JIT
from armillary.engine.drive import Run
from tests.engine.toys import functions, servers, tenants

needs_jit = pytest.mark.skipif(not JIT, reason="half a million requests need compiled code")
SERVICE = 10_000  # mean, ticks: rounding up to ticks adds 0.005 %
FloatArray = npt.NDArray[np.float64]


def exponential(rng: np.random.Generator, mean: float, count: int) -> FloatArray:
    """Exponential values, one from each of `count` slices of equal probability, in random order.

    Their mean and variance are exact, which takes away most of the noise of a mean wait: 1 % needs a million requests.
    """
    return np.asarray(-mean * np.log((rng.permutation(count) + rng.random(count)) / count + 1e-300))


def poisson(rng: np.random.Generator, mean_gap: float, count: int) -> npt.NDArray[np.int64]:
    return np.cumsum(exponential(rng, mean_gap, count)).astype(np.int64)


def waits(arrival: Any, work: Any, count: int) -> FloatArray:
    """Wait in queue per request, in mean service times, of a run of the servers model."""
    run = Run(servers.advance, *servers.new_servers(arrival, work, count))
    assert run.advance() == Reason.IDLE
    requests = run.state.requests
    return np.asarray((requests["start"] - requests["arrival"]) / SERVICE)


def erlang_c(count: int, load: float) -> float:
    """Probability of waiting in M/M/c at `load` per server."""
    offered = count * load
    last = offered**count / math.factorial(count) / (1 - load)
    return last / (sum(offered**k / math.factorial(k) for k in range(count)) + last)


@needs_jit
@pytest.mark.parametrize(("count", "load"), [(1, 0.5), (1, 0.8), (4, 0.7)])
def test_time_in_system_matches_erlang_c(count: int, load: float) -> None:
    """M/M/c: mean time = 1 + C(c, load) / (c - c load) service times (c = 1: 1 / (1 - load))."""
    rng = np.random.default_rng(count)
    requests = 1_000_000
    arrival = poisson(rng, SERVICE / load / count, requests)
    work = np.ceil(exponential(rng, SERVICE, requests)).astype(np.int64)
    expected = 1 + erlang_c(count, load) / (count * (1 - load))
    assert 1 + waits(arrival, work, count).mean() == pytest.approx(expected, rel=0.01)


@needs_jit
def test_waiting_time_matches_pollaczek_khinchine() -> None:
    """M/D/1 at load 0.8: mean wait = load / (2 (1 - load)) service times."""
    arrival = poisson(np.random.default_rng(0), SERVICE / 0.8, 1_000_000)
    work = np.full(len(arrival), SERVICE)
    assert waits(arrival, work, 1).mean() == pytest.approx(0.8 / (2 * 0.2), rel=0.01)


def test_queue_equals_lindley_recursion_to_the_tick() -> None:
    """G/G/1: wait[i + 1] = max(0, wait[i] + work[i] - gap[i])."""
    rng = np.random.default_rng(1)
    arrival = np.sort(rng.integers(0, 50_000, 20_000))
    work = rng.integers(0, 5, 20_000)
    run = Run(servers.advance, *servers.new_servers(arrival, work, 1))
    run.advance()
    requests = run.state.requests
    steps = requests["work"][:-1] - np.diff(requests["arrival"])
    level = np.concatenate([[0], np.cumsum(steps)])
    assert np.array_equal(requests["start"] - requests["arrival"], level - np.minimum.accumulate(level))


@needs_jit
@pytest.mark.parametrize("shape", ["fixed", "exponential", "hyperexponential"])
def test_sharing_is_insensitive_to_the_distribution_of_sizes(shape: str) -> None:
    """M/G/1 processor sharing at load 0.7: mean time = mean size / (1 - load), whatever the distribution."""
    rng = np.random.default_rng(3)
    count, load = 500_000, 0.7
    sizes = {
        "fixed": np.full(count, float(SERVICE)),
        "exponential": exponential(rng, SERVICE, count),
        "hyperexponential": exponential(rng, SERVICE, count) * np.where(rng.random(count) < 0.9, 1 / 1.8, 5.0),
    }[shape]
    arrival = poisson(rng, sizes.mean() / load, count)
    run = Run(tenants.advance, *tenants.new_tenants([1.0], arrival, np.zeros(count, np.int64), sizes))
    assert run.advance() == Reason.IDLE
    transfers = run.state.transfers
    mean = (transfers["end"] - transfers["tick"]).mean()
    assert mean == pytest.approx(sizes.mean() / (1 - load), rel=0.01)


def test_independent_keep_alive_equals_a_recursion() -> None:
    """Without contention a request is cold if and only if it comes at least `keep` after its function's last end."""
    rng = np.random.default_rng(5)
    cold, keep, span, count, names = 40, 600, 25, 4000, 8
    tick = np.concatenate([np.cumsum(rng.integers(cold + span, 1200, count)) for _ in range(names)])
    function = np.repeat(np.arange(names), count)
    run = Run(
        functions.advance,
        *functions.new_platform(tick, function, np.full(len(tick), span), pods=names, cold=cold, keep=keep),
    )
    assert run.advance() == Reason.IDLE
    for name in range(names):
        mine = run.state.requests[run.state.requests["function"] == name]
        is_cold, end = [], -keep
        for at in mine["tick"].tolist():
            is_cold.append(at - end >= keep)
            end = at + cold * is_cold[-1] + span
        assert mine["cold"].astype(bool).tolist() == is_cold
        assert np.array_equal(mine["begin"], mine["tick"])
        assert 0.3 < np.mean(is_cold) < 0.7
