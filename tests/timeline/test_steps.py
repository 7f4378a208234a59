"""Laws of step functions and of amounts spread over time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.timeline.steps import add_up, spread

changes = st.lists(st.tuples(st.integers(0, 20), st.integers(-5, 5)), max_size=30)
amounts = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 300), st.integers(0, 10**12)), min_size=1, max_size=30
)


@given(changes)
def test_steps_are_the_running_sum_after_all_changes_of_a_tick(pairs: list[tuple[int, int]]) -> None:
    steps = add_up(np.array([t for t, _ in pairs], np.int64), np.array([c for _, c in pairs], np.int64))
    ticks = np.arange(25)
    running = [sum(change for tick, change in pairs if tick <= now) for now in ticks]
    assert steps.at(ticks).tolist() == running
    assert steps.integral(ticks).tolist() == np.concatenate([[0], np.cumsum(running[:-1])]).tolist()
    assert steps.tick[0] == 0
    assert np.all(np.diff(steps.value) != 0)


@given(amounts)
def test_integral_of_a_spread_is_the_sum_of_the_amounts(rows: list[tuple[int, int, int]]) -> None:
    start, ticks, amount = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    flow = spread(start, start + ticks, amount)
    end = np.array([2000])
    assert flow.until(end)[0] == amount.sum()
    assert flow.steps.value[-1] == 0


@given(amounts)
def test_spread_follows_the_even_flow_within_one_quantum_a_span(rows: list[tuple[int, int, int]]) -> None:
    """At any tick each span has spent its even share, rounded up by less than its own ticks in quanta."""
    start, ticks, amount = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    flow = spread(start, start + ticks, amount)
    ticks = np.maximum(ticks, 1)
    for now in range(0, 1400, 97):
        even = amount * np.clip((now - start) / ticks, 0, 1)
        slack = float((ticks * 2.0**-flow.fraction_bits).sum()) + 1
        assert abs(float(flow.until(np.array([now]))[0]) - even.sum()) <= slack


def test_amounts_that_would_wrap_are_refused() -> None:
    with pytest.raises(InputError, match="too many for exact sums"):
        spread(np.zeros(3, np.int64), np.ones(3, np.int64), np.full(3, 2**60))
    with pytest.raises(InputError, match="negative"):
        spread(np.zeros(1, np.int64), np.ones(1, np.int64), np.array([-1]))
