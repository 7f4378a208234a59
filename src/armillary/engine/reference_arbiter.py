"""Arbiters of the reference executor: trains of bytes served quantum by quantum (docs/engine.md, section 7).

In:  trains that launch or are cancelled, capacity and threshold changes, the present tick.
Out: the tick at which the quantum in service ends, and the tasks whose last quantum was served.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from armillary.engine.graph import Discipline, TaskGraph
from armillary.engine.reference_links import later


@dataclass(slots=True)
class Train:
    """Bytes of one task, cut into quanta; the first `issued` ones went to the device queue."""

    task: int
    traffic_class: int
    bytes: float
    quanta: int
    order: int = 0  # of arrival at this arbiter
    issued: int = 0

    def last_bytes(self, quantum_bytes: float) -> float:
        """Return the size of the last quantum."""
        return self.bytes - (self.quanta - 1) * quantum_bytes

    def next_bytes(self, quantum_bytes: float) -> float:
        """Return the size of the quantum that is issued next."""
        return quantum_bytes if self.issued < self.quanta - 1 else self.last_bytes(quantum_bytes)


@dataclass(frozen=True, slots=True)
class Quantum:
    """One entry of the device queue; `last` marks the end of its train."""

    task: int
    traffic_class: int
    bytes: float
    last: bool


@dataclass(slots=True)
class ReferenceArbiter:
    """One arbiter: a backlog of trains a class, and the device queue."""

    capacity: float  # bytes per tick
    quantum_bytes: float
    depth: int
    discipline: Discipline
    threshold: int
    age_limit: int
    cost: list[float]
    waiting: list[list[Train]]  # one list a class, in order of arrival
    head_since: list[int]
    arriving: list[Train] = field(default_factory=list)  # in this round
    arrived: int = 0
    device: list[Quantum] = field(default_factory=list)
    present: set[int] = field(default_factory=set)  # tasks whose train is not done
    end: int | None = None  # of the quantum in service
    last_issued: int = -1
    backlog_bytes: float = 0.0
    touched: bool = False

    @classmethod
    def of(cls, graph: TaskGraph, resource: int) -> ReferenceArbiter:
        """Build the arbiter that `resource` of `graph` describes."""
        columns = graph.resources
        classes = columns.class_cost.shape[1]
        return cls(
            capacity=float(columns.capacity[resource]) * graph.tick_s,
            quantum_bytes=float(columns.quantum_bytes[resource]),
            depth=int(columns.depth[resource]),
            discipline=Discipline(int(columns.discipline[resource])),
            threshold=int(columns.threshold[resource]),
            age_limit=int(columns.age_limit[resource]),
            cost=columns.class_cost[resource].tolist(),
            waiting=[[] for _ in range(classes)],
            head_since=[0] * classes,
        )

    def launch(self, task: int, traffic_class: int, bytes_: float) -> None:
        """Let the train of `task` arrive."""
        quanta = max(1, math.ceil(bytes_ / self.quantum_bytes))
        self.arriving.append(Train(task, traffic_class, bytes_, quanta))
        self.touched = True

    def cancel(self, task: int) -> None:
        """Forget what was not issued; issued quanta are served for nobody."""
        self.arriving = [train for train in self.arriving if train.task != task]
        if task not in self.present:
            return
        self.present.discard(task)
        for trains in self.waiting:
            for train in [train for train in trains if train.task == task]:
                trains.remove(train)
                self.backlog_bytes -= (train.quanta - train.issued - 1) * self.quantum_bytes + train.last_bytes(
                    self.quantum_bytes
                )
        self._close_backlog()
        self.touched = True

    def finished(self, now: int) -> list[int]:
        """Take the quantum that ends at `now` and return its task if the train is done with it."""
        if self.end != now:
            return []
        quantum = self.device.pop(0)
        self.end = None
        self.touched = True
        if quantum.last and quantum.task in self.present:
            self.present.discard(quantum.task)
            return [quantum.task]
        return []

    def settle(self, now: int) -> None:
        """Issue while the discipline gives a class, then begin service if the device is idle (phase 7)."""
        if not self.touched:
            return
        self.touched = False
        self._take_arrivals(now)
        while len(self.device) < self.depth:
            chosen = self._choose(now)
            if chosen is None:
                break
            self._issue(chosen, now)
        if self.end is None and self.device:
            quantum = self.device[0]
            ticks = quantum.bytes * self.cost[quantum.traffic_class] / self.capacity
            self.end = later(now, max(1.0, ticks))

    def _take_arrivals(self, now: int) -> None:
        for train in sorted(self.arriving, key=lambda train: train.task):
            self.present.add(train.task)
            self.backlog_bytes += train.bytes
            train.order = self.arrived
            self.arrived += 1
            if not self.waiting[train.traffic_class]:
                self.head_since[train.traffic_class] = now
            self.waiting[train.traffic_class].append(train)
        self.arriving = []

    def _issue(self, traffic_class: int, now: int) -> None:
        train = self.waiting[traffic_class][0]
        size = train.next_bytes(self.quantum_bytes)
        train.issued += 1
        self.backlog_bytes -= size
        self.device.append(Quantum(train.task, traffic_class, size, last=train.issued == train.quanta))
        if train.issued == train.quanta:
            self.waiting[traffic_class].pop(0)
        self.head_since[traffic_class] = now
        self.last_issued = traffic_class
        self._close_backlog()

    def _close_backlog(self) -> None:
        if not any(self.waiting):
            self.backlog_bytes = 0.0

    def _choose(self, now: int) -> int | None:
        classes = range(len(self.waiting))
        backlogged = [c for c in classes if self.waiting[c]]
        if not backlogged:
            return None
        if self.discipline == Discipline.FIFO:
            return min(backlogged, key=lambda c: self.waiting[c][0].order)
        if self.discipline == Discipline.ROUND_ROBIN:
            turn = [(self.last_issued + 1 + step) % len(classes) for step in classes]
            return next(c for c in turn if self.waiting[c])
        aged = [c for c in backlogged if c > 0 and now - self.head_since[c] >= self.age_limit]
        if aged:
            return aged[0]
        if self.waiting[0]:
            return 0
        return backlogged[0] if len(self.device) < self.threshold else None

    def backlog(self) -> int:
        """Whole bytes that were not issued yet."""
        return math.floor(self.backlog_bytes)
