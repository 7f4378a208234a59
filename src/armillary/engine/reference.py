"""The oracle: plays a task graph slowly and obviously, by the letter of docs/engine.md.

In:  a `TaskGraph`, a policy, calls between two `advance`.
Out: `Trace`, equal to the compiled kernel's in every start, end, cause, status and rate step.
One phase is one method; at each tick everything is scanned, at each dispatch all waiting tasks are sorted.
Links and arbiters live in reference_links.py and reference_arbiter.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from armillary.engine.graph import EdgeKind, GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.joined import joined
from armillary.engine.policy import COMMAND, OBSERVATION, PolicyFunction
from armillary.engine.reference_arbiter import ReferenceArbiter
from armillary.engine.reference_links import Flow, ReferenceLinks, TimeOverflowError, later, simple_links
from armillary.engine.reference_state import LeaseState, Lists, TaskState
from armillary.engine.trace import RateSteps, Reason, Status, Trace
from armillary.engine.validate import check_change
from armillary.errors import InputError
from armillary.units import MAX_TICKS

EXTRA_ROUNDS = 1000


class ReferenceSimulation:
    """Plays one graph; the interface is that of the compiled `Simulation`.

    Args:
        graph: what to play.
        policy: called as policy(seen, state, command) at multiples of `period` (docs/engine.md, section 9).
        period: ticks between two calls; 0 for none.
        state: handed to the policy; of an array of one record (`Policy.new_state`), that record.
    """

    def __init__(
        self, graph: TaskGraph, *, policy: PolicyFunction | None = None, period: int = 0, state: Any = None
    ) -> None:
        self.graph = graph
        self._policy = policy
        self._period = period if policy is not None else 0
        self._policy_state = state[0] if isinstance(state, np.ndarray) else state
        self._policy_tick = -1
        resources = graph.resources
        self._in_use = [0] * len(resources)
        self._rate = [1.0] * len(resources)
        self._capacity = [float(value) for value in resources.capacity]  # per second
        self._links = ReferenceLinks(graph)
        self._arbiters = {
            r: ReferenceArbiter.of(graph, r) for r in range(len(resources)) if resources.kind[r] == ResourceKind.ARBITER
        }
        self._last_release: dict[int, tuple[int, int]] = {}  # resource -> (round, task)
        self._tasks: list[TaskState] = []
        self._leases: list[LeaseState] = []
        self._unreleased: set[int] = set()
        self._start_edges: list[int] = []  # tasks that started in the previous dispatch
        self._next_change = 0
        self._steps: list[tuple[int, int, float]] = []
        self._now = 0
        self._round = 0  # rounds played so far: what happens now belongs to round number _round
        self._rounds_at_tick = 0
        self._round_is_due = True
        self._overflow = False
        self._reason = Reason.TIME
        self._add_tasks(0)

    # what the caller does

    def advance(self, until: int | None = None) -> Reason:
        """Play every round of every tick up to and including `until` (without it: until nothing is due)."""
        self._reason = self._advance(until)
        return self._reason

    def _advance(self, until: int | None) -> Reason:
        while not self._overflow:
            due = self._due()
            if due is None or (until is not None and due > until):
                self._now = max(self._now, until or 0)
                if due is not None:
                    return Reason.TIME
                ended = all(task.status >= Status.DONE for task in self._tasks)
                return Reason.IDLE if ended else Reason.DEADLOCK
            if due > MAX_TICKS:
                break
            if due > self._now:
                self._now, self._rounds_at_tick = due, 0
            if self._rounds_at_tick >= len(self._tasks) + EXTRA_ROUNDS:
                return Reason.LIVELOCK
            self._rounds_at_tick += 1
            self._round_is_due = False
            try:
                self._play_round()
            except TimeOverflowError:
                break
            self._round += 1
        self._overflow = True
        return Reason.OVERFLOW

    def set_rate(self, resource: int, factor: float) -> None:
        """Set the rate factor of a server at the present tick."""
        self._check_settable(resource, factor, "rate")
        self._change_value(resource, factor)
        self._call_round()

    def set_capacity(self, resource: int, per_second: float) -> None:
        """Set the capacity of a link or arbiter at the present tick."""
        self._check_settable(resource, per_second, "capacity")
        self._change_value(resource, per_second)
        self._call_round()

    def cancel(self, task: int) -> None:
        """Take `task` out; its targets go with it unless their edge says keep."""
        if not 0 <= task < len(self._tasks):
            raise InputError(f"task {task} does not exist", hint=f"there are {len(self._tasks)} tasks")
        self._cancel(task)
        self._call_round()

    def append(self, more: TaskGraph | GraphBuilder, *, edges: Iterable[tuple[int, int, int]] = ()) -> None:
        """Add tasks, leases and edges; see `armillary.engine.joined.joined`."""
        whole = joined(self.graph, more.freeze() if isinstance(more, GraphBuilder) else more, edges)
        lists = self._lists
        crossed = {link for t, row in enumerate(lists.crossings) if lists.bytes[t] > 0 for link, _ in row}
        for link in sorted((simple_links(self.graph) & crossed) - simple_links(whole)):
            name = whole.resources.names[link]
            raise InputError(f"the appended tasks would make {name!r} a general link, it runs as a simple one")
        first, self.graph = len(self.graph), whole
        self._links.reclassify(whole)
        self._add_tasks(first)
        self._call_round()

    def trace(self) -> Trace:
        """Return what happened so far."""
        tasks, steps = self._tasks, self._steps
        return Trace(
            graph=self.graph,
            reason=self._reason,
            now=self._now,
            start=np.array([task.start for task in tasks], np.int64),
            end=np.array([task.end for task in tasks], np.int64),
            cause=np.array([task.cause for task in tasks], np.int32),
            status=np.array([task.status for task in tasks], np.uint8),
            rate_steps=RateSteps(
                tick=np.array([step[0] for step in steps], np.int64),
                resource=np.array([step[1] for step in steps], np.int32),
                value=np.array([step[2] for step in steps], np.float64),
            ),
        )

    def blocked(self) -> list[str]:
        """Name each task that has not ended and what it waits for."""
        lines = []
        for task, state in enumerate(self._tasks):
            if state.status == Status.PENDING:
                sources = [s for s, other in enumerate(self._tasks) if other.status < Status.DONE]
                names = [
                    self.graph.task_name(s) for s in sources if task in [edge.target for edge in self._lists.edges[s]]
                ]
                lines.append(f"{self.graph.task_name(task)} waits for {', '.join(names) or 'its release'}")
            elif state.status == Status.QUEUED:
                names = [self.graph.resources.names[r] for r in self._needs(task)]
                lines.append(f"{self.graph.task_name(task)} waits for room in {', '.join(names)}")
            elif state.status == Status.RUNNING:
                lines.append(f"{self.graph.task_name(task)} runs and does not end")
        return lines

    # what happens between two rounds

    def _call_round(self) -> None:
        self._round_is_due = True
        self._rounds_at_tick = 0

    def _check_settable(self, resource: int, value: float, what: str) -> None:
        resources = self.graph.resources
        if not 0 <= resource < len(resources):
            raise InputError(f"resource {resource} does not exist", hint=f"there are {len(resources)} resources")
        kind = ResourceKind(int(resources.kind[resource]))
        check_change(resources.names[resource], kind, value)
        if (kind == ResourceKind.SERVER) != (what == "rate"):
            raise InputError(f"{resources.names[resource]!r} has no {what} to set")

    def _add_tasks(self, first: int) -> None:
        """Add the state of tasks `first` and later, and settle the edges that lead to them from earlier ones."""
        graph = self.graph
        lists = self._lists = Lists.of(graph)
        self._leases += [LeaseState(at_start) for at_start in lists.until_start[len(self._leases) :]]
        self._tasks += [TaskState() for _ in range(first, len(graph))]
        for task in range(first, len(graph)):
            for lease in lists.leases[task]:
                self._leases[lease].members += 1
            if lists.release[task] > self._now:
                self._tasks[task].waiting += 1
                self._unreleased.add(task)
        doomed = []
        for source in range(len(graph)):
            for edge in lists.edges[source]:
                if edge.target >= first:
                    state = self._tasks[source]
                    started = state.start >= 0 and source not in self._start_edges
                    if state.status == Status.CANCELLED and not edge.keep:
                        doomed.append(edge.target)
                    elif not (state.status >= Status.DONE or (edge.kind == EdgeKind.START and started)):
                        self._tasks[edge.target].waiting += 1
        for task in range(first, len(graph)):
            if self._tasks[task].waiting == 0:
                self._make_ready(task, -1)
        for task in doomed:
            self._cancel(task)

    def _cancel(self, task: int) -> None:
        state = self._tasks[task]
        if state.status >= Status.DONE:
            return
        was_running = state.status == Status.RUNNING
        state.status = Status.CANCELLED
        self._unreleased.discard(task)
        if was_running:
            state.end = self._now
            state.launch = state.work_end = None
            self._links.leave(task, self._now)
            for arbiter in self._arbiters.values():
                arbiter.cancel(task)
            self._give_back_units(task)
        for lease in self._lists.leases[task]:
            if not (was_running and self._leases[lease].until_start):
                self._leases[lease].let_go(task)
        start_edges_open = not was_running or task in self._start_edges
        if task in self._start_edges:
            self._start_edges.remove(task)
        for edge in self._lists.edges[task]:
            if edge.kind == EdgeKind.END or start_edges_open:
                if edge.keep:
                    self._satisfy(edge.target, task)
                else:
                    self._cancel(edge.target)

    # looking things up

    def _untaken(self, task: int) -> list[int]:
        return [lease for lease in self._lists.leases[task] if not self._leases[lease].taken]

    def _needs(self, task: int) -> dict[int, int]:
        """Units that `task` takes of each resource when it starts: it queues at these."""
        needs = dict(self._lists.demands[task])
        for lease in self._untaken(task):
            pool = self._lists.pool[lease]
            needs[pool] = needs.get(pool, 0) + self._lists.lease_units[lease]
        return needs

    def _with_status(self, status: Status) -> list[int]:
        return [task for task, state in enumerate(self._tasks) if state.status == status]

    # what is due

    def _due(self) -> int | None:
        """Return the smallest tick at which anything is due; None for nothing."""
        ticks = [tick for state in self._tasks for tick in (state.launch, state.work_end) if tick is not None]
        ticks += self._links.due()
        ticks += [arbiter.end for arbiter in self._arbiters.values() if arbiter.end is not None]
        ticks += [self._lists.release[task] for task in self._unreleased]
        ticks += self.graph.changes.tick[self._next_change :].tolist()
        if self._round_is_due or self._start_edges or any(lease.is_due for lease in self._leases):
            ticks.append(self._now)
        if self._period and (ticks or self._links.flows):
            ticks.append((self._now // self._period + 1) * self._period)
        return min(ticks, default=None)

    # one round: its seven phases

    def _play_round(self) -> None:
        self._complete()
        self._release()
        self._change()
        self._arrive()
        self._call_policy()
        self._dispatch()
        self._settle()

    def _complete(self) -> None:
        """Phase 1: every part that is due, then the tasks whose last part that was."""
        for task in self._links.finished(self._now):
            self._tasks[task].moving = False
        for task in self._with_status(Status.RUNNING):
            if self._tasks[task].launch == self._now:
                self._launch(task)
            if self._tasks[task].work_end == self._now:
                self._tasks[task].work_end = None
        for arbiter in self._arbiters.values():
            for task in arbiter.finished(self._now):
                self._tasks[task].moving = False
        for task in self._with_status(Status.RUNNING):
            state = self._tasks[task]
            if state.launch is None and state.work_end is None and not state.moving:
                state.status = Status.DONE
                state.end = self._now
                self._give_back_units(task)
                for lease in self._lists.leases[task]:
                    if not self._leases[lease].until_start:
                        self._leases[lease].let_go(task)
                for edge in self._lists.edges[task]:
                    if edge.kind == EdgeKind.END:
                        self._satisfy(edge.target, task)

    def _release(self) -> None:
        """Phase 2: leases that are due go back to their pools; edges from starts are satisfied."""
        for index, lease in enumerate(self._leases):
            if lease.is_due:
                lease.returned = True
                pool = self._lists.pool[index]
                self._in_use[pool] -= self._lists.lease_units[index]
                self._last_release[pool] = (self._round, lease.last_gone)
            lease.last_gone = -1
        starters, self._start_edges = sorted(self._start_edges), []
        for task in starters:
            for edge in self._lists.edges[task]:
                if edge.kind == EdgeKind.START:
                    self._satisfy(edge.target, task)

    def _change(self) -> None:
        """Phase 3: timed changes."""
        changes = self.graph.changes
        while self._next_change < len(changes.tick) and changes.tick[self._next_change] == self._now:
            self._change_value(int(changes.resource[self._next_change]), float(changes.value[self._next_change]))
            self._next_change += 1

    def _arrive(self) -> None:
        """Phase 4: tasks whose release is now."""
        for task in sorted(self._unreleased):
            if self._lists.release[task] == self._now:
                self._unreleased.discard(task)
                self._satisfy(task, -1)

    def _call_policy(self) -> None:
        """Phase 5: the policy, at most once a tick, never at tick 0."""
        if not self._period or self._now == 0 or self._now % self._period or self._policy_tick == self._now:
            return
        assert self._policy is not None
        self._policy_tick = self._now
        seen, command = self._observe(), np.zeros(len(self.graph.resources), COMMAND)
        for name in COMMAND.names or ():
            command[name] = -1
        self._policy(seen, self._policy_state, command)
        for resource in range(len(command)):
            self._obey(resource, *(int(command[name][resource]) for name in ("rate_ppm", "capacity", "threshold")))

    def _dispatch(self) -> None:
        """Phase 6: one pass over the waiting tasks in ascending key."""
        waiting = sorted(
            self._with_status(Status.QUEUED),
            key=lambda task: (self._lists.priority[task], self._tasks[task].ready_round, task),
        )
        queued_at = {task: list(self._needs(task)) for task in waiting}
        untaken = {task: self._untaken(task) for task in waiting}
        last_start: dict[int, int] = {}  # resource -> task that took units of it most recently
        taker: dict[int, int] = {}  # lease -> task that took it in this dispatch
        for position, task in enumerate(waiting):
            earlier = [other for other in waiting[:position] if self._tasks[other].status == Status.QUEUED]
            needs = self._needs(task)
            if not all(self._has_room(r, units) and self._may_enter(r, earlier) for r, units in needs.items()):
                continue
            releases = [last for r in queued_at[task] if (last := self._released_now(r)) >= 0]
            starts = [last_start[r] for r in needs if r in last_start]
            starts += [taker[lease] for lease in untaken[task] if lease in taker]
            if self._tasks[task].ready_round == self._round:
                self._tasks[task].cause = self._tasks[task].ready_source
            else:
                self._tasks[task].cause = max(releases or starts, default=-1)
            last_start.update(dict.fromkeys(needs, task))
            taker.update(dict.fromkeys(self._untaken(task), task))
            self._start(task, needs)

    def _settle(self) -> None:
        """Phase 7: links and arbiters that were touched."""
        self._links.settle(self._now)
        for arbiter in self._arbiters.values():
            arbiter.settle(self._now)

    # steps of the phases

    def _make_ready(self, task: int, source: int) -> None:
        state = self._tasks[task]
        state.status, state.ready_round, state.ready_source = Status.QUEUED, self._round, source

    def _satisfy(self, task: int, source: int) -> None:
        state = self._tasks[task]
        if state.status == Status.PENDING:
            state.waiting -= 1
            if state.waiting == 0:
                self._make_ready(task, source)

    def _has_room(self, resource: int, units: int) -> bool:
        return self._in_use[resource] + units <= self._lists.units[resource]

    def _may_enter(self, resource: int, earlier: list[int]) -> bool:
        return self._lists.backfill[resource] or not any(resource in self._needs(other) for other in earlier)

    def _released_now(self, resource: int) -> int:
        noted_round, task = self._last_release.get(resource, (-1, -1))
        return task if noted_round == self._round else -1

    def _give_back_units(self, task: int) -> None:
        for server, units in self._lists.demands[task]:
            self._in_use[server] -= units
            self._last_release[server] = (self._round, task)

    def _start(self, task: int, needs: dict[int, int]) -> None:
        state = self._tasks[task]
        state.status = Status.RUNNING
        state.start = self._now
        for resource, units in needs.items():
            self._in_use[resource] += units
        for lease in self._lists.leases[task]:
            self._leases[lease].taken = True
            if self._leases[lease].until_start:
                self._leases[lease].let_go(task)
        self._start_edges.append(task)
        state.launch = later(self._now, self._lists.latency[task])
        if state.launch == self._now:
            self._launch(task)

    def _launch(self, task: int) -> None:
        """Begin the work and let the bytes enter."""
        lists, state = self._lists, self._tasks[task]
        state.launch = None
        state.work_since = self._now
        state.left = float(lists.duration[task])
        state.speed = self._speed(task)
        state.steady = state.speed == 1.0
        self._set_work_end(task)
        if lists.bytes[task] > 0 and lists.crossings[task]:
            state.moving = True
            first = lists.crossings[task][0][0]
            if first in self._arbiters:
                self._arbiters[first].launch(task, lists.traffic_class[task], lists.bytes[task])
            else:
                flow = Flow(lists.bytes[task], tuple(lists.crossings[task]), lists.cap[task], lists.weight[task])
                self._links.join(task, flow, self._now)

    def _speed(self, task: int) -> float:
        demands = self._lists.demands[task]
        rate = self._rate[demands[0][0]] if demands else 1.0
        b = self._lists.sensitivity[task]
        return 1.0 if rate == 1.0 or b == 0.0 else 1.0 / (b / rate + 1.0 - b)

    def _set_work_end(self, task: int) -> None:
        state = self._tasks[task]
        if state.steady:
            state.work_end = later(state.work_since, self._lists.duration[task])
        else:
            state.work_end = max(self._now, later(state.work_since, state.left / state.speed))

    def _change_value(self, resource: int, value: float) -> None:
        """Set a rate factor or a capacity per second, unless it has that value already."""
        is_server = self._lists.kind[resource] == ResourceKind.SERVER
        present = self._rate if is_server else self._capacity
        if present[resource] == value:
            return
        present[resource] = value
        self._steps.append((self._now, resource, value))
        if is_server:
            for task in self._with_status(Status.RUNNING):
                if self._lists.demands[task] and self._lists.demands[task][0][0] == resource:
                    self._change_speed(task)
        elif resource in self._arbiters:
            self._arbiters[resource].capacity = value * self.graph.tick_s
            self._arbiters[resource].touched = True
        else:
            self._links.set_capacity(resource, value * self.graph.tick_s, self._now)

    def _change_speed(self, task: int) -> None:
        state = self._tasks[task]
        speed = self._speed(task)
        if state.work_end is None or speed == state.speed:
            return
        if self._now > state.work_since:
            state.left = max(0.0, state.left - (self._now - state.work_since) * state.speed)
            state.work_since = self._now
        state.speed, state.steady = speed, False
        self._set_work_end(task)

    def _observe(self) -> Any:
        """Return what a policy sees of each resource."""
        seen = np.zeros(len(self.graph.resources), OBSERVATION)
        # What became ready in this round has not queued yet: it may start at once in phase 6.
        queued = [task for task in self._with_status(Status.QUEUED) if self._tasks[task].ready_round < self._round]
        queues = [self._needs(task) for task in queued]
        for r, kind in enumerate(self._lists.kind):
            arbiter = self._arbiters.get(r)
            flows = sum(any(link == r for link, _ in flow.crossings) for flow in self._links.flows.values())
            seen[r] = (
                self._now,
                len(arbiter.device) if arbiter else self._in_use[r],
                self._lists.units[r],
                sum(r in needs for needs in queues),
                len(arbiter.present) if arbiter else flows,
                arbiter.backlog() if arbiter else 0,
                math.floor(self._rate[r] * 1e6) if kind == ResourceKind.SERVER else 0,
                math.floor(self._capacity[r]) if kind >= ResourceKind.LINK else 0,
            )
        return seen

    def _obey(self, resource: int, rate_ppm: int, capacity: int, threshold: int) -> None:
        kind = self._lists.kind[resource]
        if rate_ppm > 0 and kind == ResourceKind.SERVER:
            self._change_value(resource, rate_ppm / 1e6)
        if kind >= ResourceKind.LINK and capacity >= (0 if kind == ResourceKind.LINK else 1):
            self._change_value(resource, float(capacity))
        arbiter = self._arbiters.get(resource)
        if arbiter and threshold >= 1 and threshold != arbiter.threshold:
            arbiter.threshold = threshold
            arbiter.touched = True
