"""Small steps that several phases share: a part ends, an edge is satisfied, a member of a lease is through.

In:  `State` and a task. Out: the lists of the round (`ended`, `ready`, `returned`) grow.
"""

from __future__ import annotations

from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit

PENDING = 0  # engine.trace.Status.PENDING


@njit(inner=True)
def end_part(s: Any, task: int) -> None:
    """One part of `task` is over; with the last one it ends in this round."""
    s.tasks[task]["parts"] -= 1
    if s.tasks[task]["parts"] == 0:
        s.ended[s.clock[at.ENDED]] = task
        s.clock[at.ENDED] += 1


@njit(inner=True, inline=True)
def satisfy(s: Any, target: int, source: int) -> None:
    """One thing that `target` waited for has happened."""
    waiting = s.tasks[target]
    waiting["waiting"] -= 1
    waiting["cause"] = source
    if waiting["waiting"] == 0 and waiting["status"] == PENDING:
        s.ready[s.clock[at.READY]] = target
        s.clock[at.READY] += 1


@njit(inner=True)
def count_down(s: Any, index: int, task: int) -> None:
    """`task` is through with a lease: note the largest such id of this phase; after the last one it is due."""
    clock, lease = s.clock, s.leases[index]
    lease["left"] -= 1
    lease["noted"] = max(lease["noted"], task) if lease["epoch"] == clock[at.EPOCH] else task
    lease["epoch"] = clock[at.EPOCH]
    if lease["left"] == 0 and lease["taken"] != 0:
        s.returned[clock[at.RETURNED]] = index
        clock[at.RETURNED] += 1


@njit(inner=True, inline=True)
def touch(s: Any, index: int) -> None:
    """Have phase 7 settle a link or arbiter."""
    if s.resources[index]["touched"] == 0:
        s.resources[index]["touched"] = 1
        s.touched[s.clock[at.TOUCHED]] = index
        s.clock[at.TOUCHED] += 1
