"""Functions with keep-alive timers and one shared pool of pods, on `drive`: the serverless ring in small.

In:  requests (tick, function, run time), pods in the pool, start-up ticks, keep-alive ticks.
Out: per request its begin and whether it met a cold start; the number of pods that serve, as a step function.
A warm pod of the function takes a request; else a new pod is started if the pool has one; else the request waits.
Every request moves the keep-alive timer of its pod: one field write. An expired pod returns to the pool.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import CALENDAR, COMPLETION, INT64, NO_TIMER, RELEASE, Calendar, Stream, new_calendar
from armillary.engine.drive import drive
from armillary.engine.recorder import new_recorder, record, taken_steps
from armillary.engine.timers import move, start
from armillary.testing.models import Listing, Model

SERVED, EXPIRES, ARRIVES = 0, 1, 2
NOBODY = -1

PLATFORM = np.dtype([(n, np.int64) for n in ("keep", "cold", "arrived", "served", "live", "serving", "first", "last")])
POD = np.dtype([("function", np.int64), ("request", np.int64), ("timer", np.int64)])
REQUEST = np.dtype([(n, np.int64) for n in ("tick", "function", "span", "begin", "cold", "next")])


class Platform(NamedTuple):
    platform: Any  # shape (1,); first and last are the ends of the list of waiting requests
    pods: Any  # shape (pods of the pool,)
    requests: Any
    recorder: Any


PLATFORM_TYPE = type_of(
    Platform(np.zeros(1, PLATFORM), np.zeros(1, POD), np.zeros(1, REQUEST), new_recorder(1, room=1))
)


@njit()
def serve(state: Platform, calendar: Calendar, now: int, pod_index: int, request_index: int, cold: int) -> None:
    platform, pod, request = state.platform[0], state.pods[pod_index], state.requests[request_index]
    request["begin"] = now
    request["cold"] = cold
    pod["request"] = request_index
    pod["function"] = request["function"]
    end = now + cold * platform["cold"] + request["span"]
    start(calendar, end, COMPLETION, SERVED, pod_index)
    if not move(calendar, pod["timer"], end + platform["keep"]):
        pod["timer"] = start(calendar, end + platform["keep"], RELEASE, EXPIRES, pod_index)
    platform["serving"] += 1
    record(state.recorder, 0, now, platform["serving"])


@njit()
def pod_for(state: Platform, function: int) -> int:
    """The first idle pod of the function, else (as -2 - pod) the first of the pool, else NOBODY."""
    free = NOBODY
    for index in range(len(state.pods)):
        pod = state.pods[index]
        if pod["function"] == function and pod["request"] == NOBODY:
            return index
        if pod["function"] == NOBODY and free == NOBODY:
            free = -2 - index
    return free


@njit()
def place(state: Platform, calendar: Calendar, now: int, request_index: int) -> bool:
    pod = pod_for(state, state.requests[request_index]["function"])
    if pod == NOBODY:
        return False
    if pod < NOBODY:
        state.platform[0]["live"] += 1
        serve(state, calendar, now, -2 - pod, request_index, 1)
    else:
        serve(state, calendar, now, pod, request_index, 0)
    return True


@njit()
def place_waiting(state: Platform, calendar: Calendar, now: int) -> None:
    """One pod has become free: place the first waiting request that can use it."""
    platform = state.platform[0]
    before, request = NOBODY, platform["first"]
    while request != NOBODY:
        after = state.requests[request]["next"]
        if place(state, calendar, now, request):
            if before == NOBODY:
                platform["first"] = after
            else:
                state.requests[before]["next"] = after
            if after == NOBODY:
                platform["last"] = before
            return
        before, request = request, after


@njit()
def handle(state: Platform, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    platform = state.platform[0]
    if kind == ARRIVES:
        platform["arrived"] += 1
        if not place(state, calendar, now, payload):
            if platform["last"] == NOBODY:
                platform["first"] = payload
            else:
                state.requests[platform["last"]]["next"] = payload
            platform["last"] = payload
    elif kind == SERVED:
        state.pods[payload]["request"] = NOBODY
        platform["served"] += 1
        platform["serving"] -= 1
        record(state.recorder, 0, now, platform["serving"])
        place_waiting(state, calendar, now)
    else:
        state.pods[payload]["function"] = NOBODY
        state.pods[payload]["timer"] = NO_TIMER
        platform["live"] -= 1
        place_waiting(state, calendar, now)


@njit(INT64(PLATFORM_TYPE, CALENDAR, INT64))
def advance(state: Platform, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)


def new_platform(tick: Any, function: Any, span: Any, *, pods: int, cold: int, keep: int) -> tuple[Platform, Calendar]:
    """Requests may be listed in any order: they are numbered by (tick, function, span)."""
    requests = np.zeros(len(tick), REQUEST)
    order = np.lexsort((span, function, tick))
    requests["tick"], requests["function"], requests["span"] = tick[order], function[order], span[order]
    requests["begin"], requests["next"] = -1, NOBODY
    state = Platform(np.zeros(1, PLATFORM), np.zeros(pods, POD), requests, new_recorder(1, room=2 * len(tick)))
    state.platform["keep"], state.platform["cold"] = keep, cold
    state.platform["first"] = state.platform["last"] = NOBODY
    state.pods["function"], state.pods["request"], state.pods["timer"] = NOBODY, NOBODY, NO_TIMER
    return state, new_calendar([Stream(ARRIVES, requests["tick"])], timers=4, burst=2)


def build(seed: int, listing: Listing) -> tuple[Platform, Calendar]:
    """Tiny integer times, so that ties abound; a pool that runs dry."""
    rng = np.random.default_rng(seed)
    count = 500
    rows = listing(count)
    tick, function, span = rng.integers(0, 900, count), rng.integers(0, 6, count), rng.integers(0, 9, count)
    return new_platform(tick[rows], function[rows], span[rows], pods=5, cold=4, keep=10)


def broken(state: Platform) -> list[str]:
    platform, pods = state.platform[0], state.pods
    waiting, request = 0, int(platform["first"])
    while request != NOBODY:
        waiting, request = waiting + 1, int(state.requests[request]["next"])
    laws = {
        "arrived = served + in service + waiting": platform["arrived"]
        == platform["served"] + platform["serving"] + waiting,
        "live pods are those that have a function": platform["live"] == int((pods["function"] != NOBODY).sum()),
        "a pod that serves is never deleted": not np.any((pods["request"] != NOBODY) & (pods["function"] == NOBODY)),
        "nobody waits while the pool has a pod": waiting == 0 or platform["live"] == len(pods),
    }
    return [law for law, holds in laws.items() if not holds]


def outcome(state: Platform) -> dict[str, Any]:
    names = ("tick", "function", "span", "begin", "cold")
    return {**{name: state.requests[name] for name in names}, "steps": taken_steps(state.recorder)}


MODEL = Model(build, advance, outcome, broken)
