"""Where everything stands in a run of the reference executor, and the small steps of which its phases are made.

In:  a `TaskGraph`; what the phases of reference.py decide. Out: `ReferenceRun`, changed in place.
Links and arbiters live in reference_links.py and reference_arbiter.py.
"""

from __future__ import annotations

from armillary.engine.graph import EdgeKind, ResourceKind, TaskGraph
from armillary.engine.reference_arbiter import ReferenceArbiter
from armillary.engine.reference_links import Flow, ReferenceLinks, later
from armillary.engine.reference_state import LeaseState, Lists, TaskState
from armillary.engine.trace import Status


class ReferenceRun:
    """Tasks, leases, resources and time of one run; nothing here knows the order of phases."""

    def __init__(self, graph: TaskGraph) -> None:
        self.graph = graph
        resources = graph.resources
        self.in_use = [0] * len(resources)
        self.rate = [1.0] * len(resources)
        self.capacity = [float(value) for value in resources.capacity]  # per second
        self.links = ReferenceLinks(graph)
        self.arbiters = {
            r: ReferenceArbiter.of(graph, r) for r in range(len(resources)) if resources.kind[r] == ResourceKind.ARBITER
        }
        self.last_release: dict[int, tuple[int, int]] = {}  # resource -> (round, task)
        self.tasks: list[TaskState] = []
        self.leases: list[LeaseState] = []
        self.unreleased: set[int] = set()
        self.start_edges: list[int] = []  # tasks that started in the previous dispatch
        self.rate_steps: list[tuple[int, int, float]] = []
        self.now = 0
        self.round = 0  # rounds played so far: what happens now belongs to round number `round`
        self.add_tasks(0)

    def add_tasks(self, first: int) -> None:
        """Add the state of tasks `first` and later, and settle the edges that lead to them from earlier ones."""
        graph = self.graph
        lists = self.lists = Lists.of(graph)
        self.leases += [LeaseState(at_start) for at_start in lists.until_start[len(self.leases) :]]
        self.tasks += [TaskState() for _ in range(first, len(graph))]
        for task in range(first, len(graph)):
            for lease in lists.leases[task]:
                self.leases[lease].members += 1
            if lists.release[task] > self.now:
                self.tasks[task].waiting += 1
                self.unreleased.add(task)
        doomed = []
        for source in range(len(graph)):
            for edge in lists.edges[source]:
                if edge.target >= first:
                    state = self.tasks[source]
                    started = state.start >= 0 and source not in self.start_edges
                    if state.status == Status.CANCELLED and not edge.keep:
                        doomed.append(edge.target)
                    elif not (state.status >= Status.DONE or (edge.kind == EdgeKind.START and started)):
                        self.tasks[edge.target].waiting += 1
        for task in range(first, len(graph)):
            if self.tasks[task].waiting == 0:
                self.make_ready(task, -1)
        for task in doomed:
            self.cancel(task)

    def cancel(self, task: int) -> None:
        """Take `task` out, give back what it holds, and settle its edges: depth first in stored order."""
        state = self.tasks[task]
        if state.status >= Status.DONE:
            return
        was_running = state.status == Status.RUNNING
        state.status = Status.CANCELLED
        self.unreleased.discard(task)
        if was_running:
            state.end = self.now
            state.launch = state.work_end = None
            self.links.leave(task, self.now)
            for arbiter in self.arbiters.values():
                arbiter.cancel(task)
            self.give_back_units(task)
        for lease in self.lists.leases[task]:
            if not (was_running and self.leases[lease].until_start):
                self.leases[lease].let_go(task)
        start_edges_open = not was_running or task in self.start_edges
        if task in self.start_edges:
            self.start_edges.remove(task)
        for edge in self.lists.edges[task]:
            if edge.kind == EdgeKind.END or start_edges_open:
                if edge.keep:
                    self.satisfy(edge.target, task)
                else:
                    self.cancel(edge.target)

    def untaken(self, task: int) -> list[int]:
        """Return the leases of `task` that nobody has taken yet."""
        return [lease for lease in self.lists.leases[task] if not self.leases[lease].taken]

    def needs(self, task: int) -> dict[int, int]:
        """Units that `task` takes of each resource when it starts: it queues at these."""
        needs = dict(self.lists.demands[task])
        for lease in self.untaken(task):
            pool = self.lists.pool[lease]
            needs[pool] = needs.get(pool, 0) + self.lists.lease_units[lease]
        return needs

    def with_status(self, status: Status) -> list[int]:
        """Return the tasks of one status, ascending."""
        return [task for task, state in enumerate(self.tasks) if state.status == status]

    def make_ready(self, task: int, source: int) -> None:
        """Let `task` queue; `source` was what it waited for last."""
        state = self.tasks[task]
        state.status, state.ready_round, state.ready_source = Status.QUEUED, self.round, source

    def satisfy(self, task: int, source: int) -> None:
        """One thing that `task` waited for has happened."""
        state = self.tasks[task]
        if state.status == Status.PENDING:
            state.waiting -= 1
            if state.waiting == 0:
                self.make_ready(task, source)

    def has_room(self, resource: int, units: int) -> bool:
        """Whether `units` of a server or pool are free."""
        return self.in_use[resource] + units <= self.lists.units[resource]

    def may_enter(self, resource: int, earlier: list[int]) -> bool:
        """Whether a task may start at `resource` although the `earlier` ones still wait."""
        return self.lists.backfill[resource] or not any(resource in self.needs(other) for other in earlier)

    def released_now(self, resource: int) -> int:
        """Return who gave back units of `resource` in this round, or -1."""
        noted_round, task = self.last_release.get(resource, (-1, -1))
        return task if noted_round == self.round else -1

    def give_back_units(self, task: int) -> None:
        """Return the server units of a task that ended or was cancelled."""
        for server, units in self.lists.demands[task]:
            self.in_use[server] -= units
            self.last_release[server] = (self.round, task)

    def start(self, task: int, needs: dict[int, int]) -> None:
        """Start `task` now: take what it needs and its leases."""
        state = self.tasks[task]
        state.status = Status.RUNNING
        state.start = self.now
        for resource, units in needs.items():
            self.in_use[resource] += units
        for lease in self.lists.leases[task]:
            self.leases[lease].taken = True
            if self.leases[lease].until_start:
                self.leases[lease].let_go(task)
        self.start_edges.append(task)
        state.launch = later(self.now, self.lists.latency[task])
        if state.launch == self.now:
            self.launch(task)

    def launch(self, task: int) -> None:
        """Begin the work and let the bytes enter."""
        lists, state = self.lists, self.tasks[task]
        state.launch = None
        state.work_since = self.now
        state.left = float(lists.duration[task])
        state.speed = self.speed(task)
        state.steady = state.speed == 1.0
        self.set_work_end(task)
        if lists.bytes[task] > 0 and lists.crossings[task]:
            state.moving = True
            first = lists.crossings[task][0][0]
            if first in self.arbiters:
                self.arbiters[first].launch(task, lists.traffic_class[task], lists.bytes[task])
            else:
                flow = Flow(lists.bytes[task], tuple(lists.crossings[task]), lists.cap[task], lists.weight[task])
                self.links.join(task, flow, self.now)

    def speed(self, task: int) -> float:
        """Work per tick under the rate factor of the first server it demands (section 6)."""
        demands = self.lists.demands[task]
        rate = self.rate[demands[0][0]] if demands else 1.0
        b = self.lists.sensitivity[task]
        return 1.0 if rate == 1.0 or b == 0.0 else 1.0 / (b / rate + 1.0 - b)

    def set_work_end(self, task: int) -> None:
        """Set the tick at which the work of `task` ends."""
        state = self.tasks[task]
        if state.steady:
            state.work_end = later(state.work_since, self.lists.duration[task])
        else:
            state.work_end = max(self.now, later(state.work_since, state.left / state.speed))

    def change_value(self, resource: int, value: float) -> None:
        """Set a rate factor or a capacity per second, unless it has that value already."""
        is_server = self.lists.kind[resource] == ResourceKind.SERVER
        present = self.rate if is_server else self.capacity
        if present[resource] == value:
            return
        present[resource] = value
        self.rate_steps.append((self.now, resource, value))
        if is_server:
            for task in self.with_status(Status.RUNNING):
                if self.lists.demands[task] and self.lists.demands[task][0][0] == resource:
                    self.change_speed(task)
        elif resource in self.arbiters:
            self.arbiters[resource].capacity = value * self.graph.tick_s
            self.arbiters[resource].touched = True
        else:
            self.links.set_capacity(resource, value * self.graph.tick_s, self.now)

    def change_speed(self, task: int) -> None:
        """Let a running task go on at the speed of its server as it now is."""
        state = self.tasks[task]
        speed = self.speed(task)
        if state.work_end is None or speed == state.speed:
            return
        if self.now > state.work_since:
            state.left = max(0.0, state.left - (self.now - state.work_since) * state.speed)
            state.work_since = self.now
        state.speed, state.steady = speed, False
        self.set_work_end(task)
