"""What happened, as columns: the one record on which every figure is measured.

In:  a `Trace` of either executor (`Timeline.from_trace`), or a saved one (`Timeline.load`).
Out: `Timeline`, frozen; sets of tasks are boolean masks (`on`, `of_kind`), which combine with `|`, `&` and `~`;
     unions, overlaps, idle time, utilisation, what is in use, bytes and power over time, the critical path.
Times are integer ticks inside and seconds where a name ends in `_s`; sums are sums of integers, so they repeat exactly.
A started task that has not ended counts up to `now`; energy and bytes of a task count in full once it has started.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import FloatArray, IntArray, Ragged, ResourceKind, SmallIntArray
from armillary.engine.trace import RateSteps, Reason, Trace
from armillary.errors import InputError, unknown_name
from armillary.timeline.intervals import Intervals, union
from armillary.timeline.steps import Spread, Steps, add_up, spread

if TYPE_CHECKING:
    import polars

    from armillary.timeline.critical_path import CriticalPath
    from armillary.timeline.power import Power

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ResourceTable:
    """The resources that tasks held or crossed, shape (resources,)."""

    names: tuple[str, ...]
    kind: SmallIntArray  # ResourceKind
    units: IntArray  # servers and pools
    capacity: FloatArray  # per second; links and arbiters, before any rate step

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the index of the resource called `name`.

        Raises:
            InputError: there is none; names the nearest.
        """
        if name not in self.names:
            raise unknown_name("resource", name, self.names)
        return self.names.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class LeaseSpans:
    """Leases that were taken, in the order of the tasks that took them, shape (spans,)."""

    task: SmallIntArray  # the first member to start
    pool: SmallIntArray
    units: IntArray
    start: IntArray  # ticks
    end: IntArray  # ticks; `now` for one that was not returned


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What happened; task columns have shape (tasks,), ticks of `tick_s` seconds; -1 where it never happened."""

    tick_s: float
    reason: Reason
    now: int
    resources: ResourceTable
    kinds: tuple[str, ...]
    labels: tuple[str, ...]
    start: IntArray
    end: IntArray
    ready: IntArray  # when edges and release had let the task go; it waited start - ready
    cause: SmallIntArray  # the task that let it start, -1: none
    cause_kind: npt.NDArray[np.uint8]  # Cause
    status: npt.NDArray[np.uint8]
    kind: SmallIntArray  # index into kinds
    label: SmallIntArray  # index into labels
    latency: IntArray
    duration: IntArray  # least time of the work, at full speed
    bytes: FloatArray
    energy_fj: IntArray
    demands: Ragged  # server, units
    crossings: Ragged  # link or arbiter, cost per byte (class cost included)
    leases: LeaseSpans
    rate_steps: RateSteps

    @classmethod
    def from_trace(cls, trace: Trace) -> Timeline:
        """Return the timeline of a run: the trace's columns, joined with what the graph knows."""
        from armillary.timeline.joining import join

        return join(trace)

    @classmethod
    def load(cls, folder: Path) -> Timeline:
        """Read the timeline of a run folder.

        Raises:
            InputError: no finished run, no `timeline.parquet` in it, or one that is damaged or of another schema.
        """
        from armillary.timeline.parquet import load_timeline

        return load_timeline(folder)

    def save(self, folder: Path, *, overwrite: bool = False) -> None:
        """Write `timeline.parquet` and its manifest to `folder`; what a killed writer leaves is refused by `load`.

        Raises:
            InputError: the folder is not empty and not ours to overwrite.
        """
        from armillary.timeline.parquet import save_timeline

        save_timeline(self, folder, overwrite=overwrite)

    def digest(self) -> str:
        """Return the SHA-256 of the values of all columns; equal for equal timelines, on every machine."""
        from armillary.store.keys import content_key

        texts = (self.resources.names, self.kinds, self.labels)
        # Lengths and one joined text: a hundred thousand names would be fed one by one.
        names = [(np.array([len(name) for name in text], np.int64), "".join(text)) for text in texts]
        values = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("resources", "kinds", "labels")
        }
        return content_key(names, self.resources.kind, self.resources.units, self.resources.capacity, values)

    def __len__(self) -> int:
        return len(self.start)

    # the span of time

    @property
    def ticks(self) -> int:
        """Length of the run: the last end, or `now` if the run stopped before all was done."""
        return int(self.end.max(initial=0)) if self.reason == Reason.IDLE else self.now

    @property
    def makespan_s(self) -> float:
        """Length of the run, seconds."""
        return self.ticks * self.tick_s

    @property
    def stop(self) -> IntArray:
        """End of each task, `now` for one that still runs, -1 for one that never started."""
        return np.where((self.start >= 0) & (self.end < 0), self.now, np.where(self.start >= 0, self.end, -1))

    # sets of tasks

    def on(self, *resources: str) -> Mask:
        """Mark the tasks that held units of any of these servers, or whose bytes crossed any of these links.

        Raises:
            InputError: an unknown name, or a pool (leases are held by several tasks: see `in_use`).
        """
        wanted = np.zeros(len(self.resources), np.bool_)
        for name in resources:
            index = self.resources.index(name)
            if self.resources.kind[index] == ResourceKind.POOL:
                raise InputError(f"{name!r} is a pool, on which no task runs", hint="use in_use to see its units")
            wanted[index] = True
        marked = np.zeros(len(self), np.bool_)
        for lists in (self.demands, self.crossings):
            rows = np.repeat(np.arange(len(self)), np.diff(lists.offset))
            marked[rows[wanted[lists.index]]] = True
        return marked

    def of_kind(self, *kinds: str) -> Mask:
        """Mark the tasks of any of these kinds.

        Raises:
            InputError: no task has such a kind; names the nearest.
        """
        unknown = [kind for kind in kinds if kind not in self.kinds]
        if unknown:
            raise unknown_name("task kind", unknown[0], self.kinds)
        return np.isin(self.kind, [self.kinds.index(kind) for kind in kinds])

    def _started(self, tasks: Mask | None) -> Mask:
        return self.start >= 0 if tasks is None else (self.start >= 0) & tasks

    # time in use

    def busy_intervals(self, tasks: Mask | None = None) -> Intervals:
        """Return the time in which at least one of `tasks` (None: all) ran, latency included."""
        chosen = self._started(tasks)
        return union(self.start[chosen], self.stop[chosen])

    def union_s(self, tasks: Mask | None = None) -> float:
        """Return the length of the time in which at least one of `tasks` ran, seconds."""
        return self.busy_intervals(tasks).ticks * self.tick_s

    def overlap_s(self, first: Mask, second: Mask) -> float:
        """Return the length of the time in which a task of `first` and one of `second` ran, seconds."""
        return (self.busy_intervals(first) & self.busy_intervals(second)).ticks * self.tick_s

    def idle_s(self, tasks: Mask | None = None) -> float:
        """Return the length of the time in which none of `tasks` ran, seconds."""
        return (self.ticks - self.busy_intervals(tasks).ticks) * self.tick_s

    def duration_sum_s(self, tasks: Mask | None = None) -> float:
        """Return the sum of the durations of `tasks`, start to end, seconds."""
        chosen = self._started(tasks)
        return int((self.stop[chosen] - self.start[chosen]).sum()) * self.tick_s

    def energy_sum_fj(self, tasks: Mask | None = None) -> int:
        """Return the energy of `tasks` that started, femtojoules."""
        return int(self.energy_fj[self._started(tasks)].sum())

    def utilisation(self, resource: str) -> float:
        """Return the used share of what `resource` could have given over the run, 0..1 (0 for an empty run).

        Server or pool: units x time held. Link or arbiter: bytes x cost per byte, over capacity x time.
        """
        return float(self.utilisations()[self.resources.index(resource)])

    def utilisations(self) -> FloatArray:
        """Return `utilisation` of every resource, shape (resources,)."""
        from armillary.timeline.usage import utilisations

        return utilisations(self)

    # values over time

    def in_use(self, resource: str) -> Steps:
        """Return the units of a server or pool in use (for a link or arbiter: the flows on it) over time.

        Exact at every tick, after all that happens in it. A lease whose last open member was cancelled before it
        started is shown as returned when its other members were done.
        """
        index = self.resources.index(resource)
        if self.resources.kind[index] == ResourceKind.POOL:
            held = self.leases.pool == index
            start, end, units = self.leases.start[held], self.leases.end[held], self.leases.units[held]
        else:
            lists = self.demands if self.resources.kind[index] == ResourceKind.SERVER else self.crossings
            task = np.repeat(np.arange(len(self)), np.diff(lists.offset))
            chosen = (lists.index == index) & (self.start[task] >= 0)
            task = task[chosen]
            start, end = self.start[task], self.stop[task]
            units = lists.value[chosen] if lists is self.demands else np.ones(len(task), np.int64)
        return add_up(np.concatenate([start, end]), np.concatenate([units, -units]).astype(np.int64))

    def moved_bytes(self, tasks: Mask | None = None) -> Spread:
        """Return the rate of the bytes of `tasks` over time, each task's spread evenly from launch to end.

        Bytes are rounded to whole ones, a task. The rates that flows had in between are not recorded; their totals are.
        """
        chosen = self._started(tasks) & (self.bytes > 0)
        stop = self.stop[chosen]
        launch = np.minimum(self.start[chosen] + self.latency[chosen], stop)
        return spread(launch, stop, np.rint(self.bytes[chosen]).astype(np.int64))

    def power(self, *, static_w: float = 0.0, tasks: Mask | None = None) -> Power:
        """Return power over time: the energy of each task spread over it, plus `static_w` from 0 to the end of the run.

        Raises:
            InputError: `static_w` is negative or not finite.
        """
        from armillary.timeline.power import power

        return power(self, static_w=static_w, tasks=tasks)

    def critical_path(self) -> CriticalPath:
        """Return the chain of causes that leads to the last end; its steps fill the run from 0 to there."""
        from armillary.timeline.critical_path import critical_path

        return critical_path(self)

    def frame(self, name: str) -> polars.DataFrame:
        """Return the table "tasks", "resources" or "counters".

        Raises:
            InputError: another name.
        """
        from armillary.timeline.frames import frame

        return frame(self, name)
