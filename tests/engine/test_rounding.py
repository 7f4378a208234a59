"""Rounding of seconds to ticks: one rule, for one time and for arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.units import MAX_TICKS, NANOSECOND, PICOSECOND, to_ticks, to_ticks_array

ticks_of_time = st.sampled_from([PICOSECOND, NANOSECOND, 1e-6])


@given(st.lists(st.floats(0, 4e6) | st.integers(0, 10**7).map(lambda count: count * 1e-12)), ticks_of_time)
def test_array_rounds_as_single_times_do(seconds: list[float], tick_s: float) -> None:
    assert to_ticks_array(seconds, tick_s).tolist() == [to_ticks(value, tick_s) for value in seconds]


@given(st.floats(0, 4e6), ticks_of_time)
def test_rounded_time_is_not_earlier_beyond_the_tolerance_and_less_than_a_tick_later(
    seconds: float, tick_s: float
) -> None:
    exact = seconds / tick_s
    assert -1e-9 * max(1.0, exact) <= int(to_ticks_array(seconds, tick_s)) - exact < 1


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), float(MAX_TICKS)])
def test_time_out_of_range_is_refused_in_an_array_too(bad: float) -> None:
    with pytest.raises(InputError, match="does not fit"):
        to_ticks_array(np.array([0.0, bad]), 1.0)
