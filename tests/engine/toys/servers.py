"""Servers whose clock is capped in mid-request, on `drive` and on `simulate`: the power ring in small.

In:  arrivals and work of requests, a number of servers, caps (tick, speed factor) that hold for all of them; or a
     policy that sees the servers in use every `period` ticks and sets the factor, which lands `lag` ticks later.
Out: start and end per request. One FIFO queue; a request has sensitivity b: speed = 1 / (b / factor + 1 - b).
Without caps this is M/G/c, so the closed forms of queueing hold for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from armillary.engine import GraphBuilder, TaskGraph
from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import (
    CALENDAR,
    CHANGE,
    COMPLETION,
    INT64,
    NO_TIMER,
    POLICY,
    Calendar,
    Stream,
    new_calendar,
)
from armillary.engine.deciding import LEAVE, Decider, ask, decide, new_decider
from armillary.engine.drive import drive
from armillary.engine.policy import policy
from armillary.engine.timers import move, start, ticks_up
from armillary.testing.models import Listing, Model

SERVED, ARRIVES, CAP_LANDS, DECIDES, COMMAND_LANDS = range(5)

QUEUE = np.dtype(
    [
        ("arrived", np.int64),
        ("begun", np.int64),
        ("busy", np.int64),
        ("lag", np.int64),
        ("speed", np.float64),
        ("b", np.float64),
    ]
)
SERVER = np.dtype([("request", np.int64), ("left", np.float64), ("since", np.int64), ("timer", np.int64)])
REQUEST = np.dtype([("work", np.int64), ("arrival", np.int64), ("start", np.int64), ("end", np.int64)])
NOBODY = -1


class Servers(NamedTuple):
    queue: Any  # shape (1,)
    servers: Any
    requests: Any  # in order of arrival
    factors: Any  # of caps, shape (caps,)
    decider: Decider


@policy(state=np.dtype([("most", np.int64), ("capped", np.int64)]))
def spare_the_breaker(seen: Any, state: Any, command: Any) -> None:
    """Half speed while more servers are in use than the row can feed."""
    state["capped"] = 1 if seen[0]["busy"] > state["most"] else 0
    command[0]["rate_ppm"] = 500_000 if state["capped"] else 1_000_000


SERVERS = type_of(
    Servers(
        np.zeros(1, QUEUE),
        np.zeros(1, SERVER),
        np.zeros(1, REQUEST),
        np.zeros(1),
        new_decider(spare_the_breaker, compiled=False),
    )
)


@njit()
def begin(state: Servers, calendar: Calendar, now: int) -> None:
    """Let idle servers take waiting requests, the lowest server first."""
    queue = state.queue[0]
    index = 0
    while queue["begun"] < queue["arrived"] and queue["busy"] < len(state.servers):
        while state.servers[index]["request"] != NOBODY:
            index += 1
        request = state.requests[queue["begun"]]
        server = state.servers[index]
        server["request"] = queue["begun"]
        server["left"] = float(request["work"])
        server["since"] = now
        server["timer"] = start(calendar, now + ticks_up(server["left"] / queue["speed"]), COMPLETION, SERVED, index)
        request["start"] = now
        queue["begun"] += 1
        queue["busy"] += 1


@njit()
def set_factor(state: Servers, calendar: Calendar, now: int, factor: float) -> None:
    """Settle the work of running requests at the old speed and let them end by the new one."""
    queue = state.queue[0]
    speed = 1.0 / (queue["b"] / factor + 1.0 - queue["b"])
    for index in range(len(state.servers)):
        server = state.servers[index]
        if server["request"] != NOBODY:
            server["left"] = max(0.0, server["left"] - (now - server["since"]) * queue["speed"])
            server["since"] = now
            move(calendar, server["timer"], now + ticks_up(server["left"] / speed))
    queue["speed"] = speed


@njit()
def handle(state: Servers, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    if kind == ARRIVES:
        state.queue[0]["arrived"] += 1
        begin(state, calendar, now)
    elif kind == SERVED:
        server = state.servers[payload]
        state.requests[server["request"]]["end"] = now
        server["request"] = NOBODY
        server["timer"] = NO_TIMER
        state.queue[0]["busy"] -= 1
        begin(state, calendar, now)
    elif kind == CAP_LANDS:
        set_factor(state, calendar, now, state.factors[payload])
    elif kind == DECIDES:
        state.decider.seen[0]["busy"] = state.queue[0]["busy"]
        ask(calendar, state.decider)
        start(calendar, now + state.queue[0]["lag"], CHANGE, COMMAND_LANDS, 0)
    elif state.decider.command[0]["rate_ppm"] != LEAVE:
        set_factor(state, calendar, now, state.decider.command[0]["rate_ppm"] / 1e6)


@njit(INT64(SERVERS, CALENDAR, INT64))
def advance(state: Servers, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)


def new_servers(
    arrival: Any,
    work: Any,
    servers: int,
    caps: tuple[tuple[int, float], ...] = (),
    sensitivity: float = 1.0,
    *,
    decider: Decider | None = None,
    period: int = 0,
    lag: int = 0,
) -> tuple[Servers, Calendar]:
    """Requests may be listed in any order: they are served by (arrival, work)."""
    requests = np.zeros(len(arrival), REQUEST)
    order = np.lexsort((work, arrival))
    requests["arrival"], requests["work"] = arrival[order], work[order]
    requests["start"] = requests["end"] = -1
    decider = decider or new_decider(spare_the_breaker, compiled=False)
    factors = np.array([factor for _, factor in caps], np.float64)
    state = Servers(np.zeros(1, QUEUE), np.zeros(servers, SERVER), requests, factors, decider)
    state.queue["speed"], state.queue["b"], state.queue["lag"] = 1.0, sensitivity, lag
    state.servers["request"], state.servers["timer"] = NOBODY, NO_TIMER
    streams = [
        Stream(ARRIVES, requests["arrival"]),
        Stream(CAP_LANDS, np.array([tick for tick, _ in caps], np.int64), order=CHANGE),
    ]
    if period:
        streams.append(Stream(DECIDES, np.arange(period, 2 * int(arrival.max()), period), order=POLICY))
    return state, new_calendar(streams, timers=2 * servers, burst=servers + 1)


def as_graph(requests: Any, servers: int, caps: tuple[tuple[int, float], ...], sensitivity: float) -> TaskGraph:
    """The same as a task graph: one server resource a request could wait for, timed changes for the caps."""
    builder = GraphBuilder()
    row = builder.server("row", units=servers)
    count = len(requests)
    tasks = builder.tasks(count, duration=requests["work"], release=requests["arrival"], sensitivity=sensitivity)
    builder.demand(tasks, row)
    for tick, factor in caps:
        builder.change(tick, row, factor)
    return builder.build()


def build(seed: int, listing: Listing) -> tuple[Servers, Calendar]:
    """Tiny integer times, so that ties abound; several caps."""
    rng = np.random.default_rng(seed)
    count = 400
    arrival, work = rng.integers(0, 3 * count, count), rng.integers(0, 12, count)
    caps = tuple(
        (int(tick), float(f))
        for tick, f in zip(rng.integers(1, 3 * count, 40), rng.choice([0.5, 0.7, 1.0, 1.3], 40), strict=True)
    )
    rows = listing(count)
    return new_servers(arrival[rows], work[rows], 3, caps, 0.8)


def broken(state: Servers) -> list[str]:
    queue, ended = state.queue[0], int((state.requests["end"] >= 0).sum())
    laws = {
        "requests begun = ended + in service": queue["begun"] == ended + queue["busy"],
        "no server idles while a request waits": queue["begun"] == queue["arrived"]
        or queue["busy"] == len(state.servers),
        "servers in use = requests in service": queue["busy"] == int((state.servers["request"] != NOBODY).sum()),
    }
    return [law for law, holds in laws.items() if not holds]


def outcome(state: Servers) -> dict[str, Any]:
    return {name: state.requests[name] for name in ("arrival", "work", "start", "end")}


MODEL = Model(build, advance, outcome, broken)


def build_capped(seed: int, listing: Listing) -> tuple[Servers, Calendar]:
    rng = np.random.default_rng(seed)
    rows = listing(300)
    arrival, work = rng.integers(0, 900, 300), rng.integers(0, 14, 300)
    decider = new_decider(spare_the_breaker, most=3)
    return new_servers(arrival[rows], work[rows], 4, sensitivity=0.8, decider=decider, period=10, lag=7)


def decide_capped(state: Servers) -> None:
    decide(spare_the_breaker, state.decider)


CAPPED = Model(build_capped, advance, outcome, broken, decide=decide_capped)
