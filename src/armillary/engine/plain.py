"""Phases 1 and 6 for plain graphs: every task on one server, in order of arrival; nothing else (docs/engine.md).

In:  `State` of a graph for which `simulate.is_plain` holds: entry number t is that of task t. Out: tasks end and start.
The records are those of the general phases, which can take over at any stop.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
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
    ready = 0
    for place in range(clock[at.ENDED]):
        task = wide(s.ended[place])
        ended, entry = tasks[task], s.entries[task]
        resource = s.resources[entry["resource"]]
        ended["status"] = DONE
        resource["used"] -= entry["units"]
        if record:
            ended["end"] = now
            resource["last_release"], resource["release_round"] = task, clock[at.ROUND]
        mark_dirty(clock, s.dirty, resource, wide(entry["resource"]))
        for index in range(ended["edge"], tasks[task + 1]["edge"]):
            target = s.targets[index]
            waiting = tasks[target]
            waiting["waiting"] -= 1
            if record:
                waiting["cause"] = task
            if waiting["waiting"] == 0:
                s.ready[ready] = target
                ready += 1
    clock[at.READY] += ready
    clock[at.LEFT] -= clock[at.ENDED]


@njit(inner=True, inline=True)
def dispatch_plain(s: Any, now: int, record: bool) -> None:
    """Start what finds its server's queue empty and room; then the heads of the queues of servers that have room again."""
    clock, entries, resources = s.clock, s.entries, s.resources
    if clock[at.READY] > 1:
        sort_ids(s.ready, clock[at.READY])
    for place in range(clock[at.READY]):
        task = wide(s.ready[place])
        s.tasks[task]["end"] = clock[at.ROUND]
        entry = entries[task]
        resource = resources[entry["resource"]]
        if resource["head"] < 0 and resource["used"] + entry["units"] <= resource["units"]:
            start_plain(s, task, resource, now, record)
            continue
        s.tasks[task]["status"] = QUEUED
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
            if resource["used"] + entry["units"] > resource["units"]:
                break
            s.waits[task] = 0
            resource["head"] = entry["next"]
            resource["queued"] -= 1
            if record and s.tasks[task]["end"] != clock[at.ROUND]:
                if resource["release_round"] == clock[at.ROUND]:
                    s.tasks[task]["cause"] = resource["last_release"]
                else:
                    s.tasks[task]["cause"] = (
                        resource["last_start"] if resource["start_round"] == clock[at.ROUND] else -1
                    )
            start_plain(s, task, resource, now, record)
    clock[at.DIRTY] = 0


@njit(inner=True, inline=True)
def start_plain(s: Any, task: int, resource: Any, now: int, record: bool) -> None:
    """Start `task` on its server (one record) and schedule its end."""
    starting = s.tasks[task]
    starting["status"] = RUNNING
    resource["used"] += s.entries[task]["units"]
    if record:
        starting["start"] = now
        resource["last_start"], resource["start_round"] = task, s.clock[at.ROUND]
    end = now + starting["duration"]
    push(s, end, 4 * task + at.WORK_PART)
    if end > MAX_TICKS:
        s.clock[at.FAILED] = task + 1
