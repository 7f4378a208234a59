"""What an executor returns: start, end and cause per task, and the rate steps; nothing the graph already knows.

In:  a played `TaskGraph`. Out: `Trace`, frozen columns, with a digest that is equal for equal results.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import FloatArray, IntArray, SmallIntArray, TaskGraph


class Reason(IntEnum):
    """Why `advance` returned (docs/engine.md, section 8)."""

    IDLE = 0
    TIME = 1
    POLICY = 2
    CAPACITY = 3
    DEADLOCK = 4
    LIVELOCK = 5
    OVERFLOW = 6


class Status(IntEnum):
    """Where a task stands."""

    PENDING = 0  # waits for edges or arrival
    QUEUED = 1  # ready, waits for room
    RUNNING = 2
    DONE = 3
    CANCELLED = 4


@dataclass(frozen=True, slots=True)
class RateSteps:
    """Every change of a rate factor or capacity that took effect, in order; shape (steps,)."""

    tick: IntArray
    resource: SmallIntArray
    value: FloatArray


@dataclass(frozen=True, slots=True)
class Trace:
    """The outcome of a run; task columns have shape (tasks,), ticks; -1 where a task did not start or end."""

    graph: TaskGraph
    reason: Reason
    now: int
    start: IntArray
    end: IntArray
    cause: SmallIntArray  # task whose end, start or release let it start; -1: none
    status: npt.NDArray[np.uint8]
    rate_steps: RateSteps

    @property
    def makespan(self) -> int:
        """Last end, in ticks (0 for an empty run)."""
        return int(self.end.max(initial=0))

    @property
    def makespan_s(self) -> float:
        """Last end, in seconds."""
        return self.makespan * self.graph.tick_s

    def digest(self) -> str:
        """SHA-256 of the values of start, end, cause, status and rate steps (little endian)."""
        sha = hashlib.sha256()
        for column in (
            self.start,
            self.end,
            self.cause,
            self.status,
            self.rate_steps.tick,
            self.rate_steps.resource,
            self.rate_steps.value,
        ):
            sha.update(np.ascontiguousarray(column).astype(column.dtype.newbyteorder("<"), copy=False).tobytes())
        return sha.hexdigest()
