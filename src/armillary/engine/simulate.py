"""`simulate`: play a task graph to its end, or step by step with `Simulation`.

In:  a `TaskGraph`, optionally a policy with its period.
Out: a `Trace`. Rules and order of everything that happens: docs/engine.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from armillary.engine import records as at
from armillary.engine.append import carried_over
from armillary.engine.blocked import blocked_tasks
from armillary.engine.graph import GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.policy import Policy, PolicyFunction
from armillary.engine.records import CHANGE, NEVER, State, has_priorities, lay_out
from armillary.engine.trace import RateSteps, Reason, Status, Trace
from armillary.engine.validate import check_settable
from armillary.errors import ArmillaryError, InfeasibleError, InputError
from armillary.units import MAX_TICKS

NO_POLICY, COMPILED_POLICY, PYTHON_POLICY = range(3)


class Simulation:
    """A run of a graph that can be stopped, looked at, changed and resumed.

    Args:
        graph: what to play.
        policy: called as policy(seen, state, command) at multiples of `period`; a `Policy` runs compiled.
        period: ticks between two calls of the policy.
        state: the policy's state, an array of one record (`Policy.new_state`); read and written by every call.

    Raises:
        InputError: a policy without a period or the other way round.
    """

    def __init__(
        self, graph: TaskGraph, *, policy: Policy | PolicyFunction | None = None, period: int = 0, state: Any = None
    ) -> None:
        if (policy is None) != (period <= 0):
            raise InputError("a policy needs a period of at least one tick, and a period needs a policy")
        if period > MAX_TICKS:
            raise InputError(f"a period of {period} ticks is out of range", hint="use 1 to 2**62")
        self.graph = graph
        self._policy = policy
        self._policy_state = policy.new_state() if state is None and isinstance(policy, Policy) else state
        self._state = lay_out(graph)._replace(policy_state=_words(policy, self._policy_state))
        self._table_of: tuple[State, Any] | None = None
        self._reason = Reason.TIME
        self._general = policy is not None or not is_plain(graph)
        if (graph.edges.value & 1).any():
            self._state.clock[at.TRACK] |= 2
        if policy is not None or (graph.resources.kind[graph.changes.resource] == ResourceKind.SERVER).any():
            self._state.clock[at.TRACK] |= 1
        self._state.clock[at.PERIOD] = period

    @property
    def now(self) -> int:
        """The present tick."""
        return int(self._state.clock[at.NOW])

    def advance(self, until: int | None = None) -> Reason:
        """Play every round of every tick up to and including `until` (without it: until nothing is due).

        OVERFLOW is final: every later call returns it too.
        """
        if self._state.clock[at.FAILED] != 0:
            self._reason = Reason.OVERFLOW
            return self._reason
        from armillary.engine._jit import JIT

        function, kind = 0, NO_POLICY
        if isinstance(self._policy, Policy) and JIT:
            function, kind = self._policy.address, COMPILED_POLICY
        elif self._policy is not None:
            kind = PYTHON_POLICY
        if self._general:
            from armillary.engine.entries import advance_general as play
        else:
            from armillary.engine.entries_plain import advance_plain as play
        last = NEVER if until is None else min(until, NEVER)
        while True:
            self._reason = Reason(play(self._table(), last, function, kind))
            if self._reason == Reason.CAPACITY:
                self._grow_steps()
            elif self._reason == Reason.POLICY:
                self._call_policy()
            else:
                return self._reason

    def set_rate(self, resource: int, factor: float) -> None:
        """Set the rate factor of a server at the present tick.

        Raises:
            InputError: not a server, or a factor that is not above 0.
        """
        check_settable(self.graph.resources, resource, factor, rate=True)
        self._change(resource, factor)

    def set_capacity(self, resource: int, per_second: float) -> None:
        """Set the capacity per second of a link or arbiter at the present tick.

        Raises:
            InputError: neither a link nor an arbiter, or a capacity that it cannot take.
        """
        check_settable(self.graph.resources, resource, per_second, rate=False)
        self._change(resource, per_second)

    def cancel(self, task: int) -> None:
        """Take `task` out; what depends on it goes with it, unless the edge says keep.

        Raises:
            InputError: there is no such task.
        """
        from armillary.engine.entries_stops import cancel_task

        if not 0 <= task < len(self.graph):
            raise InputError(f"task {task} does not exist", hint=f"there are {len(self.graph)} tasks")
        cancel_task(self._table(), task, self.now)
        self._general = True  # the plain entry takes every event at its word
        self._round_is_due()

    def append(self, more: TaskGraph | GraphBuilder, *, edges: Iterable[tuple[int, int, int]] = ()) -> None:
        """Add tasks, leases and edges at the present tick; see `armillary.engine.joined.joined` for ids and edges.

        Raises:
            InputError: a rule of docs/engine.md is broken by the whole.
        """
        self.graph, self._state, doomed = carried_over(self.graph, self._state, more, edges)
        self._general = True
        self._round_is_due()
        for task in doomed:
            self.cancel(task)

    def trace(self) -> Trace:
        """Return what happened so far."""
        state, count = self._state, len(self.graph)
        ended = (state.tasks["status"][:count] >= Status.DONE) & (state.tasks["start"][:count] >= 0)
        steps = state.steps[: state.clock[at.STEPS]]
        return Trace(
            graph=self.graph,
            reason=self._reason,
            now=self.now,
            start=state.tasks["start"][:count].copy(),
            end=np.where(ended, state.tasks["end"][:count], -1),
            # Before its start a task's cause is only the edge that was satisfied last.
            cause=np.where(state.tasks["start"][:count] < 0, np.int32(-1), state.tasks["cause"][:count]),
            status=state.tasks["status"][:count].copy(),
            rate_steps=RateSteps(steps["tick"].copy(), steps["resource"].copy(), steps["value"].copy()),
        )

    def blocked(self) -> list[str]:
        """Name each task that has not ended and what it waits for."""
        return blocked_tasks(self.graph, self._state.tasks["status"][:-1], self._queues_of)

    def _queues_of(self, task: int) -> list[int]:
        entries = slice(*(int(self._state.tasks[row]["entry"]) for row in (task, task + 1)))
        waits: list[int] = self._state.entries["resource"][entries][self._state.waits[entries] != 0].tolist()
        return waits

    def beyond(self) -> str:
        """Name what would lie beyond 2**62 ticks, after OVERFLOW."""
        failed = int(self._state.clock[at.FAILED])
        return f"the end of {self.graph.task_name(failed - 1)}" if failed > 0 else "the next call of the policy"

    def _change(self, resource: int, value: float) -> None:
        from armillary.engine.entries_stops import change_value

        if self._state.clock[at.STEPS] == len(self._state.steps):
            self._grow_steps()
        change_value(self._table(), resource, value, self.now)
        self._general = True
        self._round_is_due()

    def _table(self) -> Any:
        """Return the addresses of the state, made anew only when an array was replaced."""
        if self._table_of is None or self._table_of[0] is not self._state:
            from armillary.engine._state_type import table_of

            self._table_of = (self._state, table_of(self._state))
        return self._table_of[1]

    def _round_is_due(self) -> None:
        clock = self._state.clock
        clock[at.DUE] = 1
        clock[at.ROUND_LIMIT] = clock[at.TICK_ROUNDS] + len(self.graph) + 1000

    def _grow_steps(self) -> None:
        steps = self._state.steps
        more = np.zeros(2 * len(steps) + 2 * len(self.graph.resources), CHANGE)
        more[: len(steps)] = steps
        self._state = self._state._replace(steps=more)

    def _call_policy(self) -> None:
        assert self._policy is not None
        record = self._policy_state
        self._policy(self._state.seen, record[0] if isinstance(record, np.ndarray) else record, self._state.command)


def simulate(
    graph: TaskGraph,
    *,
    policy: Policy | PolicyFunction | None = None,
    period: int = 0,
    state: Any = None,
    until: int | None = None,
) -> Trace:
    """Play `graph` and return its trace.

    Args:
        graph: what to play.
        policy, period, state: as for `Simulation`.
        until: last tick to play; without it the graph is played to its end.

    Raises:
        InfeasibleError: tasks remain that wait for one another; names them and what they wait for.
        InputError: the run leaves the range of ticks (OVERFLOW); names what does.
        ArmillaryError: rounds without end in one tick (LIVELOCK).
    """
    run = Simulation(graph, policy=policy, period=period, state=state)
    reason = run.advance(until)
    if reason == Reason.DEADLOCK:
        blocked = run.blocked()
        more = f" (and {len(blocked) - 3} more)" if len(blocked) > 3 else ""
        raise InfeasibleError(f"deadlock at tick {run.now}: {'; '.join(blocked[:3])}{more}")
    if reason == Reason.LIVELOCK:
        raise ArmillaryError(f"livelock: rounds without end at tick {run.now}")
    if reason == Reason.OVERFLOW:
        raise InputError(f"{run.beyond()} would lie beyond 2**62 ticks", hint="use a longer tick")
    return run.trace()


def is_plain(graph: TaskGraph) -> bool:
    """Whether every task is on one server, in order of arrival, and nothing else is asked for (engine/plain.py)."""
    return not (
        (np.diff(graph.demands.offset) != 1).any()
        or has_priorities(graph)
        or len(graph.crossings.index)
        or len(graph.members.index)
        or len(graph.changes.tick)
        or graph.latency.any()
        or graph.release.any()
        or graph.resources.backfill.any()
        or (graph.edges.value & 1).any()
    )


def _words(policy: Policy | PolicyFunction | None, record: Any) -> Any:
    """Return the state of a compiled policy as the words that kernels hand on; they are the caller's own."""
    return record.view(np.int64).reshape(-1) if isinstance(policy, Policy) else np.zeros(1, np.int64)
