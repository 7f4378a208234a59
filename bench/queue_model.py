"""One server and a FIFO queue on `drive`: the smallest request-driven model, with a generic handler and timers.

In:  arrival ticks (ascending) and service times, shape (customers,). Out: `Run`, whose state has when each left.
Compiles at import, like every kernel module: import inside functions only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import CALENDAR, COMPLETION, INT64, Calendar, Stream, new_calendar
from armillary.engine.drive import Run, drive
from armillary.engine.timers import start

SERVED, ARRIVES = 0, 1
HEAD = np.dtype([("present", np.int64), ("served", np.int64)])


class Queue(NamedTuple):
    head: Any  # shape (1,)
    service: Any
    left: Any  # tick at which each customer left


QUEUE = type_of(Queue(np.zeros(1, HEAD), np.zeros(1, np.int64), np.zeros(1, np.int64)))


@njit()
def handle(state: Queue, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    queue = state.head[0]
    if kind == ARRIVES:
        queue["present"] += 1
        if queue["present"] == 1:
            start(calendar, now + state.service[queue["served"]], COMPLETION, SERVED, 0)
    else:
        state.left[queue["served"]] = now
        queue["present"] -= 1
        queue["served"] += 1
        if queue["present"] > 0:
            start(calendar, now + state.service[queue["served"]], COMPLETION, SERVED, 0)


@njit(INT64(QUEUE, CALENDAR, INT64))
def advance(state: Queue, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)


def new_run(arrival: Any, service: Any) -> Run[Queue]:
    state = Queue(np.zeros(1, HEAD), service, np.full(len(arrival), -1))
    return Run(advance, state, new_calendar([Stream(ARRIVES, arrival)], burst=1))
