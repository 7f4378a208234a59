"""A model that does everything a handler may do, at random, and its oracle: the rules of docs/drive.md on a plain list.

In:  a seed; two operations an event on eight named timers, with spans so short that most events tie.
Out: the log of events (tick, round, class, kind, payload), from `drive` and from the oracle.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from armillary.engine import Reason
from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import CALENDAR, INT64, NO_TIMER, Calendar, Stream, new_calendar
from armillary.engine.drive import drive
from armillary.engine.hash import below
from armillary.engine.timers import cancel, deadline, move, start, stop
from armillary.testing.models import Listing, Model

TIMERS, EVENTS, MARGIN = 8, 400, 4
CAPACITY, POLICY = int(Reason.CAPACITY), int(Reason.POLICY)
SPANS = (0, 0, 0, 1, 1, 2, 3, 40)

EVENT = np.dtype([(name, np.int64) for name in ("tick", "round", "order", "kind", "payload")])
COUNTS = np.dtype([("seed", np.int64), ("events", np.int64), ("decisions", np.int64), ("live", np.int64)])


class Script(NamedTuple):
    counts: Any  # shape (1,)
    timers: Any  # handles
    log: Any


SCRIPT = type_of(Script(np.zeros(1, COUNTS), np.zeros(1, np.int64), np.zeros(1, EVENT)))


@njit()
def draw(seed: int, event: int, stream: int, bound: int) -> int:
    return below(bound, seed, 1, event, stream)


@njit()
def handle(state: Script, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    counts, head = state.counts[0], calendar.head[0]
    event = counts["events"]
    counts["events"] = event + 1
    row = state.log[event]
    row["tick"] = now
    row["round"] = head["round"]
    row["order"] = head["order"]
    row["kind"] = kind
    row["payload"] = payload
    seed = counts["seed"]
    if event < EVENTS:
        for at in range(0, 20, 10):
            name = draw(seed, event, at, TIMERS)
            operation = draw(seed, event, at + 1, 8)
            tick = now + SPANS[draw(seed, event, at + 2, 8)]
            if operation < 4:
                cancel(calendar, state.timers[name])
                order = draw(seed, event, at + 3, 6)
                state.timers[name] = start(calendar, tick, order, draw(seed, event, at + 4, 3), name)
            elif operation < 7:
                move(calendar, state.timers[name], tick)
            else:
                cancel(calendar, state.timers[name])
    counts["live"] = 0
    for name in range(TIMERS):
        if deadline(calendar, state.timers[name]) >= 0:
            counts["live"] += 1
    if len(state.log) - counts["events"] < MARGIN:
        stop(calendar, CAPACITY)
    elif draw(seed, event, 30, 16) == 0:
        stop(calendar, POLICY)


@njit(INT64(SCRIPT, CALENDAR, INT64))
def advance(state: Script, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)


def arrivals(seed: int) -> list[tuple[int, int, int, int]]:
    """Known events as (tick, class, kind, payload): some hundred over the length of the script."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 120, 100), rng.integers(2, 6, 100), rng.integers(0, 3, 100), rng.integers(0, 4, 100)
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


def build(seed: int, listing: Listing) -> tuple[Script, Calendar]:
    counts = np.zeros(1, COUNTS)
    counts["seed"] = seed
    rows = np.array(arrivals(seed))[listing(100)]
    streams = []
    for order, kind in sorted({(int(row[1]), int(row[2])) for row in rows}):
        part = rows[(rows[:, 1] == order) & (rows[:, 2] == kind)]
        streams.append(Stream(kind, part[:, 0], part[:, 3], order))
    state = Script(counts, np.full(TIMERS, NO_TIMER), np.zeros(2 * MARGIN, EVENT))
    return state, new_calendar(streams, timers=4, burst=2)


def grow(state: Script) -> Script:
    return state._replace(log=np.concatenate([state.log, np.zeros(len(state.log), EVENT)]))


def decide(state: Script) -> None:
    state.counts["decisions"] += 1


def broken(state: Script) -> list[str]:
    return [] if 0 <= state.counts["live"][0] <= TIMERS else ["live timers are named ones"]


def outcome(state: Script) -> dict[str, Any]:
    log = state.log[: int(state.counts["events"][0])]
    return {**{name: log[name] for name in EVENT.names or ()}, "decisions": state.counts["decisions"]}


MODEL = Model(build, advance, outcome, broken, grow=grow, decide=decide)


def expected(seed: int) -> list[tuple[int, int, int, int, int]]:
    """The log by the rules of docs/drive.md, section 2 and 3, read literally."""
    known = [(tick, 0, order, kind, payload) for tick, order, kind, payload in arrivals(seed)]
    pending: dict[int, tuple[int, int, int, int, int]] = {}
    log: list[tuple[int, int, int, int, int]] = []
    while known or pending:
        key = min([*known, *pending.values()])
        if key in known:
            known.remove(key)
        else:
            del pending[next(name for name, due in pending.items() if due == key)]
        now, turn, order_now, _, _ = key
        event = len(log)
        log.append(key)
        for at in (0, 10) if event < EVENTS else ():
            name, operation = draw(seed, event, at, TIMERS), draw(seed, event, at + 1, 8)
            tick = now + SPANS[draw(seed, event, at + 2, 8)]
            due = pending.pop(name, None)
            if operation < 4:
                order, kind = draw(seed, event, at + 3, 6), draw(seed, event, at + 4, 3)
            elif operation < 7 and due is not None:
                order, kind = due[2], due[3]
            else:
                continue
            later = 0 if tick > now else turn if order > order_now else turn + 1
            pending[name] = (tick, later, order, kind, name)
    return log
