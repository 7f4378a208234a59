"""Phases 1 and 6 for plain graphs: every task on one server, in order of arrival; nothing else (docs/engine.md).

In:  `State` of a graph for which `simulate.is_plain` holds: entry number t is that of task t. Out: tasks end and start.
The records are those of the general phases, which can take over at any stop.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
from armillary.engine._state_type import prefetch
from armillary.engine.heap import is_due, push, sort_ids, take
from armillary.engine.queues import mark_dirty

MAX_TICKS = 2**62
QUEUED, RUNNING, DONE = 1, 2, 3


@njit(inner=True, inline=True)
def complete_plain(s: Any, now: int) -> None:
    """Collect the tasks whose work ends now, in ascending id."""
    ended = 0
    while is_due(s, now):
        s.ended[ended] = s.keys[0] >> 2
        ended += 1
        take(s)
    s.clock[at.ENDED] = ended


@njit(inner=True, inline=True)
def finish_plain(s: Any, now: int, record: bool) -> None:
    """End the collected tasks: give back units, satisfy edges."""
    clock, tasks = s.clock, s.tasks
    this_round, ended, ready = clock[at.ROUND], clock[at.ENDED], clock[at.READY]
    for place in range(ended):
        task = wide(s.ended[place])
        ending, entry = tasks[task], s.entries[task]
        resource = s.resources[entry["resource"]]
        ending["status"] = DONE
        resource["used"] -= entry["units"]
        if record:
            ending["end"] = now
            resource["last_release"], resource["release_round"] = task, this_round
        mark_dirty(clock, s.dirty, resource, wide(entry["resource"]))
        for index in range(ending["edge"], tasks[task + 1]["edge"]):
            target = s.targets[index]
            waiting = tasks[target]
            left = waiting["waiting"] - 1
            waiting["waiting"] = left
            if record:
                waiting["cause"] = task
            if left == 0:
                s.ready[ready] = target
                ready += 1
    clock[at.READY] = ready
    clock[at.LEFT] -= ended


@njit(inner=True, inline=True)
def dispatch_plain(s: Any, now: int, record: bool) -> None:
    """Start what finds room and no queue; then the heads of the queues of servers that have room again."""
    clock, tasks, entries, resources = s.clock, s.tasks, s.entries, s.resources
    this_round, ready = clock[at.ROUND], clock[at.READY]
    if ready > 1:
        sort_ids(s.ready, ready)
    for place in range(ready):
        task = wide(s.ready[place])
        tasks[task]["end"] = this_round
        entry = entries[task]
        units = entry["units"]
        resource = resources[entry["resource"]]
        if resource["head"] < 0 and resource["used"] + units <= resource["units"]:
            start_plain(s, task, resource, units, now, this_round, record)
            continue
        tasks[task]["status"] = QUEUED
        s.waits[task], entry["next"] = 1, -1
        resource["queued"] += 1
        if resource["head"] < 0:
            resource["head"] = task
        else:
            entries[resource["tail"]]["next"] = task
        resource["tail"] = task
        mark_dirty(clock, s.dirty, resource, wide(entry["resource"]))
    clock[at.READY] = 0
    for place in range(clock[at.DIRTY]):
        resource = resources[s.dirty[place]]
        resource["dirty"] = 0
        while resource["head"] >= 0 and resource["used"] < resource["units"]:
            task = wide(resource["head"])
            entry = entries[task]
            units, behind = entry["units"], wide(entry["next"])
            if resource["used"] + units > resource["units"]:
                break
            # The next in line starts when this server is free again: its records are old and far away by then.
            prefetch(tasks, behind)
            prefetch(entries, behind)
            s.waits[task] = 0
            resource["head"] = behind
            resource["queued"] -= 1
            if record and tasks[task]["end"] != this_round:
                if resource["release_round"] == this_round:
                    tasks[task]["cause"] = resource["last_release"]
                else:
                    tasks[task]["cause"] = resource["last_start"] if resource["start_round"] == this_round else -1
            start_plain(s, task, resource, units, now, this_round, record)
    clock[at.DIRTY] = 0


@njit(inner=True, inline=True)
def start_plain(s: Any, task: int, resource: Any, units: int, now: int, this_round: int, record: bool) -> None:
    """Start `task` on its server (one record) and schedule its end."""
    starting = s.tasks[task]
    prefetch(s.targets, wide(starting["edge"]))
    starting["status"] = RUNNING
    resource["used"] += units
    if record:
        starting["start"] = now
        resource["last_start"], resource["start_round"] = task, this_round
    end = now + starting["duration"]
    push(s, end, 4 * task + at.WORK_PART)
    if end > MAX_TICKS:
        s.clock[at.FAILED] = task + 1
