"""Laws of sets of time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from armillary.timeline.intervals import Intervals, union

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=20)


def covered(pairs: list[tuple[int, int]]) -> set[int]:
    return {tick for start, length in pairs for tick in range(start, start + length)}


def made(pairs: list[tuple[int, int]]) -> Intervals:
    start = np.array([start for start, _ in pairs], np.int64)
    return union(start, start + np.array([length for _, length in pairs], np.int64))


def ticks_of(intervals: Intervals) -> set[int]:
    return {tick for a, b in zip(intervals.start, intervals.end, strict=True) for tick in range(a, b)}


@given(spans, spans)
def test_union_intersection_and_complement_are_those_of_the_sets_of_ticks(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    a, b = made(first), made(second)
    assert ticks_of(a) == covered(first)
    assert ticks_of(a | b) == covered(first) | covered(second)
    assert ticks_of(a & b) == covered(first) & covered(second)
    assert ticks_of(a.outside(60)) == set(range(60)) - covered(first)


@given(spans, spans)
def test_length_of_the_union_is_the_sum_less_the_length_of_the_intersection(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    """|A u B| = |A| + |B| - |A n B|, and union + idle = total."""
    a, b = made(first), made(second)
    assert (a | b).ticks == a.ticks + b.ticks - (a & b).ticks
    assert a.ticks + a.outside(60).ticks == 60


@given(spans)
def test_intervals_are_sorted_apart_and_not_empty(pairs: list[tuple[int, int]]) -> None:
    a = made(pairs)
    assert np.all(a.start < a.end)
    assert np.all(a.start[1:] > a.end[:-1])
