"""Links of the reference executor: simple ones by virtual time, general ones max-min fair (docs/engine.md, section 5).

In:  flows that join and leave, capacity changes, the present tick. Out: the tick at which each flow ends.
Slow and obvious on purpose: every question is answered by looking at every flow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from armillary.engine.graph import ResourceKind, TaskGraph
from armillary.units import MAX_TICKS


class TimeOverflowError(Exception):
    """An end lies beyond `MAX_TICKS`; the executor turns it into `Reason.OVERFLOW`."""


def later(now: int, ticks: float) -> int:
    """Return `now + ceil(ticks)`, compared as float before the cast.

    Raises:
        TimeOverflowError: the sum lies beyond `MAX_TICKS`.
    """
    if not ticks <= float(MAX_TICKS - now):
        raise TimeOverflowError
    return now + math.ceil(ticks)


@dataclass(frozen=True, slots=True)
class Flow:
    """What a task with bytes brings to its links: (link, cost per byte) in stored order, cap in bytes per tick."""

    bytes: float
    crossings: tuple[tuple[int, float], ...]
    cap: float
    weight: int


@dataclass(slots=True)
class SimpleLink:
    """Virtual time `v` per unit of weight; each flow leaves when `v` reaches its `finish`."""

    capacity: float  # per tick
    v: float = 0.0
    since: int = 0
    weight: int = 0
    finish: dict[int, float] = field(default_factory=dict)  # task -> F
    end: int | None = None

    def advance(self, now: int) -> None:
        """Let virtual time pass until `now`."""
        if now > self.since and self.weight > 0:
            self.v += (now - self.since) * self.capacity / self.weight
        self.since = now

    def head(self) -> int:
        """Return the task whose flow ends next."""
        return min(self.finish, key=lambda task: (self.finish[task], task))

    def drop(self, task: int, weight: int) -> None:
        """Take the flow of `task` away."""
        del self.finish[task]
        self.weight -= weight
        if self.weight == 0:
            self.v = 0.0

    def settle(self, now: int) -> None:
        """Set the tick of the next end anew."""
        self.end = None
        if self.capacity > 0 and self.weight > 0:
            ticks = (self.finish[self.head()] - self.v) * self.weight / self.capacity
            self.end = later(now, max(0.0, ticks))


@dataclass(slots=True)
class GeneralFlow:
    """A flow on general links: bytes left at `since` and the rate in bytes per tick from then on."""

    flow: Flow
    remaining: float
    since: int
    rate: float = 0.0
    end: int | None = None


def simple_links(graph: TaskGraph) -> set[int]:
    """Return the links that every task with bytes crosses alone and without a rate cap."""
    simple = {
        resource for resource in range(len(graph.resources)) if graph.resources.kind[resource] == ResourceKind.LINK
    }
    for task in range(len(graph)):
        links = graph.crossings.index[graph.crossings.row(task)].tolist()
        if graph.bytes[task] > 0 and (len(links) > 1 or math.isfinite(graph.rate_cap[task])):
            simple -= set(links)
    return simple


class ReferenceLinks:
    """All links of a run."""

    def __init__(self, graph: TaskGraph) -> None:
        self.capacity = {  # per tick
            link: float(graph.resources.capacity[link]) * graph.tick_s
            for link in range(len(graph.resources))
            if graph.resources.kind[link] == ResourceKind.LINK
        }
        self.simple = {link: SimpleLink(self.capacity[link]) for link in sorted(simple_links(graph))}
        self.flows: dict[int, Flow] = {}  # present ones, by task
        self.general: dict[int, GeneralFlow] = {}
        self.touched: set[int] = set()

    def reclassify(self, graph: TaskGraph) -> None:
        """Take the classes of a grown graph; links that change theirs have no flow yet."""
        simple = simple_links(graph)
        for link in self.capacity:
            if link not in simple:
                self.simple.pop(link, None)

    def join(self, task: int, flow: Flow, now: int) -> None:
        """Let the flow of `task` enter its links."""
        self.flows[task] = flow
        self.touched |= {link for link, _ in flow.crossings}
        link, cost = flow.crossings[0]
        if link in self.simple:
            simple = self.simple[link]
            simple.advance(now)
            simple.finish[task] = simple.v + flow.bytes * cost / flow.weight
            simple.weight += flow.weight
        else:
            self.general[task] = GeneralFlow(flow, flow.bytes, now)

    def leave(self, task: int, now: int) -> None:
        """Take the flow of `task` away, finished or cancelled; nothing if it has none."""
        flow = self.flows.pop(task, None)
        if flow is None:
            return
        self.touched |= {link for link, _ in flow.crossings}
        link = flow.crossings[0][0]
        if link in self.simple:
            self.simple[link].advance(now)
            self.simple[link].drop(task, flow.weight)
        else:
            del self.general[task]

    def due(self) -> list[int]:
        """Ticks at which flows end, as far as they are known."""
        ends = [link.end for link in self.simple.values()] + [flow.end for flow in self.general.values()]
        return [end for end in ends if end is not None]

    def finished(self, now: int) -> list[int]:
        """Take away the flows that end at `now` and return their tasks, ascending."""
        done: list[int] = [task for task, flow in self.general.items() if flow.end == now]
        for simple in self.simple.values():
            if simple.end == now:
                simple.advance(now)
                head = simple.head()
                done += [task for task, finish in simple.finish.items() if task == head or finish <= simple.v]
        for task in done:
            self.leave(task, now)
        return sorted(done)

    def set_capacity(self, link: int, per_tick: float, now: int) -> None:
        """Change the bytes that `link` carries per tick."""
        self.touched.add(link)
        self.capacity[link] = per_tick
        if link in self.simple:
            self.simple[link].advance(now)
            self.simple[link].capacity = per_tick

    def settle(self, now: int) -> None:
        """Set the ends anew at every touched link (phase 7)."""
        for link in sorted(self.touched & set(self.simple)):
            self.simple[link].settle(now)
        component = self._component(self.touched - set(self.simple))
        self.touched = set()
        for task in component:
            flow = self.general[task]
            flow.remaining = max(0.0, flow.remaining - flow.rate * (now - flow.since))
            flow.since = now
        for task, rate in self._max_min_rates(component).items():
            flow = self.general[task]
            flow.rate = rate
            if flow.remaining == 0.0:
                flow.end = now
            else:
                flow.end = later(now, flow.remaining / rate) if rate > 0.0 else None

    def _component(self, links: set[int]) -> list[int]:
        """Tasks, ascending, whose flows are connected with `links` through shared links."""
        reached = set(links)
        while True:
            tasks = [task for task, flow in self.general.items() if reached & {link for link, _ in flow.flow.crossings}]
            wider = reached | {link for task in tasks for link, _ in self.flows[task].crossings}
            if wider == reached:
                return sorted(tasks)
            reached = wider

    def _max_min_rates(self, tasks: list[int]) -> dict[int, float]:
        """Progressive filling: bytes per tick of each task's flow."""
        links = sorted({link for task in tasks for link, _ in self.flows[task].crossings})
        used = dict.fromkeys(links, 0.0)
        load = dict.fromkeys(links, 0.0)
        open_flows = dict.fromkeys(links, 0)
        for task in tasks:
            for link, cost in self.flows[task].crossings:
                load[link] += cost * self.flows[task].weight
                open_flows[link] += 1
        rates: dict[int, float] = {}
        level = 0.0
        while len(rates) < len(tasks):
            still_open = [task for task in tasks if task not in rates]
            theta, bottleneck = min(
                (self._theta(link, used, load, level), link) for link in links if open_flows[link] > 0
            )
            cap, capped = min((self.flows[task].cap / self.flows[task].weight, task) for task in still_open)
            if math.isfinite(cap) and cap <= theta:
                level = max(level, cap)
                fixed = [capped]
            else:
                level = max(level, theta)
                fixed = [
                    task for task in still_open if any(link == bottleneck for link, _ in self.flows[task].crossings)
                ]
            for task in fixed:
                flow = self.flows[task]
                rates[task] = min(flow.cap, flow.weight * level)
                for link, cost in flow.crossings:
                    used[link] += cost * rates[task]
                    load[link] -= cost * flow.weight
                    open_flows[link] -= 1
        return rates

    def _theta(self, link: int, used: dict[int, float], load: dict[int, float], level: float) -> float:
        # Costs of very unlike size can cancel to nothing: such a link asks for no more than the present level.
        return (self.capacity[link] - used[link]) / load[link] if load[link] > 0.0 else level
