"""The oracle: plays a task graph slowly and obviously, by the letter of docs/engine.md.

In:  a `TaskGraph`, a policy, calls between two `advance`.
Out: `Trace`, equal to the compiled kernel's in every start, end, cause, status and rate step.
One phase is one method; at each tick everything is scanned, at each dispatch all waiting tasks are sorted.
The steps of which they are made live in reference_run.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from armillary.engine.blocked import blocked_tasks
from armillary.engine.graph import EdgeKind, GraphBuilder, TaskGraph
from armillary.engine.joined import joined
from armillary.engine.policy import COMMAND, PolicyFunction
from armillary.engine.reference_links import TimeOverflowError, simple_links
from armillary.engine.reference_policy import obey, observe
from armillary.engine.reference_run import ReferenceRun
from armillary.engine.trace import RateSteps, Reason, Status, Trace
from armillary.engine.validate import check_settable
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
        self._run = ReferenceRun(graph)
        self._policy = policy
        self._period = period if policy is not None else 0
        self._policy_state = state[0] if isinstance(state, np.ndarray) else state
        self._policy_tick = -1
        self._next_change = 0
        self._rounds_at_tick = 0
        self._round_is_due = True
        self._overflow = False
        self._reason = Reason.TIME

    @property
    def graph(self) -> TaskGraph:
        """What is played, with all that was appended."""
        return self._run.graph

    # what the caller does

    def advance(self, until: int | None = None) -> Reason:
        """Play every round of every tick up to and including `until` (without it: until nothing is due)."""
        self._reason = self._advance(until)
        return self._reason

    def _advance(self, until: int | None) -> Reason:
        while not self._overflow:
            due = self._due()
            if due is None or (until is not None and due > until):
                self._run.now = max(self._run.now, until or 0)
                if due is not None:
                    return Reason.TIME
                ended = all(task.status >= Status.DONE for task in self._run.tasks)
                return Reason.IDLE if ended else Reason.DEADLOCK
            if due > MAX_TICKS:
                break
            if due > self._run.now:
                self._run.now, self._rounds_at_tick = due, 0
            if self._rounds_at_tick >= len(self._run.tasks) + EXTRA_ROUNDS:
                return Reason.LIVELOCK
            self._rounds_at_tick += 1
            self._round_is_due = False
            try:
                self._play_round()
            except TimeOverflowError:
                break
            self._run.round += 1
        self._overflow = True
        return Reason.OVERFLOW

    def set_rate(self, resource: int, factor: float) -> None:
        """Set the rate factor of a server at the present tick."""
        check_settable(self.graph.resources, resource, factor, rate=True)
        try:
            self._run.change_value(resource, factor)
        except TimeOverflowError:
            self._overflow = True
        self._call_round()

    def set_capacity(self, resource: int, per_second: float) -> None:
        """Set the capacity of a link or arbiter at the present tick."""
        check_settable(self.graph.resources, resource, per_second, rate=False)
        self._run.change_value(resource, per_second)
        self._call_round()

    def cancel(self, task: int) -> None:
        """Take `task` out; its targets go with it unless their edge says keep."""
        if not 0 <= task < len(self._run.tasks):
            raise InputError(f"task {task} does not exist", hint=f"there are {len(self._run.tasks)} tasks")
        self._run.cancel(task)
        self._call_round()

    def append(self, more: TaskGraph | GraphBuilder, *, edges: Iterable[tuple[int, int, int]] = ()) -> None:
        """Add tasks, leases and edges; see `armillary.engine.joined.joined`."""
        whole = joined(self._run.graph, more.freeze() if isinstance(more, GraphBuilder) else more, edges)
        lists = self._run.lists
        crossed = {link for t, row in enumerate(lists.crossings) if lists.bytes[t] > 0 for link, _ in row}
        for link in sorted((simple_links(self._run.graph) & crossed) - simple_links(whole)):
            name = whole.resources.names[link]
            raise InputError(f"the appended tasks would make {name!r} a general link, it runs as a simple one")
        first, self._run.graph = len(self._run.graph), whole
        self._run.links.reclassify(whole)
        self._run.add_tasks(first)
        self._call_round()

    def trace(self) -> Trace:
        """Return what happened so far."""
        tasks, steps = self._run.tasks, self._run.rate_steps
        return Trace(
            graph=self._run.graph,
            reason=self._reason,
            now=self._run.now,
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
        status = np.array([task.status for task in self._run.tasks], np.uint8)
        return blocked_tasks(self.graph, status, lambda task: list(self._run.needs(task)))

    # what happens between two rounds

    def _call_round(self) -> None:
        self._round_is_due = True
        self._rounds_at_tick = 0

    # what is due

    def _due(self) -> int | None:
        """Return the smallest tick at which anything is due; None for nothing."""
        ticks = [tick for state in self._run.tasks for tick in (state.launch, state.work_end) if tick is not None]
        ticks += self._run.links.due()
        ticks += [arbiter.end for arbiter in self._run.arbiters.values() if arbiter.end is not None]
        ticks += [self._run.lists.release[task] for task in self._run.unreleased]
        ticks += self._run.graph.changes.tick[self._next_change :].tolist()
        if self._round_is_due or self._run.start_edges or any(lease.is_due for lease in self._run.leases):
            ticks.append(self._run.now)
        if self._period and (ticks or self._run.links.flows):
            ticks.append((self._run.now // self._period + 1) * self._period)
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
        for task in self._run.links.finished(self._run.now):
            self._run.tasks[task].moving = False
        for task in self._run.with_status(Status.RUNNING):
            if self._run.tasks[task].launch == self._run.now:
                self._run.launch(task)
            if self._run.tasks[task].work_end == self._run.now:
                self._run.tasks[task].work_end = None
        for arbiter in self._run.arbiters.values():
            for task in arbiter.finished(self._run.now):
                self._run.tasks[task].moving = False
        for task in self._run.with_status(Status.RUNNING):
            state = self._run.tasks[task]
            if state.launch is None and state.work_end is None and not state.moving:
                state.status = Status.DONE
                state.end = self._run.now
                self._run.give_back_units(task)
                for lease in self._run.lists.leases[task]:
                    if not self._run.leases[lease].until_start:
                        self._run.leases[lease].let_go(task)
                for edge in self._run.lists.edges[task]:
                    if edge.kind == EdgeKind.END:
                        self._run.satisfy(edge.target, task)

    def _release(self) -> None:
        """Phase 2: leases that are due go back to their pools; edges from starts are satisfied."""
        for index, lease in enumerate(self._run.leases):
            if lease.is_due:
                lease.returned = True
                pool = self._run.lists.pool[index]
                self._run.in_use[pool] -= self._run.lists.lease_units[index]
                self._run.last_release[pool] = (self._run.round, lease.last_gone)
            lease.last_gone = -1
        starters, self._run.start_edges = sorted(self._run.start_edges), []
        for task in starters:
            for edge in self._run.lists.edges[task]:
                if edge.kind == EdgeKind.START:
                    self._run.satisfy(edge.target, task)

    def _change(self) -> None:
        """Phase 3: timed changes."""
        changes = self._run.graph.changes
        while self._next_change < len(changes.tick) and changes.tick[self._next_change] == self._run.now:
            self._run.change_value(int(changes.resource[self._next_change]), float(changes.value[self._next_change]))
            self._next_change += 1

    def _arrive(self) -> None:
        """Phase 4: tasks whose release is now."""
        for task in sorted(self._run.unreleased):
            if self._run.lists.release[task] == self._run.now:
                self._run.unreleased.discard(task)
                self._run.satisfy(task, -1)

    def _call_policy(self) -> None:
        """Phase 5: the policy, at most once a tick, never at tick 0."""
        if not self._period or self._run.now == 0 or self._run.now % self._period or self._policy_tick == self._run.now:
            return
        assert self._policy is not None
        self._policy_tick = self._run.now
        seen, command = observe(self._run), np.zeros(len(self._run.graph.resources), COMMAND)
        for name in COMMAND.names or ():
            command[name] = -1
        self._policy(seen, self._policy_state, command)
        for resource in range(len(command)):
            obey(self._run, resource, *(int(command[name][resource]) for name in ("rate_ppm", "capacity", "threshold")))

    def _dispatch(self) -> None:
        """Phase 6: one pass over the waiting tasks in ascending key."""
        waiting = sorted(
            self._run.with_status(Status.QUEUED),
            key=lambda task: (self._run.lists.priority[task], self._run.tasks[task].ready_round, task),
        )
        queued_at = {task: list(self._run.needs(task)) for task in waiting}
        untaken = {task: self._run.untaken(task) for task in waiting}
        last_start: dict[int, int] = {}  # resource -> task that took units of it most recently
        taker: dict[int, int] = {}  # lease -> task that took it in this dispatch
        for position, task in enumerate(waiting):
            earlier = [other for other in waiting[:position] if self._run.tasks[other].status == Status.QUEUED]
            needs = self._run.needs(task)
            if not all(self._run.has_room(r, units) and self._run.may_enter(r, earlier) for r, units in needs.items()):
                continue
            releases = [last for r in queued_at[task] if (last := self._run.released_now(r)) >= 0]
            starts = [last_start[r] for r in needs if r in last_start]
            starts += [taker[lease] for lease in untaken[task] if lease in taker]
            if self._run.tasks[task].ready_round == self._run.round:
                self._run.tasks[task].cause = self._run.tasks[task].ready_source
            else:
                self._run.tasks[task].cause = max(releases or starts, default=-1)
            last_start.update(dict.fromkeys(needs, task))
            taker.update(dict.fromkeys(self._run.untaken(task), task))
            self._run.start(task, needs)

    def _settle(self) -> None:
        """Phase 7: links and arbiters that were touched."""
        self._run.links.settle(self._run.now)
        for arbiter in self._run.arbiters.values():
            arbiter.settle(self._run.now)

    # steps of the phases
