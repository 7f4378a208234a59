"""The loop of the engine: rounds of ticks over the records of `engine/records.py`.

In:  `State`, a tick to stop at, a policy. Out: a reason code; the state holds all results. The rules: docs/engine.md.
One loop serves two entries: with `general` None, phases 1 and 6 are those of plain.py and the rest is left out (numba
drops branches on `is None` before it looks into them); otherwise any graph is played. Bytes are in links.py and
arbiters.py, rates and cancelling in changes.py.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import JIT, njit, wide
from armillary.engine._policy_type import address, call_policy
from armillary.engine.arbiters import catch_up_all, end_quantum, settle_arbiter, take_trains
from armillary.engine.changes import apply_commands, link_running, set_value, unlink_running
from armillary.engine.events import is_valid, sweep
from armillary.engine.heap import add_ticks, close, is_due, push, sort_ids, take
from armillary.engine.links import end_link, join_flow, leave_flow, settle_general, settle_simple
from armillary.engine.observe import observe
from armillary.engine.plain import complete_plain, dispatch_plain, finish_plain
from armillary.engine.queues import comes_before, enqueue, first_waiting, mark_dirty
from armillary.engine.steps import count_down, end_part, satisfy

MAX_TICKS = 2**62
IDLE, TIME, POLICY, CAPACITY, DEADLOCK, LIVELOCK, OVERFLOW = range(7)
PENDING, QUEUED, RUNNING, DONE, CANCELLED = range(5)
SERVER, POOL, LINK, ARBITER = range(4)
NO_POLICY, COMPILED_POLICY, PYTHON_POLICY = range(3)


@njit(inner=True, inline=True)
def play(s: Any, until: int, policy: int, policy_kind: int, general: Any, record: bool) -> int:
    """Play all rounds up to and including tick `until`; return why it stopped."""
    clock = s.clock
    resume = clock[at.RESUME] != 0
    while True:
        if resume:  # a Python policy was called: its round goes on in phase 5
            clock[at.RESUME] = 0
            now = clock[at.NOW]
            if general is not None:
                apply_commands(s, now)
        else:
            if general is not None:
                sweep(s)
                if clock[at.STEPS] + 2 * s.resources.shape[0] > s.steps.shape[0] - (
                    s.changes.shape[0] - clock[at.CHANGED]
                ):
                    return CAPACITY
                now = next_due(s, policy_kind)
            elif clock[at.DUE] != 0:
                now = clock[at.NOW]
            else:
                close(s)
                now = s.ticks[0] if clock[at.HEAP] > 0 else at.NEVER
            if now > until or now > MAX_TICKS:
                return stop(s, now, until, general)
            clock[at.NOW] = now
            clock[at.DUE] = 0
            clock[at.ROUND] += 1
            if now == clock[at.LAST_TICK]:
                clock[at.TICK_ROUNDS] += 1
                if clock[at.TICK_ROUNDS] > clock[at.ROUND_LIMIT]:
                    return LIVELOCK
            else:
                clock[at.LAST_TICK] = now
                clock[at.TICK_ROUNDS] = 1
                clock[at.ROUND_LIMIT] = s.tasks.shape[0] - 1 + 1000
            if general is None:
                complete_plain(s, now)
                finish_plain(s, now, record)
            else:
                complete_parts(s, now)
                finish_tasks(s, now)
                clock[at.EPOCH] += 1
                if clock[at.RETURNED] > 0 or clock[at.STARTED] > 0:
                    release(s)
                if clock[at.CHANGED] < s.changes.shape[0]:
                    change(s, now)
                if clock[at.ARRIVED] < s.arrivals.shape[0]:
                    arrive(s, now)
                if policy_kind != NO_POLICY and now > 0 and now % clock[at.PERIOD] == 0 and clock[at.POLICY_AT] != now:
                    clock[at.POLICY_AT] = now
                    observe(s, now)
                    if policy_kind == PYTHON_POLICY:
                        clock[at.RESUME] = 1
                        return POLICY
                    if JIT:
                        call_policy(
                            policy, address(s.seen), s.seen.shape[0], address(s.policy_state), address(s.command)
                        )
                    apply_commands(s, now)
        resume = False
        if general is None:
            dispatch_plain(s, now, record)
        else:
            if clock[at.MODE] == at.QUEUE_ORDERED:
                dispatch_ordered(s, now)
            else:
                dispatch(s, now)
            if clock[at.TOUCHED] > 0 or clock[at.TRAINS] > 0:
                settle(s, now)
        if clock[at.FAILED] != 0:
            return OVERFLOW


@njit(inner=True)
def stop(s: Any, now: int, until: int, general: Any) -> int:
    """Nothing more is due up to `until`: say why, and let time pass until then."""
    clock = s.clock
    if until < at.NEVER and clock[at.NOW] < until:
        clock[at.NOW] = until
    if general is not None:
        catch_up_all(s, clock[at.NOW])
    if now == at.NEVER:
        return IDLE if clock[at.LEFT] == 0 else DEADLOCK
    if now > until:
        return TIME
    clock[at.FAILED] = -1  # a tick of the policy: ends beyond the range are noted when they are set
    return OVERFLOW


@njit(inner=True)
def next_due(s: Any, policy_kind: int) -> int:
    """Return the smallest tick at which a round is due, NEVER if none."""
    clock = s.clock
    if clock[at.DUE] != 0:
        return wide(clock[at.NOW])
    close(s)
    while clock[at.HEAP] > 0 and not is_valid(s, s.ticks[0], s.keys[0]):
        take(s)
        close(s)
    while (
        clock[at.ARRIVED] < s.arrivals.shape[0] and s.tasks[s.arrivals[clock[at.ARRIVED]]["key"]]["status"] == CANCELLED
    ):
        clock[at.ARRIVED] += 1
    now = at.NEVER
    if clock[at.HEAP] > 0:
        now = s.ticks[0]
    if clock[at.ARRIVED] < s.arrivals.shape[0]:
        now = min(now, s.arrivals[clock[at.ARRIVED]]["tick"])
    if clock[at.CHANGED] < s.changes.shape[0]:
        now = min(now, s.changes[clock[at.CHANGED]]["tick"])
    if policy_kind != NO_POLICY and (now != at.NEVER or clock[at.FLOWS] > 0):
        now = min(now, (clock[at.NOW] // clock[at.PERIOD] + 1) * clock[at.PERIOD])
    return wide(now)


# Phase 1: completions


@njit(inner=True)
def complete_parts(s: Any, now: int) -> None:
    """Finish the parts due now: simple links, then launches, work and flows by task, then quanta."""
    clock = s.clock
    clock[at.ENDED] = 0
    while is_due(s, now):
        key = s.keys[0]
        take(s)
        if not is_valid(s, now, key):
            continue
        if key < 0:
            end_link(s, key - at.LINK_KEY, now)
        elif key >= at.ARBITER_KEY:
            end_quantum(s, key - at.ARBITER_KEY, now)
        elif key & 3 == at.WORK_PART:
            s.work[key >> 2]["end"] = -1
            end_part(s, key >> 2)
        elif key & 3 == at.LAUNCH:
            join_flow(s, key >> 2, now)
        else:
            leave_flow(s, wide(s.tasks[key >> 2]["flow"]), now)
            end_part(s, key >> 2)
    sort_ids(s.ended, clock[at.ENDED])


@njit(inner=True, inline=True)
def finish_tasks(s: Any, now: int) -> None:
    """End the collected tasks in ascending id: give back units, satisfy END edges."""
    clock, tasks = s.clock, s.tasks
    this_round = clock[at.ROUND]
    for place in range(clock[at.ENDED]):
        task = wide(s.ended[place])
        ended, behind = tasks[task], tasks[task + 1]
        ended["status"], ended["end"] = DONE, now
        for index in range(ended["entry"], behind["entry"]):
            entry = s.entries[index]
            if entry["units"] == 0:
                continue
            resource = s.resources[entry["resource"]]
            resource["used"] -= entry["units"]
            resource["last_release"], resource["release_round"] = task, this_round
            mark_dirty(clock, s.dirty, resource, wide(entry["resource"]))
        if clock[at.TRACK] & 1 != 0:
            unlink_running(s, task)
        for index in range(s.work[task]["member"], s.work[task + 1]["member"]):
            if s.leases[s.memberships[index]]["until_start"] == 0:
                count_down(s, wide(s.memberships[index]), task)
        for index in range(ended["edge"], behind["edge"]):
            if s.flags[index] & 1 == 0:
                satisfy(s, wide(s.targets[index]), task)
    clock[at.LEFT] -= clock[at.ENDED]


# Phases 2 to 4: releases, timed changes, arrivals


@njit(inner=True)
def release(s: Any) -> None:
    """Give back the leases that are due, and satisfy the START edges of what started in the last dispatch."""
    clock = s.clock
    sort_ids(s.returned, clock[at.RETURNED])
    for place in range(clock[at.RETURNED]):
        lease = s.leases[s.returned[place]]
        pool = s.resources[lease["pool"]]
        pool["used"] -= lease["units"]
        pool["last_release"] = lease["noted"]
        pool["release_round"] = clock[at.ROUND]
        mark_dirty(clock, s.dirty, pool, wide(lease["pool"]))
    clock[at.RETURNED] = 0
    sort_ids(s.started, clock[at.STARTED])
    for place in range(clock[at.STARTED]):
        task = wide(s.started[place])
        for index in range(s.tasks[task]["edge"], s.tasks[task + 1]["edge"]):
            if s.flags[index] & 1 == 1:
                satisfy(s, wide(s.targets[index]), task)
    clock[at.STARTED] = 0


@njit(inner=True)
def change(s: Any, now: int) -> None:
    """Apply the timed changes due now."""
    clock = s.clock
    while clock[at.CHANGED] < s.changes.shape[0] and s.changes[clock[at.CHANGED]]["tick"] == now:
        due = s.changes[clock[at.CHANGED]]
        set_value(s, wide(due["resource"]), due["value"], now)
        clock[at.CHANGED] += 1


@njit(inner=True)
def arrive(s: Any, now: int) -> None:
    """Let the tasks released now go on."""
    clock = s.clock
    while clock[at.ARRIVED] < s.arrivals.shape[0] and s.arrivals[clock[at.ARRIVED]]["tick"] == now:
        satisfy(s, s.arrivals[clock[at.ARRIVED]]["key"], wide(-1))
        clock[at.ARRIVED] += 1


# Phase 6: dispatch


@njit(inner=True)
def dispatch(s: Any, now: int) -> None:
    """Start every task that heads all its queues and finds room.

    Without backfill the outcome does not depend on the order of visits (docs/engine.md, section 4), so only resources
    that changed are looked at. A task that finds its queues empty starts without queueing, except where priorities
    must be compared first.
    """
    clock, tasks, entries, resources = s.clock, s.tasks, s.entries, s.resources
    by_priority = clock[at.MODE] == at.QUEUE_PRIORITY
    sort_ids(s.ready, clock[at.READY])
    coming, free = 0, 0
    while True:
        if coming < clock[at.READY]:
            task = wide(s.ready[coming])
            coming += 1
            if tasks[task]["status"] != PENDING:
                continue  # cancelled since
            tasks[task]["status"], tasks[task]["end"] = QUEUED, clock[at.ROUND]
            s.order[task]["ready"] = clock[at.ROUND]
            if not starts_at_once(s, task, by_priority) and queue_up(s, task, by_priority):
                continue
        elif clock[at.DIRTY] > 0:
            index = s.dirty[clock[at.DIRTY] - 1]
            resource = resources[index]
            task = wide(-1)
            # A full server needs no look at its queue; a full pool may still have room for a lease of nothing.
            if resource["used"] < resource["units"] or resource["kind"] == POOL:
                head = first_waiting(s, resource, by_priority)
                task = wide(entries[head]["task"]) if head >= 0 else wide(-1)
            if task < 0 or not heads_and_fits(s, task, by_priority):
                resource["dirty"] = 0
                clock[at.DIRTY] -= 1
                continue
            leave_queues(s, task)
        elif free < clock[at.FREE]:
            task = wide(s.waiting[free])  # members of a lease that another took: nothing left to queue at
            free += 1
        else:
            break
        start(s, task, now)
    clock[at.READY], clock[at.FREE] = 0, 0
    if clock[at.RETURNED] > 0 or clock[at.STARTED] > 0:
        clock[at.DUE] = 1


@njit(inner=True, inline=True)
def starts_at_once(s: Any, task: int, by_priority: bool) -> bool:
    """Whether a ready task finds room and nobody before it, so that it need not queue; pools are left to the queues."""
    if by_priority:
        return False
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        resource = s.resources[entry["resource"]]
        if entry["units"] == 0 or resource["used"] + entry["units"] > resource["units"]:
            return False
        if first_waiting(s, resource, by_priority) >= 0:
            return False
    return True


@njit(inner=True)
def needed(s: Any, task: int, pool: int) -> int:
    """Return the units that the untaken leases of `task` need from `pool`, -1 if there are none."""
    units = -1
    for index in range(s.work[task]["member"], s.work[task + 1]["member"]):
        lease = s.leases[s.memberships[index]]
        if lease["pool"] == pool and lease["taken"] == 0:
            units = max(units, 0) + lease["units"]
    return wide(units)


@njit(inner=True)
def queue_up(s: Any, task: int, by_priority: bool) -> bool:
    """Let a ready task wait at each of its resources, which are looked at again; False if it need not queue."""
    queues = False
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        if entry["units"] == 0 and needed(s, task, wide(entry["resource"])) < 0:
            continue
        queues = True
        resource = s.resources[entry["resource"]]
        enqueue(s, resource, index, by_priority)
        mark_dirty(s.clock, s.dirty, resource, wide(entry["resource"]))
    return queues


@njit(inner=True, inline=True)
def heads_and_fits(s: Any, task: int, by_priority: bool) -> bool:
    """Whether `task` is first in all its queues and all have room."""
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        if s.waits[index] == 0:
            continue
        resource = s.resources[entry["resource"]]
        units = entry["units"]
        if units == 0:
            units = needed(s, task, wide(entry["resource"]))
        if resource["used"] + units > resource["units"] or first_waiting(s, resource, by_priority) != index:
            return False
    return True


@njit(inner=True, inline=True)
def leave_queues(s: Any, task: int) -> None:
    """Take `task` out of its queues; what stood behind it is looked at again."""
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        if s.waits[index] != 0:
            s.waits[index] = 0
            resource = s.resources[entry["resource"]]
            resource["queued"] -= 1
            mark_dirty(s.clock, s.dirty, resource, wide(entry["resource"]))


@njit(inner=True)
def start(s: Any, task: int, now: int) -> None:
    """Start `task` now: note its cause, take its units, schedule its parts."""
    starting = s.tasks[task]
    this_round = s.clock[at.ROUND]
    if starting["end"] != this_round:
        starting["cause"] = cause_of_start(s, task)
    starting["start"], starting["status"] = now, RUNNING
    for index in range(starting["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        if entry["units"] == 0:
            continue
        resource = s.resources[entry["resource"]]
        resource["used"] += entry["units"]
        resource["last_start"], resource["start_round"] = task, this_round
    if starting["simple"] != 0 and s.clock[at.TRACK] == 0:
        end = now + starting["duration"]
        push(s, end, 4 * task + at.WORK_PART)
        if end > MAX_TICKS:
            s.clock[at.FAILED] = task + 1
    else:
        start_parts(s, task, now)


@njit(inner=True)
def cause_of_start(s: Any, task: int) -> int:
    """Return the task whose release, or else whose start, let `task` start after a wait (docs/engine.md, section 4)."""
    this_round = s.clock[at.ROUND]
    released, began = -1, -1
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        resource = s.resources[entry["resource"]]
        queued, takes = True, True
        if entry["units"] == 0:
            takes = needed(s, task, wide(entry["resource"])) >= 0
            queued = takes
            for member in range(s.work[task]["member"], s.work[task + 1]["member"]):
                lease = s.leases[s.memberships[member]]
                if lease["pool"] == entry["resource"] and lease["taken"] != 0 and lease["taken_round"] == this_round:
                    queued = True
                    began = max(began, lease["taker"])
        if queued and resource["release_round"] == this_round:
            released = max(released, resource["last_release"])
        if takes and resource["start_round"] == this_round:
            began = max(began, resource["last_start"])
    return wide(released if released >= 0 else began)


@njit(inner=True)
def start_parts(s: Any, task: int, now: int) -> None:
    """Start what a plain task does not have: leases, latency, bytes, a rate."""
    clock = s.clock
    starting, work = s.tasks[task], s.work[task]
    for index in range(work["member"], s.work[task + 1]["member"]):
        lease = s.leases[s.memberships[index]]
        if lease["taken"] == 0:
            take_lease(s, wide(s.memberships[index]), task)
        if lease["until_start"] != 0:
            count_down(s, wide(s.memberships[index]), task)
    if clock[at.TRACK] & 2 != 0:
        s.started[clock[at.STARTED]] = task
        clock[at.STARTED] += 1
    launch = now + work["latency"]
    work["since"], work["left"] = launch, float(starting["duration"])
    if starting["flow"] >= 0:
        if work["latency"] > 0:
            push(s, launch, 4 * task + at.LAUNCH)
        else:
            join_flow(s, task, now)
    if starting["flow"] < 0 or starting["duration"] > 0:
        end = launch + starting["duration"]
        if work["server"] >= 0 and s.resources[work["server"]]["rate"] != 1.0 and work["sensitivity"] != 0.0:
            b = work["sensitivity"]
            work["speed"] = 1.0 / (b / s.resources[work["server"]]["rate"] + 1.0 - b)
            end = add_ticks(launch, work["left"] / work["speed"])
        work["end"] = end
        push(s, end, 4 * task + at.WORK_PART)
        if end > MAX_TICKS:
            clock[at.FAILED] = task + 1
    if work["server"] >= 0 and clock[at.TRACK] & 1 != 0:
        link_running(s, task)


@njit(inner=True)
def take_lease(s: Any, index: int, task: int) -> None:
    """Take a lease for its first member; the others no longer queue for it."""
    clock, lease = s.clock, s.leases[index]
    pool = s.resources[lease["pool"]]
    pool["used"] += lease["units"]
    pool["last_start"], pool["start_round"] = task, clock[at.ROUND]
    lease["taken"], lease["taken_round"], lease["taker"] = 1, clock[at.ROUND], task
    for place in range(lease["member"], s.leases[index + 1]["member"]):
        other = wide(s.members[place])
        if s.tasks[other]["status"] != QUEUED:
            continue
        queues = False
        for number in range(s.tasks[other]["entry"], s.tasks[other + 1]["entry"]):
            entry = s.entries[number]
            if s.waits[number] == 0:
                continue
            resource = s.resources[entry["resource"]]
            mark_dirty(clock, s.dirty, resource, wide(entry["resource"]))
            if entry["units"] == 0 and entry["resource"] == lease["pool"] and needed(s, other, wide(lease["pool"])) < 0:
                s.waits[number] = 0
                resource["queued"] -= 1
            else:
                queues = True
        if not queues and clock[at.MODE] != at.QUEUE_ORDERED:
            s.waiting[clock[at.FREE]] = other
            clock[at.FREE] += 1


@njit(inner=True)
def dispatch_ordered(s: Any, now: int) -> None:
    """Dispatch where some resource lets later tasks pass: visit all waiting tasks in ascending key."""
    clock, tasks, waiting = s.clock, s.tasks, s.waiting
    this_round = clock[at.ROUND]
    sort_ids(s.ready, clock[at.READY])
    for place in range(clock[at.READY]):
        task = wide(s.ready[place])
        if tasks[task]["status"] != PENDING:
            continue  # cancelled since
        tasks[task]["status"], tasks[task]["end"] = QUEUED, this_round
        s.order[task]["ready"] = this_round
        for index in range(tasks[task]["entry"], tasks[task + 1]["entry"]):
            entry = s.entries[index]
            if entry["units"] > 0 or needed(s, task, wide(entry["resource"])) >= 0:
                s.waits[index] = 1
                s.resources[entry["resource"]]["queued"] += 1
        spot = clock[at.WAITING]
        clock[at.WAITING] += 1
        while spot > 0 and comes_before(s, task, wide(waiting[spot - 1])):
            waiting[spot] = waiting[spot - 1]
            spot -= 1
        waiting[spot] = task
    clock[at.READY] = 0
    kept = 0
    for place in range(clock[at.WAITING]):
        task = wide(waiting[place])
        if tasks[task]["status"] != QUEUED:
            continue
        if passes(s, task):
            leave_queues(s, task)
            start(s, task, now)
            continue
        for index in range(tasks[task]["entry"], tasks[task + 1]["entry"]):
            if s.waits[index] != 0:
                s.resources[s.entries[index]["resource"]]["blocked"] = this_round
        waiting[kept] = task
        kept += 1
    clock[at.WAITING] = kept
    while clock[at.DIRTY] > 0:
        clock[at.DIRTY] -= 1
        s.resources[s.dirty[clock[at.DIRTY]]]["dirty"] = 0
    if clock[at.RETURNED] > 0 or clock[at.STARTED] > 0:
        clock[at.DUE] = 1


@njit(inner=True)
def passes(s: Any, task: int) -> bool:
    """Whether `task` finds room everywhere and heads the queues of all resources that do not allow backfill."""
    for index in range(s.tasks[task]["entry"], s.tasks[task + 1]["entry"]):
        entry = s.entries[index]
        if s.waits[index] == 0:
            continue
        resource = s.resources[entry["resource"]]
        units = entry["units"] if entry["units"] > 0 else needed(s, task, wide(entry["resource"]))
        if resource["used"] + units > resource["units"]:
            return False
        if resource["backfill"] == 0 and resource["blocked"] == s.clock[at.ROUND]:
            return False
    return True


# Phase 7: flows


@njit(inner=True)
def settle(s: Any, now: int) -> None:
    """Share every touched link anew and let touched arbiters issue."""
    clock = s.clock
    if clock[at.TRAINS] > 0:
        take_trains(s, now)
    general = False
    for place in range(clock[at.TOUCHED]):
        index = wide(s.touched[place])
        resource = s.resources[index]
        resource["touched"] = 0
        if resource["kind"] == ARBITER:
            settle_arbiter(s, wide(resource["arbiter"]), now)
        elif s.links[index]["general"] == 0:
            settle_simple(s, index, now)
        else:
            general = True
    if general:
        settle_general(s, now)
    clock[at.TOUCHED] = 0
