"""The loop for request-driven models against its oracle, and its stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from armillary.engine import Reason
from armillary.engine.calendar import COMPLETION, SAMPLE, Calendar, Stream, add_arrivals, grown, new_calendar
from armillary.engine.drive import Handler, Run, drive
from armillary.engine.timers import cancel, deadline, move, start, ticks_up
from armillary.errors import ArmillaryError, InputError
from armillary.testing.models import as_listed, check_model, interpreted, played
from armillary.units import MAX_TICKS
from tests.engine import drive_script

# Laws that need a handler of their own run as plain Python: every entry point that compiles costs seconds.
plain_drive = interpreted(drive)
plain_start, plain_move, plain_cancel = interpreted(start), interpreted(move), interpreted(cancel)
plain_deadline = interpreted(deadline)


def run_of(handler: Handler, calendar: Calendar) -> Run[list[Any]]:
    """A model whose state is a list, in plain Python."""
    return Run(lambda state, calendar, until: plain_drive(state, calendar, until, handler), [], calendar)


def log_event(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
    state.append((int(now), int(kind), int(payload)))


def test_events_come_in_the_order_of_the_rules() -> None:
    """100 random scripts of start, move and cancel, with ties at most ticks: the log equals the oracle's."""
    for seed in range(100):
        found = played(drive_script.MODEL, seed)
        log = list(zip(*(found[name].tolist() for name in drive_script.EVENT.names or ()), strict=True))
        assert log == drive_script.expected(seed), seed
        assert len({row[0] for row in log}) < len(log) // 2


@pytest.mark.nightly
def test_events_come_in_the_order_of_the_rules_in_many_scripts() -> None:
    for seed in range(100, 3000):
        found = played(drive_script.MODEL, seed)
        log = list(zip(*(found[name].tolist() for name in drive_script.EVENT.names or ()), strict=True))
        assert log == drive_script.expected(seed), seed


def test_a_script_of_everything_keeps_the_laws_of_models() -> None:
    check_model(drive_script.MODEL, seeds=range(6), workers=0)


def test_streams_merge_by_tick_class_kind_and_payload() -> None:
    streams = [Stream(2, np.array([5, 1, 1])), Stream(1, np.array([5, 1])), Stream(9, np.array([1]), order=COMPLETION)]
    run = run_of(log_event, new_calendar(streams))
    assert run.advance() == Reason.IDLE
    assert run.state == [(1, 9, 0), (1, 1, 1), (1, 2, 1), (1, 2, 2), (5, 1, 0), (5, 2, 0)]


def test_zero_spans_end_in_the_next_round_after_all_arrivals_of_the_tick() -> None:
    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        log_event(state, calendar, now, kind, payload)
        if kind == 0:
            plain_start(calendar, now, COMPLETION, 1, payload)
            plain_start(calendar, now, SAMPLE, 2, payload)

    run = run_of(handler, new_calendar([Stream(0, np.array([7, 7]))]))
    run.advance()
    assert [kind for _, kind, _ in run.state] == [0, 0, 2, 2, 1, 1]


def test_keep_alive_reset_costs_no_heap_entry() -> None:
    """A timer moved a thousand times to later ticks stands once in the heap and fires at the last one."""

    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        if kind == 0:
            if not state:
                state.append(plain_start(calendar, now + 50, COMPLETION, 1, 0))
            assert plain_move(calendar, state[0], now + 50)
            assert calendar.head["pending"][0] == 1
        else:
            state.append(int(now))

    run = run_of(handler, new_calendar([Stream(0, np.arange(1000) * 10)]))
    run.advance()
    assert run.state[1:] == [9990 + 50]


def test_stale_handles_do_nothing() -> None:
    """A fired or cancelled timer can be moved or cancelled no more, though its slot serves another."""

    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        if kind == 0:
            first = plain_start(calendar, now + 1, COMPLETION, 1, 0)
            assert plain_cancel(calendar, first)
            second = plain_start(calendar, now + 2, COMPLETION, 2, 0)
            assert first != second
            assert not plain_cancel(calendar, first)
            assert not plain_move(calendar, first, now + 9)
            assert (plain_deadline(calendar, first), plain_deadline(calendar, second)) == (-1, now + 2)
            state.append(second)
        else:
            assert not plain_cancel(calendar, state[0])
            state.append(kind)

    run = run_of(handler, new_calendar([Stream(0, np.array([3]))], timers=1, burst=2))
    assert run.advance() == Reason.IDLE
    assert run.state[1:] == [2]


def test_until_is_inclusive_and_now_stays_at_the_last_event() -> None:
    run = run_of(log_event, new_calendar([Stream(0, np.array([2, 5, 6]))]))
    assert (run.advance(5), run.now, run.events) == (Reason.TIME, 5, 2)
    assert (run.advance(5), run.now) == (Reason.TIME, 5)
    assert (run.advance(), run.now) == (Reason.IDLE, 6)


def test_a_trace_fed_in_pieces_gives_the_same_events() -> None:
    ticks = np.sort(np.random.default_rng(0).integers(0, 500, 300))
    whole = run_of(log_event, new_calendar([Stream(0, ticks)]))
    whole.advance()
    run = run_of(log_event, new_calendar([Stream(0, ticks[ticks < 100])]))
    for first in range(100, 600, 100):
        run.advance()
        part = np.flatnonzero((ticks >= first) & (ticks < first + 100))
        run.calendar = add_arrivals(run.calendar, [Stream(0, ticks[part], part)])
    run.advance()
    assert run.state == whole.state


def test_zero_time_loop_is_a_livelock() -> None:
    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        plain_start(calendar, now, COMPLETION, 0, 0)

    run = run_of(handler, new_calendar([Stream(0, np.array([4]))], rounds=100))
    assert (run.advance(), run.now, run.events) == (Reason.LIVELOCK, 4, 101)
    assert run.advance() == Reason.LIVELOCK


@pytest.mark.parametrize(
    "call",
    [
        lambda calendar, now: plain_start(calendar, MAX_TICKS + 1, COMPLETION, 0, 0),
        lambda calendar, now: plain_start(calendar, now - 1, COMPLETION, 0, 0),
        lambda calendar, now: plain_start(calendar, now, SAMPLE + 1, 0, 0),
        lambda calendar, now: plain_start(calendar, now, COMPLETION, 256, 0),
        lambda calendar, now: plain_start(calendar, now, COMPLETION, 0, 2**32),
        lambda calendar, now: plain_start(calendar, now, COMPLETION, 0, -1),
        lambda calendar, now: plain_move(calendar, plain_start(calendar, now + 5, COMPLETION, 0, 0), now - 1),
    ],
)
def test_events_that_cannot_be_are_an_overflow(call: Callable[[Calendar, int], Any]) -> None:
    run = run_of(
        lambda state, calendar, now, kind, payload: call(calendar, now), new_calendar([Stream(0, np.array([3]))])
    )
    assert run.advance() == Reason.OVERFLOW
    assert run.advance() == Reason.OVERFLOW


def test_spans_round_up_and_never_wrap() -> None:
    up = interpreted(ticks_up)
    assert [up(x) for x in (0.0, 0.1, 1.0, 1.5)] == [0, 1, 1, 2]
    assert [up(x) > MAX_TICKS for x in (float(MAX_TICKS), 1e300, np.inf, np.nan)] == [True] * 4


def test_a_handler_that_breaks_its_burst_is_a_defect_with_its_tick() -> None:
    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        for name in range(9):
            plain_start(calendar, now + 1, COMPLETION, 1, name)

    with pytest.raises(ArmillaryError, match=r"more than 2 timers in one call, at tick 3"):
        run_of(handler, new_calendar([Stream(0, np.array([3]))], timers=4, burst=2)).advance()


def test_a_handler_that_moves_forward_more_than_its_burst_is_a_defect_with_its_tick() -> None:
    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        if kind == 0:
            state.append(plain_start(calendar, 1000, COMPLETION, 1, 0))
        for sooner in range(20 if now == 3 else 0):
            plain_move(calendar, state[0], 900 - sooner)

    run = run_of(handler, new_calendar([Stream(0, np.array([1, 3]))], timers=4, burst=2))
    with pytest.raises(ArmillaryError, match=r"more than 2 timers in one call, at tick 3"):
        run.advance()


@pytest.mark.parametrize("sizes", [{"burst": 0}, {"timers": -1}, {"rounds": 2**20}])
def test_calendars_that_cannot_be_are_refused(sizes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="out of range"):
        new_calendar(**sizes)


def test_more_timers_than_a_handle_can_name_are_a_defect() -> None:
    with pytest.raises(ArmillaryError, match=r"takes 16777216"):
        grown(new_calendar(), 2**24 + 1)


def test_a_calendar_grows_to_the_timers_that_are_live_and_no_further() -> None:
    """Ten thousand timers started and cancelled leave the calendar small; a thousand live ones all fire."""

    def handler(state: list[Any], calendar: Calendar, now: int, kind: int, payload: int) -> None:
        if kind == 0:
            plain_cancel(calendar, plain_start(calendar, now + 10**6, COMPLETION, 2, 0))
        elif kind == 1:
            plain_start(calendar, 20_000 - now, COMPLETION, 3, payload)
        else:
            state.append(int(now))

    run = run_of(handler, new_calendar([Stream(0, np.arange(10_000))]))
    run.advance()
    assert len(run.calendar.timers) == 64
    assert run.state == []
    run = run_of(handler, new_calendar([Stream(1, np.arange(1000))], timers=0, burst=1))
    run.advance()
    assert run.state == [20_000 - start for start in reversed(range(1000))]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (Stream(0, np.array([-1])), "reach from tick -1"),
        (Stream(0, np.array([2**62 + 1])), r"use 0 to 2\*\*62"),
        (Stream(256, np.array([1])), "kind 256"),
        (Stream(0, np.array([1]), order=6), "class 6"),
        (Stream(0, np.array([1.5])), "whole numbers"),
        (Stream(0, np.array([1]), np.array([2**32])), "payload"),
        (Stream(0, np.array([1]), np.array([1, 2])), "1,"),
    ],
)
def test_arrivals_that_cannot_be_are_refused(stream: Stream, message: str) -> None:
    with pytest.raises(InputError, match=message):
        new_calendar([stream])


def test_arrivals_before_now_are_refused() -> None:
    run = run_of(log_event, new_calendar([Stream(0, np.array([5]))]))
    run.advance()
    with pytest.raises(InputError, match=r"use 6 to"):
        add_arrivals(run.calendar, [Stream(0, np.array([5]))])


def test_a_state_that_cannot_grow_is_a_defect() -> None:
    model = drive_script.MODEL
    run = Run(model.advance, *model.build(0, as_listed))
    with pytest.raises(ArmillaryError, match="no `grow`"):
        while run.advance() == Reason.POLICY:
            pass
