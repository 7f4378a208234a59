"""The one loop for request-driven models.

In:  `drive(state, calendar, until, handler)` inside a compiled entry point of a model; `Run` around it in Python.
Out: the model's own records, changed by its handler `(state, calendar, now, kind, payload)`, and a `Reason`.
Order within a tick, ties and stops: docs/drive.md. Cutting a run into any number of calls changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from armillary.engine._jit import njit
from armillary.engine.calendar import (
    CLASS_BIT,
    GO_ON,
    KIND_BIT,
    MAX_KIND,
    MAX_PAYLOAD,
    ROUND_BIT,
    SLOT_MASK,
    Calendar,
    grown,
)
from armillary.engine.timers import drop_top, release_slot, settle_top
from armillary.engine.trace import Reason
from armillary.errors import ArmillaryError
from armillary.units import MAX_TICKS

_IDLE = int(Reason.IDLE)
_TIME = int(Reason.TIME)
_CAPACITY = int(Reason.CAPACITY)
_LIVELOCK = int(Reason.LIVELOCK)
_OVERFLOW = int(Reason.OVERFLOW)

State = TypeVar("State")
Handler = Callable[[Any, Calendar, int, int, int], None]


@njit(inline=True, inner=True, cache=False)
def drive(state: Any, calendar: Calendar, until: int, handler: Handler) -> int:
    """Play all events up to and including tick `until`; returns a `Reason`.

    A model wraps it: `@njit(INT64(STATE, CALENDAR, INT64))` on `def advance(state, calendar, until)` that returns
    `drive(state, calendar, until, handle)`, with `handle` compiled in the same file; it gets inlined.
    """
    head, arrivals = calendar.head[0], calendar.arrivals
    if head["stop"] == _OVERFLOW or head["stop"] == _LIVELOCK:
        return int(head["stop"])
    head["stop"] = GO_ON
    while True:
        settle_top(calendar)
        from_stream = head["cursor"] < len(arrivals)
        if head["pending"] > 0:
            tick = calendar.heap[0]["tick"]
            rank = calendar.heap[0]["rank"]
            if from_stream:
                first = arrivals[head["cursor"]]
                from_stream = first["tick"] < tick or (first["tick"] == tick and first["rank"] <= rank)
                if from_stream:
                    tick = first["tick"]
                    rank = first["rank"]
        elif from_stream:
            tick = arrivals[head["cursor"]]["tick"]
            rank = arrivals[head["cursor"]]["rank"]
        else:
            return _IDLE
        if tick > until:
            return _TIME
        if head["spare"] < head["burst"] or len(calendar.heap) - head["pending"] < head["burst"]:
            return _CAPACITY
        if rank >> ROUND_BIT > head["rounds"]:
            head["stop"] = _LIVELOCK
            return _LIVELOCK
        if from_stream:
            head["cursor"] += 1
        else:
            slot = calendar.heap[0]["handle"] & SLOT_MASK
            drop_top(calendar)
            release_slot(calendar, slot)
        head["now"] = tick
        head["round"] = rank >> ROUND_BIT
        head["order"] = (rank >> CLASS_BIT) & 7
        head["events"] += 1
        handler(state, calendar, tick, (rank >> KIND_BIT) & MAX_KIND, rank & MAX_PAYLOAD)
        if head["stop"] != GO_ON:
            return int(head["stop"])


class Run(Generic[State]):
    """A model in play: its records, its calendar, and the compiled entry point that moves both.

    Args:
        advance: the model's entry point `(state, calendar, until) -> reason`.
        state: the model's records: one record array, or a named tuple of a few.
        calendar: what is due.
        grow: returns the state with more room; called when the handler asked for it by `stop(calendar, CAPACITY)`.
        decide: called when the handler asked for it by `stop(calendar, POLICY)`; without it, `advance` returns.
    """

    def __init__(
        self,
        advance: Callable[[State, Calendar, int], int],
        state: State,
        calendar: Calendar,
        *,
        grow: Callable[[State], State] | None = None,
        decide: Callable[[State], None] | None = None,
    ) -> None:
        self.state = state
        self.calendar = calendar
        self._advance = advance
        self._grow = grow
        self._decide = decide

    @property
    def now(self) -> int:
        """Tick of the last event."""
        return int(self.calendar.head["now"][0])

    @property
    def events(self) -> int:
        """Calls of the handler so far."""
        return int(self.calendar.head["events"][0])

    def advance(self, until: int | None = None) -> Reason:
        """Play all events up to and including tick `until` (None: all), growing arrays on the way.

        Returns:
            IDLE, TIME, LIVELOCK, OVERFLOW; POLICY without a `decide` (decide, then call again).

        Raises:
            ArmillaryError: a handler started more timers in one call than the calendar's `burst` allows.
        """
        last = MAX_TICKS if until is None else until
        while True:
            reason = Reason(self._advance(self.state, self.calendar, last))
            if reason == Reason.POLICY and self._decide is not None:
                self._decide(self.state)
            elif reason == Reason.CAPACITY:
                self._make_room()
            else:
                return reason

    def _make_room(self) -> None:
        head, timers = self.calendar.head[0], len(self.calendar.timers)
        if head["refused"]:
            raise ArmillaryError(
                f"a handler started more than {int(head['burst'])} timers in one call, at tick {self.now}; "
                "give its calendar a larger burst"
            )
        asked = head["stop"] == Reason.CAPACITY
        if asked:
            if self._grow is None:
                raise ArmillaryError(
                    f"a handler asked for a larger state at tick {self.now}, and its run has no `grow`"
                )
            self.state = self._grow(self.state)
            return
        short_of_slots = head["spare"] < max(int(head["burst"]), timers // 4)
        self.calendar = grown(self.calendar, 2 * timers if short_of_slots else timers)
