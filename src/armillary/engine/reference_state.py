"""What the reference executor knows: the graph as plain lists, and where each task and lease stands.

In:  a `TaskGraph`. Out: `Lists` (one Python list a property), `TaskState`, `LeaseState`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from armillary.engine.graph import EdgeKind, Ragged, TaskGraph
from armillary.engine.trace import Status


@dataclass(frozen=True, slots=True)
class Edge:
    """One outgoing edge of a task."""

    target: int
    kind: EdgeKind
    keep: bool


@dataclass(frozen=True, slots=True)
class Lists:
    """The columns that the executor reads, as lists of Python numbers, in task (or lease, or resource) order."""

    duration: list[int]
    latency: list[int]
    release: list[int]
    priority: list[int]
    sensitivity: list[float]
    bytes: list[float]
    cap: list[float]  # bytes per tick
    weight: list[int]
    traffic_class: list[int]
    demands: list[list[tuple[int, int]]]  # server, units
    crossings: list[list[tuple[int, float]]]  # link or arbiter, cost per byte
    leases: list[list[int]]  # that the task is a member of
    edges: list[list[Edge]]
    pool: list[int]  # of each lease
    lease_units: list[int]
    until_start: list[bool]
    kind: list[int]  # of each resource
    units: list[int]
    backfill: list[bool]

    @classmethod
    def of(cls, graph: TaskGraph) -> Lists:
        """Spell out `graph`."""
        return cls(
            duration=graph.duration.tolist(),
            latency=graph.latency.tolist(),
            release=graph.release.tolist(),
            priority=graph.priority.tolist(),
            sensitivity=graph.sensitivity.tolist(),
            bytes=graph.bytes.tolist(),
            cap=[cap * graph.tick_s for cap in graph.rate_cap.tolist()],
            weight=graph.weight.tolist(),
            traffic_class=graph.traffic_class.tolist(),
            demands=_rows(graph.demands),
            crossings=_rows(graph.crossings),
            leases=[[lease for lease, _ in row] for row in _rows(graph.members)],
            edges=[
                [Edge(target, EdgeKind(flags & 1), flags >= 2) for target, flags in row] for row in _rows(graph.edges)
            ],
            pool=graph.leases.pool.tolist(),
            lease_units=graph.leases.units.tolist(),
            until_start=graph.leases.until_start.tolist(),
            kind=graph.resources.kind.tolist(),
            units=graph.resources.units.tolist(),
            backfill=graph.resources.backfill.tolist(),
        )


def _rows(ragged: Ragged) -> list[list[tuple[int, Any]]]:
    pairs = list(zip(ragged.index.tolist(), ragged.value.tolist(), strict=True))
    offset = ragged.offset.tolist()
    return [pairs[offset[row] : offset[row + 1]] for row in range(len(offset) - 1)]


@dataclass(slots=True)
class TaskState:
    """Where one task stands."""

    waiting: int = 0
    status: Status = Status.PENDING
    start: int = -1
    end: int = -1
    cause: int = -1
    ready_round: int = -1
    ready_source: int = -1  # of the edge that made it ready
    launch: int | None = None  # when it launches, while in its latency
    work_end: int | None = None  # when its work ends, while it works
    moving: bool = False  # its bytes are on the way
    steady: bool = True  # speed has been 1.0 since launch
    left: float = 0.0  # ticks of work at full speed, as of work_since
    speed: float = 1.0
    work_since: int = 0


@dataclass(slots=True)
class LeaseState:
    """Where one lease stands."""

    until_start: bool
    members: int = 0
    gone: int = 0  # members that ended (until_start: that started) or were cancelled
    taken: bool = False
    returned: bool = False
    last_gone: int = -1  # largest of them since the previous releases phase

    @property
    def is_due(self) -> bool:
        """Whether it is to be returned."""
        return self.taken and not self.returned and self.gone == self.members

    def let_go(self, task: int) -> None:
        """Note a member that needs the lease no longer."""
        self.gone += 1
        self.last_gone = max(self.last_gone, task)
