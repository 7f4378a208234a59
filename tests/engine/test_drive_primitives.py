"""The primitives beside the loop: draws, tables, sketches, recorders, shared links."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.engine import hash as draws
from armillary.engine import recorder as steps
from armillary.engine import sharing
from armillary.engine.sketch import BUCKETS, RELATIVE_ERROR, bucket, merged, new_sketch, quantile, sketch_add
from armillary.errors import InputError
from armillary.testing.models import interpreted

# Each as compiled code and as plain Python; the latter is what hypothesis drives.
philox, uniform, below = interpreted(draws.philox), interpreted(draws.uniform), interpreted(draws.below)
tabulated = interpreted(draws.tabulated)
plain_bucket, plain_add, record = interpreted(bucket), interpreted(sketch_add), interpreted(steps.record)
ps_join, ps_next = interpreted(sharing.ps_join), interpreted(sharing.ps_next)
ps_leave, ps_capacity = interpreted(sharing.ps_leave), interpreted(sharing.ps_capacity)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_draws_are_philox(counter: Any, key: Any, words: Any) -> None:
    """Known answers of philox4x32-10 from the Random123 distribution."""
    assert philox(*counter, *key) == words


def test_draws_are_uniform_and_independent() -> None:
    """Mean 1/2, variance 1/12, and no correlation between neighbours in any of the four numbers, within 5 sigma."""
    count = 4000
    base = np.array([uniform(1, 2, item, 3) for item in range(count)])
    assert abs(base.mean() - 0.5) < 5 * np.sqrt(1 / 12 / count)
    assert abs(base.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / count)
    for other in ((2, 2, 0, 3), (1, 3, 0, 3), (1, 2, 1, 3), (1, 2, 0, 4)):
        seed, component, shift, stream = other
        near = np.array([uniform(seed, component, item + shift, stream) for item in range(count)])
        assert abs(np.corrcoef(base, near)[0, 1]) < 5 / np.sqrt(count)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1))
def test_every_draw_lies_inside_zero_and_one(seed: int, component: int, item: int, stream: int) -> None:
    assert 0.0 < uniform(seed, component, item, stream) < 1.0
    assert 0 <= below(7, seed, component, item, stream) < 7


def test_components_are_known_by_name() -> None:
    assert draws.component_id("arrivals") != draws.component_id("sizes")
    assert 0 <= draws.component_id("") < 2**32


def test_table_of_an_exponential_keeps_mean_and_tails() -> None:
    """Against -log(1 - p): every value within 5e-5 of a mean, from p = 2**-40 to 1 - 2**-40."""
    table = draws.tabulate(lambda p: -np.log1p(-p))
    tails = np.ldexp(np.random.default_rng(0).uniform(0.5, 1.0, 2000), -np.random.default_rng(1).integers(1, 40, 2000))
    for probability in (*tails.tolist(), *(1.0 - tails).tolist()):
        assert tabulated(table, probability) == pytest.approx(-np.log1p(-probability), abs=5e-5)
    middle = (np.arange(20_000) + 0.5) / 20_000
    mean = np.mean([tabulated(table, p) for p in middle.tolist()])
    assert mean == pytest.approx(np.mean(-np.log1p(-middle)), rel=2e-5)


@given(st.lists(st.floats(2.0**-53, 1 - 2.0**-53), min_size=2, max_size=20))
def test_table_rises_with_probability(probabilities: list[float]) -> None:
    table = draws.tabulate(lambda p: p**3)
    values = [tabulated(table, p) for p in sorted(probabilities)]
    assert values == sorted(values)
    assert all(0 <= value <= 1 for value in values)


@pytest.mark.parametrize("inverse", [lambda p: 1 / (p - p), lambda p: -p])
def test_table_refuses_what_is_no_inverse_distribution(inverse: Callable[[Any], Any]) -> None:
    with np.errstate(divide="ignore"), pytest.raises(InputError, match="inverse distribution"):
        draws.tabulate(inverse)


@given(st.lists(st.integers(0, 2**62 - 1) | st.integers(0, 300), min_size=1, max_size=60), st.floats(0, 1))
def test_quantiles_of_a_sketch_are_within_the_stated_error(values: list[int], level: float) -> None:
    counts = new_sketch()
    for value in values:
        plain_add(counts, value)
    true = sorted(values)[max(1, int(np.ceil(level * len(values)))) - 1]
    assert quantile(counts, level) == pytest.approx(true, rel=RELATIVE_ERROR, abs=0 if true >= 128 else 1e-12)


@given(st.lists(st.integers(0, 2**40), max_size=40), st.integers(0, 40))
def test_merging_sketches_equals_one_sketch(values: list[int], cut: int) -> None:
    whole, first, second = new_sketch(), new_sketch(), new_sketch()
    for place, value in enumerate(values):
        plain_add(whole, value)
        plain_add(first if place < cut else second, value)
    assert np.array_equal(merged([first, second]), whole)
    assert np.array_equal(merged([second, first]), whole)


def test_buckets_cover_every_value_once_and_in_order() -> None:
    edges = [2**k + d for k in range(7, 62) for d in (-1, 0, 1)] + [2**62 - 1]
    found = [plain_bucket(value) for value in sorted({*range(300), *edges})]
    assert found == sorted(found)
    assert (found[0], found[127], plain_bucket(2**62 - 1)) == (0, 127, BUCKETS - 65)


def test_a_quantile_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one value"):
        quantile(new_sketch(), 0.5)


values_over_time = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3) | st.integers(0, 2**58), st.integers(-(2**31) + 1, 2**31 - 1)),
    max_size=40,
)


@given(values_over_time, st.sets(st.integers(0, 40)))
def test_recorder_integrates_exactly_and_cuts_leave_no_mark(calls: list[tuple[int, int, int]], cuts: set[int]) -> None:
    """Integral = sum of value x span in whole numbers; rows = changes by tick, wherever they were taken out."""
    recorder = steps.new_recorder(3, room=50)
    now, present, total, parts = 0, [0, 0, 0], [0, 0, 0], []
    last: list[dict[int, int]] = [{}, {}, {}]
    for place, (series, span, value) in enumerate(calls):
        total = [sum_ + v * span for sum_, v in zip(total, present, strict=True)]
        now += span
        present[series] = value
        last[series][now] = value
        record(recorder, series, now, value)
        if place in cuts:
            parts.append(steps.taken_steps(recorder))
    assert [steps.integral(recorder, series, now) for series in range(3)] == total
    rows = steps.joined_steps([*parts, steps.taken_steps(recorder)])
    expected = []
    for series in range(3):
        before = 0
        for tick, value in last[series].items():
            if value != before:
                expected.append((tick, series, value))
            before = value
    assert [tuple(row) for row in rows.tolist()] == expected


def test_a_full_recorder_counts_what_it_lost_and_still_integrates() -> None:
    recorder = steps.new_recorder(1, room=2)
    for now in range(1, 6):
        record(recorder, 0, now, now)
    assert (int(recorder.used["lost"][0]), interpreted(steps.room_left)(recorder)) == (3, 0)
    assert interpreted(steps.present)(recorder, 0) == 5
    assert steps.integral(recorder, 0, 6) == 1 + 2 + 3 + 4 + 5


def test_a_recorder_without_room_keeps_integrals_only() -> None:
    recorder = steps.new_recorder(1)
    for now in range(1, 6):
        record(recorder, 0, now, now)
    assert (steps.integral(recorder, 0, 6), len(steps.taken_steps(recorder))) == (15, 0)


def test_equal_flows_share_equally_and_weights_count() -> None:
    """Two flows of weight 1 and 3 on a link of 4 bytes per tick get 1 and 3; alone, each gets 4."""
    shared = sharing.new_links([4.0], 3)
    assert ps_join(shared, 0, 0, 7, 10.0, 1)
    assert ps_join(shared, 0, 0, 8, 15.0, 3)
    assert ps_next(shared, 0, 0) == 5
    assert (ps_leave(shared, 0, 4), ps_leave(shared, 0, 5), ps_leave(shared, 0, 5)) == (-1, 8, -1)
    assert ps_next(shared, 0, 5) == 5 + 2
    assert ps_leave(shared, 0, 7) == 7
    assert ps_next(shared, 0, 7) == sharing.NEVER


def test_a_link_that_stands_still_keeps_its_flows_and_a_full_one_takes_no_more() -> None:
    shared = sharing.new_links([2.0, 1.0], 2)
    assert [ps_join(shared, 1, 0, flow, 8.0, 1) for flow in range(3)] == [True, True, False]
    ps_capacity(shared, 1, 4, 0.0)
    assert ps_next(shared, 1, 4) == sharing.NEVER
    ps_capacity(shared, 1, 100, 3.0)
    assert ps_next(shared, 1, 100) == 104
    assert [ps_leave(shared, 1, 104) for _ in range(3)] == [0, 1, -1]


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.1, 50.0), st.integers(1, 3)), min_size=1, max_size=25))
def test_a_link_moves_all_bytes_at_its_capacity(flows: list[tuple[int, float, int]]) -> None:
    """While it is busy a link moves `capacity` bytes per tick: busy time = bytes / capacity, up to a tick a flow."""
    shared = sharing.new_links([1.7], 25)
    waiting = sorted((tick, flow) for flow, (tick, _, _) in enumerate(flows))
    busy, since, due, ended = 0, 0, sharing.NEVER, []
    while waiting or due < sharing.NEVER:
        now = min(due, waiting[0][0]) if waiting else due
        busy += (now - since) * int(shared.links["flows"][0] > 0)
        since = now
        while (flow := ps_leave(shared, 0, now)) >= 0:
            ended.append(flow)
        while waiting and waiting[0][0] == now:
            _, flow = waiting.pop(0)
            ps_join(shared, 0, now, flow, flows[flow][1], flows[flow][2])
        due = ps_next(shared, 0, now)
    assert sorted(ended) == list(range(len(flows)))
    assert 0 <= busy - sum(size for _, size, _ in flows) / 1.7 + 1e-6 <= len(flows) + 1


@pytest.mark.parametrize(("capacities", "room"), [([-1.0], 1), ([np.inf], 1), ([1.0], 0)])
def test_links_that_cannot_be_are_refused(capacities: list[float], room: int) -> None:
    with pytest.raises(InputError, match="finite capacities"):
        sharing.new_links(capacities, room)
