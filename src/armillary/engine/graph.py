"""The task graph: what planners emit and both executors play.

In:  resources, tasks, leases, edges, timed changes: one at a time or as whole columns (`GraphBuilder`).
Out: `TaskGraph`, frozen columns: one array per property, ragged lists as (offset, values) pairs in task order.
Every rule of docs/engine.md that needs no clock is checked in `GraphBuilder.build` (engine/validate.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.engine.columns import (
    RESOURCE_DEFAULTS,
    TASK_COLUMNS,
    column,
    joined,
    list_rows,
    ragged,
    resource_columns,
)
from armillary.errors import InputError
from armillary.units import PICOSECOND

IntArray = npt.NDArray[np.int64]
SmallIntArray = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.float64]
IntLike = int | npt.ArrayLike
FloatLike = float | npt.ArrayLike


class ResourceKind(IntEnum):
    """What a resource does with tasks (docs/engine.md, section 1)."""

    SERVER = 0
    POOL = 1
    LINK = 2
    ARBITER = 3


class Discipline(IntEnum):
    """How an arbiter chooses the next quantum (docs/engine.md, section 7)."""

    FIFO = 0
    ROUND_ROBIN = 1
    THRESHOLD = 2


class EdgeKind(IntEnum):
    """Whether the target waits for the end or for the start of the source."""

    END = 0
    START = 1


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of unequal length, one per row: row i holds entries offset[i] .. offset[i + 1] of each column.

    `offset` has shape (rows + 1,), `index` and `value` shape (entries,): resource, lease or task; units, cost or flags.
    """

    offset: SmallIntArray
    index: SmallIntArray
    value: npt.NDArray[Any]

    def row(self, row: int) -> slice:
        """Return the slice of `index` and `value` that belongs to `row`."""
        return slice(int(self.offset[row]), int(self.offset[row + 1]))


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources as columns, shape (resources,); arbiter columns hold their defaults elsewhere."""

    names: tuple[str, ...]
    kind: SmallIntArray
    units: IntArray
    backfill: npt.NDArray[np.bool_]
    capacity: FloatArray  # links and arbiters, per second
    quantum_bytes: FloatArray
    depth: SmallIntArray
    discipline: SmallIntArray
    threshold: SmallIntArray
    age_limit: IntArray  # ticks
    class_cost: npt.NDArray[np.float64]  # shape (resources, classes), factor on the service time of a byte

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the index of the resource called `name`."""
        return self.names.index(name)


@dataclass(frozen=True, slots=True)
class Leases:
    """Leases as columns, shape (leases,); `members` lists the leases of each task."""

    pool: SmallIntArray
    units: IntArray
    until_start: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pool)


@dataclass(frozen=True, slots=True)
class TimedChanges:
    """Changes of rate factors and capacities known in advance, shape (changes,), in ascending tick."""

    tick: IntArray
    resource: SmallIntArray
    value: FloatArray


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """A frozen task graph (docs/engine.md). Task columns have shape (tasks,); times in ticks of `tick_s` seconds."""

    tick_s: float
    resources: Resources
    leases: Leases
    changes: TimedChanges
    duration: IntArray
    latency: IntArray
    release: IntArray
    priority: SmallIntArray
    sensitivity: FloatArray
    bytes: FloatArray
    rate_cap: FloatArray  # bytes per second
    weight: SmallIntArray
    traffic_class: SmallIntArray
    energy_fj: IntArray
    kind: SmallIntArray  # index into kinds
    label: SmallIntArray  # index into labels
    demands: Ragged  # resource, units
    crossings: Ragged  # resource, cost per byte
    members: Ragged  # lease, unused value
    edges: Ragged  # target task, EdgeKind + 2 * keep
    kinds: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.duration)

    def task_name(self, task: int) -> str:
        """Return a name for messages: the label, or the number where there is none."""
        label = self.labels[int(self.label[task])]
        return f"{label} (task {task})" if label else f"task {task}"


class GraphBuilder:
    """Collects resources, tasks and edges; `build()` validates and freezes them.

    Times are ticks, except where a name says seconds: use `armillary.units.to_ticks` to convert.
    Resources, leases and tasks are named by the integers that their methods return.
    """

    def __init__(self, *, tick_s: float = PICOSECOND) -> None:
        self.tick_s = tick_s
        self._resources: list[dict[str, Any]] = []
        self._leases: list[tuple[npt.NDArray[Any], ...]] = []  # pool, units, until_start
        self._lease_count = 0
        self._changes: list[tuple[int, int, float]] = []
        self._tasks = 0
        self._columns: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in TASK_COLUMNS}
        self._lists: dict[str, list[tuple[npt.NDArray[Any], ...]]] = {
            "demands": [],
            "crossings": [],
            "members": [],
            "edges": [],
        }
        self._kinds: dict[str, int] = {}
        self._labels: dict[str, int] = {}

    def __len__(self) -> int:
        return self._tasks

    # resources

    def server(self, name: str, *, units: int = 1, backfill: bool = False) -> int:
        """Add a server of `units` units; a task holds its units from start to end."""
        return self._resource(name, ResourceKind.SERVER, units=units, backfill=backfill)

    def pool(self, name: str, *, units: int, backfill: bool = False) -> int:
        """Add a pool of `units` units from which leases are taken."""
        return self._resource(name, ResourceKind.POOL, units=units, backfill=backfill)

    def link(self, name: str, *, capacity: float) -> int:
        """Add a link; a plain one has its bytes per second as capacity and is crossed at cost 1."""
        return self._resource(name, ResourceKind.LINK, capacity=capacity)

    def arbiter(
        self,
        name: str,
        *,
        capacity: float,
        quantum_bytes: float,
        depth: int = 8,
        discipline: Discipline = Discipline.FIFO,
        threshold: int = 1,
        age_limit: int = 2**61,
        class_cost: Sequence[float] = (1.0,),
    ) -> int:
        """Add a non-preemptive server of quanta of `quantum_bytes`, `capacity` bytes per second at cost 1."""
        return self._resource(
            name,
            ResourceKind.ARBITER,
            capacity=capacity,
            quantum_bytes=quantum_bytes,
            depth=depth,
            discipline=int(discipline),
            threshold=threshold,
            age_limit=age_limit,
            class_cost=tuple(class_cost),
        )

    def _resource(self, name: str, kind: ResourceKind, **values: Any) -> int:
        self._resources.append({"name": name, "kind": int(kind), **RESOURCE_DEFAULTS, **values})
        return len(self._resources) - 1

    def lease(self, pool: int, units: int, *, until_start: bool = False) -> int:
        """Add a lease of `units` from `pool`; tasks join it by their `leases`."""
        return int(self.leases(pool, np.array([units]), until_start=until_start)[0])

    def leases(self, pool: int, units: npt.NDArray[np.int64], *, until_start: bool = False) -> npt.NDArray[np.int64]:
        """Add a lease from `pool` for each of `units`; return their ids, shape as `units`."""
        count, first = len(units), self._lease_count
        self._leases.append((np.full(count, pool, np.int32), units, np.full(count, until_start)))
        self._lease_count += count
        return np.arange(first, self._lease_count)

    def change(self, tick: int, resource: int, value: float) -> None:
        """At `tick`, set the rate factor of a server or the capacity per second of a link or arbiter."""
        self._changes.append((tick, resource, value))

    # tasks

    def task(
        self,
        label: str = "",
        *,
        duration: int = 0,
        on: int | Sequence[int | tuple[int, int]] = (),
        crossing: int | Sequence[int | tuple[int, float]] = (),
        leases: Sequence[int] = (),
        after: Sequence[int] = (),
        kind: str = "",
        **columns: Any,
    ) -> int:
        """Add one task and return its id.

        Args:
            label: what it is called in timelines.
            duration: ticks of work.
            on: servers, or (server, units) pairs.
            crossing: links or an arbiter that its bytes cross, or (link, cost per byte) pairs.
            leases: leases it is a member of.
            after: tasks that must have ended before it starts.
            kind: a class of work ("dma", "conv"), for statistics.
            columns: latency, release, priority, sensitivity, bytes, rate_cap, weight, traffic_class, energy_fj.
        """
        task = self.tasks(1, labels=(label,), kind=kind, duration=duration, **columns)[0]
        pairs = [entry if isinstance(entry, tuple) else (entry, 1) for entry in ((on,) if isinstance(on, int) else on)]
        if pairs:
            self.demand(task, [r for r, _ in pairs], [u for _, u in pairs])
        costs = [
            entry if isinstance(entry, tuple) else (entry, 1.0)
            for entry in ((crossing,) if isinstance(crossing, int) else crossing)
        ]
        if costs:
            self.cross(task, [r for r, _ in costs], [c for _, c in costs])
        if leases:
            self.member(task, list(leases))
        if after:
            self.edge(list(after), task)
        return task

    def tasks(
        self, count: int, *, labels: Sequence[str] | None = None, kind: str = "", **columns: IntLike | FloatLike
    ) -> range:
        """Add `count` tasks at once and return their ids; a column is one value for all or an array, shape (count,)."""
        unknown = set(columns) - set(TASK_COLUMNS)
        if unknown:
            raise InputError(f"tasks have no column {sorted(unknown)[0]!r}", hint=f"columns: {', '.join(TASK_COLUMNS)}")
        for name, (dtype, default) in TASK_COLUMNS.items():
            given = columns.get(name, default)
            self._columns[name].append(column(given, count, dtype, name))
        kind_index = self._kinds.setdefault(kind, len(self._kinds))
        self._columns.setdefault("kind", []).append(np.full(count, kind_index, np.int32))
        names = ("",) if labels is None else labels
        if labels is not None and len(names) != count:
            raise InputError(f"{len(names)} labels for {count} tasks", hint="give one label a task, or none")
        indices = np.array([self._labels.setdefault(name, len(self._labels)) for name in names], np.int32)
        self._columns.setdefault("label", []).append(np.broadcast_to(indices, (count,)))
        first = self._tasks
        self._tasks += count
        return range(first, self._tasks)

    def demand(self, task: IntLike, server: IntLike, units: IntLike = 1) -> None:
        """Let `task` hold `units` of `server`; all three may be arrays."""
        self._lists["demands"].append(list_rows(task, server, units, np.int64))

    def cross(self, task: IntLike, link: IntLike, cost: FloatLike = 1.0) -> None:
        """Let the bytes of `task` cross `link` (or an arbiter, at cost 1) at `cost` per byte."""
        self._lists["crossings"].append(list_rows(task, link, cost, np.float64))

    def member(self, task: IntLike, lease: IntLike) -> None:
        """Make `task` a member of `lease`."""
        self._lists["members"].append(list_rows(task, lease, 0, np.int64))

    def edge(self, source: IntLike, target: IntLike, *, kind: EdgeKind = EdgeKind.END, keep: bool = False) -> None:
        """Let `target` wait for the end (or start) of `source`; with `keep`, cancelling `source` satisfies the edge."""
        self._lists["edges"].append(list_rows(source, target, int(kind) + 2 * keep, np.int32))

    def chain(self, tasks: npt.ArrayLike) -> None:
        """Let each of `tasks` wait for the one before it: an in-order queue."""
        ids = np.asarray(tasks, np.int64)
        self.edge(ids[:-1], ids[1:])

    def build(self) -> TaskGraph:
        """Validate and freeze.

        Raises:
            InputError: a rule of docs/engine.md is broken; names the task or resource.
        """
        from armillary.engine.validate import validate

        return validate(self.freeze())

    def freeze(self) -> TaskGraph:
        """Return the columns as they are, unchecked; edges may point anywhere (for `append` and tests)."""
        columns: dict[str, Any] = {
            name: joined(parts, np.int32 if name in ("kind", "label") else TASK_COLUMNS[name][0])
            for name, parts in self._columns.items()
        }
        for name in ("kind", "label"):
            columns.setdefault(name, np.zeros(0, np.int32))
        lists: dict[str, Any] = {
            "demands": Ragged(*ragged(self._lists["demands"], self._tasks, np.int64)),
            "crossings": Ragged(*ragged(self._lists["crossings"], self._tasks, np.float64)),
            "members": Ragged(*ragged(self._lists["members"], self._tasks, np.int64)),
            "edges": Ragged(*ragged(self._lists["edges"], self._tasks, np.int32)),
        }
        changes = sorted(self._changes, key=lambda change: change[0])
        return TaskGraph(
            tick_s=self.tick_s,
            resources=Resources(**resource_columns(self._resources)),
            leases=Leases(
                pool=joined([lease[0] for lease in self._leases], np.int32),
                units=joined([lease[1] for lease in self._leases], np.int64),
                until_start=joined([lease[2] for lease in self._leases], np.bool_),
            ),
            changes=TimedChanges(
                tick=np.array([change[0] for change in changes], np.int64),
                resource=np.array([change[1] for change in changes], np.int32),
                value=np.array([change[2] for change in changes], np.float64),
            ),
            kinds=tuple(self._kinds) or ("",),
            labels=tuple(self._labels) or ("",),
            **columns,
            **lists,
        )
