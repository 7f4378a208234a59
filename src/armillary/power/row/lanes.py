"""What lanes do: requests wait, prefill one by one, decode together; training goes round its segments.

In:  a `RowState`, its calendar, a lane or request. Out: records changed, timers started and moved.
While a lane prefills, its decodes stand still. Decode of n requests takes a step of batches[n] plus what their caches
add, one token each; requests end by the count of tokens, so there is an event at each end and none for a token.
"""

from __future__ import annotations

from typing import Any

from armillary.engine._jit import njit
from armillary.engine.calendar import COMPLETION, NO_TIMER, Calendar
from armillary.engine.progress import end_of, left_after, speed_of
from armillary.engine.timers import move, start
from armillary.power.row.records import BRAKE, DECODE, IDLE, NOBODY, PREFILL, TRAINING, RowState
from armillary.power.row.statistics import note

LANE_DONE = 1  # kind of the timer of a lane; payload: the lane


@njit(inner=True)
def clock_mhz(state: RowState, priority: int) -> int:
    """Clock at which servers of a priority run: that of the brake, else their lock, else the highest."""
    if state.actuators[BRAKE]["mhz"] > 0:
        return int(state.row[0]["brake_mhz"])
    lock = state.actuators[priority]["mhz"]
    return int(lock) if lock > 0 else int(state.clocks.shape[0]) - 1


@njit(inner=True)
def arrive(state: RowState, calendar: Calendar, now: int, request: int) -> None:
    """Give a request to the lane of its class with the least to do, or let it queue."""
    state.row[0]["arrived"] += 1
    group = state.classes[state.requests[request]["group"]]
    best, least = NOBODY, group["slots"] + group["buffer"]
    for lane in range(group["first"], group["first"] + group["lanes"]):
        load = state.lanes[lane]["load"]
        if load < least:
            best, least = lane, load
            if load == 0:
                break
    state.requests[request]["next"] = NOBODY
    if best != NOBODY:
        _accept(state, calendar, now, best, request)
    elif group["queued"] == 0:
        group["head"] = group["tail"] = request
        group["queued"] = 1
    else:
        state.requests[group["tail"]]["next"] = request
        group["tail"] = request
        group["queued"] += 1


@njit(inner=True)
def lane_done(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """The present work of a lane is over."""
    lane = state.lanes[index]
    lane["timer"] = NO_TIMER
    if lane["does"] == TRAINING:
        lane["serves"] = state.segments[lane["serves"]]["next"]
        lane["tokens"] += 1.0
        begin_segment(state, calendar, now, index)
        return
    if lane["does"] == PREFILL:
        request = state.requests[lane["serves"]]
        request["finish"] = lane["tokens"] + request["tokens"]
        request["next"] = lane["active"]
        lane["active"] = lane["serves"]
        lane["decoding"] += 1
    else:
        lane["tokens"] = _first_finish(state, index)
    _retire(state, calendar, now, index)
    _go_on(state, calendar, now, index)


@njit(inner=True)
def reclock(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """Go on at the clock that holds now."""
    lane = state.lanes[index]
    _settle(lane, now)
    _work(state, calendar, now, index)


@njit(inner=True)
def begin_segment(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """Begin the segment of a training job that stands in `serves`."""
    lane = state.lanes[index]
    segment = state.segments[lane["serves"]]
    lane["does"] = TRAINING if now < state.row[0]["until"] else IDLE
    lane["left"], lane["bound"], lane["dynamic_mw"] = segment["work"], segment["bound"], segment["dynamic_mw"]
    lane["since"] = now
    _work(state, calendar, now, index)


@njit(inner=True)
def _accept(state: RowState, calendar: Calendar, now: int, index: int, request: int) -> None:
    lane = state.lanes[index]
    if lane["head"] == NOBODY:
        lane["head"] = request
    else:
        state.requests[lane["tail"]]["next"] = request
    lane["tail"] = request
    lane["load"] += 1
    if lane["does"] != PREFILL:
        _settle(lane, now)
        _go_on(state, calendar, now, index)


@njit(inner=True)
def _settle(lane: Any, now: int) -> None:
    """Take off the present work what was done since the last change."""
    if lane["does"] == IDLE:
        return
    left = left_after(lane["left"], lane["speed"], now - lane["since"])
    if lane["does"] == DECODE:
        lane["tokens"] += (lane["left"] - left) / lane["step"]
    lane["left"], lane["since"] = left, now


@njit(inner=True)
def _go_on(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """Begin what comes next in a lane: the prefill of a waiting request, decode, or nothing."""
    lane = state.lanes[index]
    group = state.classes[lane["group"]]
    lane["since"] = now
    if lane["head"] != NOBODY and lane["decoding"] < group["slots"]:
        number = lane["head"]
        request = state.requests[number]
        lane["head"] = request["next"]
        lane["does"], lane["serves"] = PREFILL, number
        lane["left"], lane["bound"] = float(request["prefill"]), request["prefill_bound"]
        lane["dynamic_mw"] = float(request["prefill_mw"])
        if request["started"] < 0:
            request["started"] = now
    elif lane["decoding"] > 0:
        batch = state.batches[group["batches"] + lane["decoding"]]
        step = batch["step"]
        number = lane["active"]
        while number != NOBODY:
            step += state.requests[number]["cache_step"]
            number = state.requests[number]["next"]
        lane["does"], lane["serves"] = DECODE, NOBODY
        lane["step"] = step
        lane["left"] = max(0.0, _first_finish(state, index) - lane["tokens"]) * step
        lane["bound"], lane["dynamic_mw"] = group["decode_bound"], batch["dynamic_mw"]
    else:
        lane["does"], lane["serves"] = IDLE, NOBODY
        lane["tokens"] = 0.0
        lane["dynamic_mw"] = 0.0
    _work(state, calendar, now, index)


@njit(inner=True)
def _work(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """Set speed, power and timer of the present work of a lane."""
    lane = state.lanes[index]
    group = state.classes[lane["group"]]
    clock = state.clocks[clock_mhz(state, group["priority"])]
    power = group["idle_mw"]
    if lane["does"] != IDLE:
        power += group["busy_mw"] + int(lane["dynamic_mw"] * clock["power"] + 0.5)
        lane["speed"] = speed_of(clock["speed"], lane["bound"])
        end = end_of(now, lane["left"], lane["speed"])
        if lane["timer"] == NO_TIMER:
            lane["timer"] = start(calendar, end, COMPLETION, LANE_DONE, index)
        else:
            move(calendar, lane["timer"], end)
    power *= lane["servers"]
    if power != lane["power_mw"]:
        note(state, now, state.row[0]["power_mw"] + power - lane["power_mw"])
        lane["power_mw"] = power


@njit(inner=True)
def _first_finish(state: RowState, index: int) -> float:
    """Count of tokens at which the first of the requests in decode is done."""
    number = state.lanes[index]["active"]
    first = state.requests[number]["finish"]
    while number != NOBODY:
        first = min(first, state.requests[number]["finish"])
        number = state.requests[number]["next"]
    return float(first)


@njit(inner=True)
def _retire(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """Let go the requests whose tokens are all there, and take as many from the queue of the class."""
    lane = state.lanes[index]
    group = state.classes[lane["group"]]
    number, before = lane["active"], NOBODY
    while number != NOBODY:
        request = state.requests[number]
        following = request["next"]
        if request["finish"] <= lane["tokens"]:
            if before == NOBODY:
                lane["active"] = following
            else:
                state.requests[before]["next"] = following
            request["ended"] = now
            lane["decoding"] -= 1
            lane["load"] -= 1
            state.row[0]["done"] += 1
        else:
            before = number
        number = following
    while group["queued"] > 0 and lane["load"] < group["slots"] + group["buffer"]:
        waiting = group["head"]
        group["head"] = state.requests[waiting]["next"]
        group["queued"] -= 1
        state.requests[waiting]["next"] = NOBODY
        if lane["head"] == NOBODY:
            lane["head"] = waiting
        else:
            state.requests[lane["tail"]]["next"] = waiting
        lane["tail"] = waiting
        lane["load"] += 1
