"""Arbiters in the kernel: trains of bytes served quantum by quantum (docs/engine.md, section 7).

In:  trains that arrive, leave or are cancelled. Out: ends of trains.
While only one class has backlog an arbiter's future is known up to the end of its next train: no event is scheduled
before that, and `catch_up` plays the quanta in between in a bare loop when somebody looks. Otherwise each is an event.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
from armillary.engine.heap import add_ticks, push, sort_ids
from armillary.engine.steps import end_part, touch

MAX_TICKS = 2**62
FIFO, ROUND_ROBIN, THRESHOLD = range(3)


@njit(inner=True)
def take_trains(s: Any, now: int) -> None:
    """Let the trains of this round arrive, in ascending task id."""
    clock = s.clock
    sort_ids(s.trains, clock[at.TRAINS])
    for place in range(clock[at.TRAINS]):
        flow = s.trains[place]
        moving, train = s.flows[flow], s.train[flow]
        index = wide(s.resources[s.crosses[moving["cross"]]["link"]]["arbiter"])
        arbiter = s.arbiters[index]
        catch_up(s, index, now)
        quanta = max(1, add_ticks(wide(0), moving["bytes"] / arbiter["quantum"]))
        train["quanta"], train["rest"] = quanta, moving["bytes"] - (quanta - 1) * arbiter["quantum"]
        train["number"], train["next"] = arbiter["arrivals"], -1
        arbiter["arrivals"] += 1
        arbiter["trains"] += 1
        arbiter["backlog"] += moving["bytes"]
        traffic = s.traffic[index * clock[at.CLASSES] + train["traffic_class"]]
        if traffic["head"] < 0:
            traffic["head_since"] = now
            traffic["head"] = flow
        else:
            s.train[traffic["tail"]]["next"] = flow
        traffic["tail"] = flow
        touch(s, wide(arbiter["resource"]))
    clock[at.TRAINS] = 0


@njit(inner=True)
def end_quantum(s: Any, index: int, now: int) -> None:
    """The event of an arbiter: the quantum in service ends now."""
    catch_up(s, index, now)
    s.arbiters[index]["due"] = at.NEVER


@njit(inner=True)
def settle_arbiter(s: Any, index: int, now: int) -> None:
    """Issue, begin service, and schedule the next event of a touched arbiter."""
    catch_up(s, index, now)
    issue(s, index, now)
    begin(s, index, now)
    schedule(s, index)


@njit(inner=True)
def catch_up_all(s: Any, now: int) -> None:
    """Bring all arbiters to the end of tick `now`: a caller may look at them or change them."""
    for index in range(s.arbiters.shape[0]):
        play_until(s, index, now + 1)


@njit(inner=True)
def catch_up(s: Any, index: int, now: int) -> None:
    """Play the quanta nobody has looked at; one that ends now belongs to phase 1 of the first round of this tick."""
    arbiter = s.arbiters[index]
    if s.clock[at.TICK_ROUNDS] > 1:
        play_until(s, index, now + 1)
        return
    play_until(s, index, now)
    if arbiter["service_end"] == now:
        finish(s, index)
        touch(s, wide(arbiter["resource"]))


@njit(inner=True)
def play_until(s: Any, index: int, before: int) -> None:
    """Serve and issue quantum after quantum while they end before tick `before`."""
    arbiter = s.arbiters[index]
    while arbiter["service_end"] < before:
        now = arbiter["service_end"]
        finish(s, index)
        issue(s, index, now)
        begin(s, index, now)


@njit(inner=True)
def finish(s: Any, index: int) -> None:
    """The quantum in service leaves the device queue; with its last quantum a train is through."""
    arbiter, depth = s.arbiters[index], s.clock[at.DEPTH]
    quantum = s.quanta[index * depth + arbiter["first"]]
    arbiter["first"] = (arbiter["first"] + 1) % depth
    arbiter["count"] -= 1
    arbiter["service_end"] = at.NEVER
    if quantum["last"] != 0 and quantum["flow"] >= 0:
        arbiter["trains"] -= 1
        s.flows[quantum["flow"]]["present"] = 0
        end_part(s, wide(s.flows[quantum["flow"]]["task"]))


@njit(inner=True)
def issue(s: Any, index: int, now: int) -> None:
    """Move quanta of the backlog to the device queue while the discipline gives a class."""
    clock, arbiter, depth = s.clock, s.arbiters[index], s.clock[at.DEPTH]
    first_class = index * clock[at.CLASSES]
    while arbiter["count"] < arbiter["depth"]:
        chosen = choose(s, index, now)
        if chosen < 0:
            return
        traffic = s.traffic[first_class + chosen]
        flow = traffic["head"]
        train = s.train[flow]
        quantum = s.quanta[index * depth + (arbiter["first"] + arbiter["count"]) % depth]
        arbiter["count"] += 1
        train["quanta"] -= 1
        last = train["quanta"] == 0
        quantum["flow"], quantum["traffic_class"], quantum["last"] = flow, chosen, last
        quantum["bytes"] = train["rest"] if last else arbiter["quantum"]
        arbiter["backlog"] -= quantum["bytes"]
        if last:
            traffic["head"] = train["next"]
        traffic["head_since"] = now
        arbiter["last_class"] = chosen
        close_backlog(s, index)


@njit(inner=True)
def close_backlog(s: Any, index: int) -> None:
    """Without backlog its sum is zero, whatever rounding has left."""
    first_class = index * s.clock[at.CLASSES]
    for number in range(s.clock[at.CLASSES]):
        if s.traffic[first_class + number]["head"] >= 0:
            return
    s.arbiters[index]["backlog"] = 0.0


@njit(inner=True)
def choose(s: Any, index: int, now: int) -> int:
    """Return the traffic class that is issued next, or -1 for none."""
    arbiter, classes = s.arbiters[index], s.clock[at.CLASSES]
    first_class = index * classes
    chosen = -1
    if arbiter["discipline"] == FIFO:
        for number in range(classes):
            head = s.traffic[first_class + number]["head"]
            if head >= 0 and (
                chosen < 0 or s.train[head]["number"] < s.train[s.traffic[first_class + chosen]["head"]]["number"]
            ):
                chosen = number
        return chosen
    if arbiter["discipline"] == ROUND_ROBIN:
        for step in range(classes):
            number = (arbiter["last_class"] + 1 + step) % classes
            if s.traffic[first_class + number]["head"] >= 0:
                return wide(number)
        return -1
    for number in range(1, classes):
        traffic = s.traffic[first_class + number]
        if traffic["head"] >= 0:
            if now - traffic["head_since"] >= arbiter["age_limit"]:
                return number
            if chosen < 0:
                chosen = number
    if s.traffic[first_class]["head"] >= 0:
        return 0
    return chosen if arbiter["count"] < arbiter["threshold"] else -1


@njit(inner=True)
def service_ticks(s: Any, index: int, traffic_class: int, size: float) -> int:
    """Return the ticks that serving a quantum takes at the present capacity."""
    ticks = size * s.traffic[index * s.clock[at.CLASSES] + traffic_class]["cost"] / s.arbiters[index]["per_tick"]
    return add_ticks(wide(0), max(1.0, ticks))


@njit(inner=True)
def begin(s: Any, index: int, now: int) -> None:
    """Begin to serve the first quantum of the device queue if the device is idle."""
    arbiter = s.arbiters[index]
    if arbiter["service_end"] != at.NEVER or arbiter["count"] == 0:
        return
    quantum = s.quanta[index * s.clock[at.DEPTH] + arbiter["first"]]
    ticks = service_ticks(s, index, wide(quantum["traffic_class"]), quantum["bytes"])
    if ticks > MAX_TICKS - now:
        s.clock[at.FAILED] = s.flows[max(0, quantum["flow"])]["task"] + 1
        return
    arbiter["service_end"] = now + ticks


@njit(inner=True)
def schedule(s: Any, index: int) -> None:
    """Schedule the next event: the next quantum's end, or the next train's while one class alone has backlog."""
    clock, arbiter = s.clock, s.arbiters[index]
    due = arbiter["service_end"]
    if due != at.NEVER:
        backlogged, only = 0, wide(-1)
        for number in range(clock[at.CLASSES]):
            if s.traffic[index * clock[at.CLASSES] + number]["head"] >= 0:
                backlogged, only = backlogged + 1, number
        if backlogged <= 1:
            due = end_of_next_train(s, index, only)
    if due != arbiter["due"]:
        arbiter["due"] = due
        if due != at.NEVER:
            push(s, due, at.ARBITER_KEY + wide(index))


@njit(inner=True)
def end_of_next_train(s: Any, index: int, only: int) -> int:
    """Return when the next train is through, given that nothing but class `only` is issued until then."""
    arbiter, depth = s.arbiters[index], s.clock[at.DEPTH]
    now = arbiter["service_end"]
    for place in range(arbiter["count"]):
        quantum = s.quanta[index * depth + (arbiter["first"] + place) % depth]
        if place > 0:
            now += service_ticks(s, index, wide(quantum["traffic_class"]), quantum["bytes"])
        if now > MAX_TICKS:
            return wide(arbiter["service_end"])
        if quantum["last"] != 0 and quantum["flow"] >= 0:
            return wide(now)
    if only < 0:
        return wide(arbiter["service_end"])
    train = s.train[s.traffic[index * s.clock[at.CLASSES] + only]["head"]]
    whole = service_ticks(s, index, only, arbiter["quantum"])
    rest = service_ticks(s, index, only, train["rest"])
    if float(train["quanta"]) * whole + rest > 4.0e18 - now:
        return wide(arbiter["service_end"])
    return wide(now + (train["quanta"] - 1) * whole + rest)


@njit(inner=True)
def cancel_train(s: Any, flow: int, now: int) -> None:
    """Forget what was not issued of a train; issued quanta are served for nobody."""
    clock, moving, train = s.clock, s.flows[flow], s.train[flow]
    moving["present"] = 0
    index = wide(s.resources[s.crosses[moving["cross"]]["link"]]["arbiter"])
    arbiter, depth = s.arbiters[index], clock[at.DEPTH]
    for place in range(clock[at.TRAINS]):
        if s.trains[place] == flow:  # launched in this round, not yet arrived
            clock[at.TRAINS] -= 1
            s.trains[place] = s.trains[clock[at.TRAINS]]
            return
    arbiter["trains"] -= 1
    for place in range(arbiter["count"]):
        quantum = s.quanta[index * depth + (arbiter["first"] + place) % depth]
        if quantum["flow"] == flow:
            quantum["flow"] = -1
    if train["quanta"] > 0:
        arbiter["backlog"] -= (train["quanta"] - 1) * arbiter["quantum"] + train["rest"]
        traffic = s.traffic[index * clock[at.CLASSES] + train["traffic_class"]]
        before, here = -1, traffic["head"]
        while here != flow:
            before, here = here, s.train[here]["next"]
        if before < 0:
            traffic["head"] = train["next"]
        else:
            s.train[before]["next"] = train["next"]
        if traffic["tail"] == flow:
            traffic["tail"] = before
        close_backlog(s, index)
    touch(s, wide(arbiter["resource"]))
