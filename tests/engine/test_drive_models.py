"""The conformance suite of models finds each kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from armillary.engine import Reason
from armillary.engine.calendar import Calendar, Stream, new_calendar
from armillary.engine.drive import drive
from armillary.engine.timers import stop
from armillary.testing.models import Listing, Model, check_model, interpreted

plain_drive: Callable[..., int] = interpreted(drive)
plain_stop = interpreted(stop)


class Stack:
    """The simplest state: what was played, in order."""

    def __init__(self) -> None:
        self.seen: list[int] = []


def build(seed: int, listing: Listing) -> tuple[Stack, Calendar]:
    ticks = np.sort(np.random.default_rng(seed).integers(0, 40, 60)[listing(60)])
    return Stack(), new_calendar([Stream(0, ticks)])


def handle(state: Stack, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    state.seen.append(int(now))


def advance(state: Stack, calendar: Calendar, until: int) -> int:
    return plain_drive(state, calendar, until, handle)


def outcome(state: Stack) -> dict[str, Any]:
    return {"seen": np.array(state.seen)}


SOUND = Model(build, advance, outcome, broken=lambda state: [])


def test_a_sound_model_passes() -> None:
    check_model(SOUND, workers=0)


def test_a_state_that_is_touched_at_stops_is_found() -> None:
    def touching(state: Stack, calendar: Calendar, until: int) -> int:
        reason = advance(state, calendar, until)
        state.seen.append(-1)
        return reason

    with pytest.raises(AssertionError, match=r"seed 0, cut into 26 pieces: seen has shape"):
        check_model(replace(SOUND, advance=touching), workers=0)


def test_ties_that_follow_the_listing_are_found() -> None:
    def naive(seed: int, listing: Listing) -> tuple[Stack, Calendar]:
        rng = np.random.default_rng(seed)
        ticks, sizes = rng.integers(0, 9, 60)[listing(60)], np.arange(60)[listing(60)]
        order = np.argsort(ticks, kind="stable")
        return Stack(), new_calendar([Stream(0, ticks[order], sizes[order])])

    def by_payload(state: Stack, calendar: Calendar, until: int) -> int:
        def note(state: Stack, calendar: Calendar, now: int, kind: int, payload: int) -> None:
            state.seen.append(int(payload))

        return plain_drive(state, calendar, until, note)

    # The calendar sorts by payload, so payloads that name the thing itself are safe ...
    check_model(replace(SOUND, build=naive, advance=by_payload), workers=0)

    def by_row(seed: int, listing: Listing) -> tuple[Stack, Calendar]:
        ticks = np.random.default_rng(seed).integers(0, 9, 60)[listing(60)]
        return Stack(), new_calendar([Stream(0, ticks)])

    # ... and row numbers of the listing are not.
    with pytest.raises(AssertionError, match=r"input listed in another order: seen\[\d+\]"):
        check_model(replace(SOUND, build=by_row, advance=by_payload), workers=0)


def test_a_broken_law_is_named_with_its_tick() -> None:
    with pytest.raises(AssertionError, match=r"seed 0: at tick \d+: pods appear from nowhere"):
        check_model(replace(SOUND, broken=lambda state: ["pods appear from nowhere"]), workers=0)


def test_compiled_code_that_differs_from_its_source_is_found() -> None:
    class Compiled:
        """Stands for a compiler's fault: what runs is not what is written."""

        py_func = staticmethod(advance)

        def __call__(self, state: Stack, calendar: Calendar, until: int) -> int:
            def handle(state: Stack, calendar: Calendar, now: int, kind: int, payload: int) -> None:
                state.seen.append(int(now) + payload // 59)

            return plain_drive(state, calendar, until, handle)

    with pytest.raises(AssertionError, match=r"as plain Python: seen\[59\] is \d+ instead of \d+"):
        check_model(replace(SOUND, advance=Compiled()), workers=0)


def test_a_run_that_does_not_end_is_found() -> None:
    def stuck(state: Stack, calendar: Calendar, until: int) -> int:
        return int(Reason.LIVELOCK)

    with pytest.raises(AssertionError, match="stopped with LIVELOCK"):
        check_model(replace(SOUND, advance=stuck), workers=0)


def test_a_decision_without_a_decider_is_found() -> None:
    def asking(state: Stack, calendar: Calendar, until: int) -> int:
        def ask(state: Stack, calendar: Calendar, now: int, kind: int, payload: int) -> None:
            plain_stop(calendar, int(Reason.POLICY))

        return plain_drive(state, calendar, until, ask)

    with pytest.raises(AssertionError, match="no `decide`"):
        check_model(replace(SOUND, advance=asking), workers=0)


def test_a_model_that_workers_cannot_find_is_refused() -> None:
    with pytest.raises(AssertionError, match="beside its `build`"):
        check_model(replace(SOUND), seeds=(0,), workers=1)
