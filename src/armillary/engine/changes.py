"""Changes to a run in the kernel: rate factors, capacities, thresholds, and cancelling.

In:  `State`, a resource and its new value, or a task. Out: running work and flows are rescheduled, rate steps recorded.
Rules: docs/engine.md, sections 6, 8 and 9.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
from armillary.engine.arbiters import cancel_train, catch_up
from armillary.engine.events import sweep
from armillary.engine.heap import add_ticks, push
from armillary.engine.links import advance_link, leave_flow
from armillary.engine.queues import enqueue, mark_dirty
from armillary.engine.steps import count_down, satisfy, touch

MAX_TICKS = 2**62
PENDING, QUEUED, RUNNING, DONE, CANCELLED = range(5)
SERVER, POOL, LINK, ARBITER = range(4)


@njit(inner=True)
def set_value(s: Any, index: int, value: float, now: int) -> None:
    """Set the rate factor of a server or the capacity of a link or arbiter, if that is a change."""
    resource = s.resources[index]
    if resource["kind"] == SERVER:
        if resource["rate"] == value:
            return
        resource["rate"] = value
        sweep(s)
        task = wide(resource["running"])
        while task >= 0:
            change_speed(s, task, value, now)
            task = wide(s.work[task]["behind"])
    else:
        if resource["capacity"] == value:
            return
        resource["capacity"] = value
        if resource["kind"] == ARBITER:
            catch_up(s, wide(resource["arbiter"]), now)
            s.arbiters[resource["arbiter"]]["per_tick"] = value * s.tick_s[0]
        else:
            if s.links[index]["general"] == 0:
                advance_link(s.links[index], now)
            s.links[index]["per_tick"] = value * s.tick_s[0]
        touch(s, index)
    step = s.steps[s.clock[at.STEPS]]
    step["tick"], step["resource"], step["value"] = now, index, value
    s.clock[at.STEPS] += 1


@njit(inner=True)
def change_speed(s: Any, task: int, rate: float, now: int) -> None:
    """Reschedule the work of a running task under a new rate factor."""
    work = s.work[task]
    if work["end"] < 0 or work["end"] == at.NEVER:
        return  # its work is over, or it has none
    b = work["sensitivity"]
    speed = 1.0 if rate == 1.0 or b == 0.0 else 1.0 / (b / rate + 1.0 - b)
    if speed == work["speed"]:
        return
    if now > work["since"]:
        work["left"] = max(0.0, work["left"] - (now - work["since"]) * work["speed"])
        work["since"] = now
    work["speed"] = speed
    end = add_ticks(work["since"], work["left"] / speed)
    if end > MAX_TICKS:
        s.clock[at.FAILED] = task + 1
    work["end"] = end
    push(s, end, 4 * task + at.WORK_PART)


@njit(inner=True)
def apply_commands(s: Any, now: int) -> None:
    """Let a policy's commands take effect; what a resource cannot take is no change."""
    for index in range(s.resources.shape[0]):
        resource, command = s.resources[index], s.command[index]
        if resource["kind"] == SERVER and command["rate_ppm"] > 0:
            set_value(s, index, command["rate_ppm"] / 1e6, now)
        if (resource["kind"] == LINK and command["capacity"] >= 0) or (
            resource["kind"] == ARBITER and command["capacity"] > 0
        ):
            set_value(s, index, float(command["capacity"]), now)
        if resource["kind"] == ARBITER and command["threshold"] >= 1:
            arbiter = s.arbiters[resource["arbiter"]]
            threshold = min(command["threshold"], 2**31 - 1)
            if arbiter["threshold"] != threshold:
                catch_up(s, wide(resource["arbiter"]), now)
                arbiter["threshold"] = threshold
                touch(s, index)


@njit(inner=True)
def track_rates(s: Any) -> None:
    """From now on keep lists of running tasks by server; put those that run already on them."""
    if s.clock[at.TRACK] & 1 != 0:
        return
    s.clock[at.TRACK] |= 1
    for task in range(s.tasks.shape[0] - 1):
        going, work = s.tasks[task], s.work[task]
        if going["status"] != RUNNING or work["server"] < 0:
            continue
        if work["end"] == at.NEVER and going["duration"] > 0:  # started as a plain task, which schedules without these
            work["since"] = going["start"] + work["latency"]
            work["left"], work["end"] = float(going["duration"]), work["since"] + going["duration"]
        link_running(s, task)


@njit(inner=True)
def requeue(s: Any) -> None:
    """Turn FIFO lists into heaps: the first priorities that differ have just been appended."""
    for index in range(s.resources.shape[0]):
        resource = s.resources[index]
        entry = wide(resource["head"])
        resource["head"], resource["queued"] = -1, 0
        while entry >= 0:
            behind = wide(s.entries[entry]["next"])
            if s.waits[entry] != 0:
                task = s.entries[entry]["task"]
                s.order[task]["ready"] = s.tasks[task]["end"]
                enqueue(s, resource, entry, True)
            entry = behind


@njit(inner=True)
def link_running(s: Any, task: int) -> None:
    """Put `task` on the list of those that run under its server, where rate changes look for it."""
    work = s.work[task]
    server = s.resources[work["server"]]
    work["before"], work["behind"] = -1, server["running"]
    if server["running"] >= 0:
        s.work[server["running"]]["before"] = task
    server["running"] = task


@njit(inner=True)
def unlink_running(s: Any, task: int) -> None:
    """Take `task` off the list of those that run under its server."""
    work = s.work[task]
    if work["server"] < 0:
        return
    if work["before"] >= 0:
        s.work[work["before"]]["behind"] = work["behind"]
    else:
        s.resources[work["server"]]["running"] = work["behind"]
    if work["behind"] >= 0:
        s.work[work["behind"]]["before"] = work["before"]


@njit(inner=True)
def cancel(s: Any, first: int, now: int) -> None:
    """Cancel a task, and along edges without `keep` what depends on it, depth first in stored order."""
    # A task at most once: (task, next edge to look at).
    stack = np.empty((s.tasks.shape[0], 2), np.int64)
    depth = 0
    if cancel_one(s, first, now):
        stack[0, 0], stack[0, 1], depth = first, s.tasks[first]["edge"], 1
    while depth > 0:
        task, edge = stack[depth - 1, 0], stack[depth - 1, 1]
        if edge == s.tasks[task + 1]["edge"]:
            depth -= 1
            continue
        stack[depth - 1, 1] += 1
        if s.flags[edge] & 1 == 1 and s.tasks[task]["start"] >= 0:
            continue  # a START edge of a task that has started is satisfied already
        target = wide(s.targets[edge])
        if s.flags[edge] & 2 != 0:
            satisfy(s, target, task)
        elif cancel_one(s, target, now):
            stack[depth, 0], stack[depth, 1] = target, s.tasks[target]["edge"]
            depth += 1


@njit(inner=True)
def cancel_one(s: Any, task: int, now: int) -> bool:
    """Cancel one task and give back what it holds; False if it is over already."""
    going = s.tasks[task]
    before = going["status"]
    if before >= DONE:
        return False
    going["status"] = CANCELLED
    s.clock[at.LEFT] -= 1
    for index in range(going["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        resource = s.resources[entry["resource"]]
        if before == QUEUED and s.waits[index] != 0:
            s.waits[index] = 0
            resource["queued"] -= 1
            mark_dirty(s.clock, s.dirty, resource, wide(entry["resource"]))
        elif before == RUNNING and entry["units"] > 0:
            resource["used"] -= entry["units"]
            resource["last_release"], resource["release_round"] = task, s.clock[at.ROUND] + 1
            mark_dirty(s.clock, s.dirty, resource, wide(entry["resource"]))
    if before == RUNNING:
        going["end"] = now
        if s.clock[at.TRACK] & 1 != 0:
            unlink_running(s, task)
        flow = wide(going["flow"])
        if flow >= 0 and s.flows[flow]["present"] != 0:
            if s.flows[flow]["mode"] == 2:
                cancel_train(s, flow, now)
            else:
                leave_flow(s, flow, now)
    for index in range(s.work[task]["member"], s.work[task + 1]["member"]):
        lease = s.leases[s.memberships[index]]
        if not (before == RUNNING and lease["until_start"] != 0):
            count_down(s, wide(s.memberships[index]), task)
    return True
