"""A row of servers in SimPy: a process a request, a server and a command, one for the meter with its policy.

In:  requests in order of arrival, the tables of `armillary.power.row`, as plain Python. Out: start and end of each.
The same model, event for event: least loaded server of the class, then its queue; prompts one by one, decodes together
by virtual tokens; a lock that lands rescales the work in progress; the power of the row is sampled every 100 ms for its
peak, its distribution and its largest rises.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

MS = 1_000
LOW, HIGH, BRAKE = range(3)
CLOCK, WORK = "clock", "work"


@dataclass(slots=True)
class Request:
    """One request; times in ticks."""

    arrival: int
    group: int
    prefill: float
    prefill_mw: float
    prefill_bound: float
    tokens: int
    cache_step: float
    finish: float = 0.0
    started: int = -1
    ended: int = -1
    served: Any = None  # event


@dataclass(frozen=True, slots=True)
class Group:
    """A service at one priority."""

    first: int
    lanes: int
    priority: int
    slots: int
    buffer: int
    decode_bound: float
    idle_mw: int
    busy_mw: int
    step: list[float]
    dynamic_mw: list[float]


@dataclass(slots=True)
class Row:
    """What all processes share."""

    environment: simpy.Environment
    groups: list[Group]
    speed: list[float]  # per MHz
    power: list[float]
    brake_mhz: int
    latency: list[int]
    mhz: list[int] = field(default_factory=lambda: [0, 0, 0])
    target: list[int] = field(default_factory=lambda: [-1, -1, -1])
    drawn_mw: int = 0
    peak_mw: int = 0
    histogram: dict[int, int] = field(default_factory=dict)  # samples by per mille of the budget
    rises_mw: list[int] = field(default_factory=list)  # largest within each window
    servers: list[Server] = field(default_factory=list)
    queues: list[deque[Request]] = field(default_factory=list)

    def clock(self, priority: int) -> int:
        if self.mhz[BRAKE] > 0:
            return self.brake_mhz
        return self.mhz[priority] if self.mhz[priority] > 0 else len(self.speed) - 1


class Server:
    """One server: a process that waits for work, prefills, decodes."""

    def __init__(self, row: Row, group: Group) -> None:
        self.row, self.group = row, group
        self.waiting: deque[Request] = deque()
        self.active: list[Request] = []
        self.load, self.tokens, self.power_mw = 0, 0.0, group.idle_mw
        self.interruptible = False
        row.drawn_mw += group.idle_mw
        self.wake = row.environment.event()
        self.process = row.environment.process(self.serve())

    def accept(self, request: Request) -> None:
        self.waiting.append(request)
        self.load += 1
        if self.interruptible:
            self.process.interrupt(WORK)
        elif not self.wake.triggered:
            self.wake.succeed()

    def serve(self) -> Generator[Any, Any, None]:
        environment, group = self.row.environment, self.group
        while True:
            if self.waiting and len(self.active) < group.slots:
                request = self.waiting.popleft()
                request.started = int(environment.now)
                yield from self.work(float(request.prefill), request.prefill_bound, request.prefill_mw, None)
                request.finish = self.tokens + request.tokens
                self.active.insert(0, request)
                self.retire()
            elif self.active:
                count = len(self.active)
                step = group.step[count]
                for request in self.active:
                    step += request.cache_step
                first = min(request.finish for request in self.active)
                left = max(0.0, first - self.tokens) * step
                done = yield from self.work(left, group.decode_bound, group.dynamic_mw[count], step)
                if done:
                    self.tokens = first
                    self.retire()
            else:
                self.tokens = 0.0
                self.set_power(group.idle_mw)
                self.wake = environment.event()
                yield self.wake

    def work(self, left: float, bound: float, dynamic_mw: float, step: float | None) -> Generator[Any, Any, bool]:
        """Work until it is done, or until a request comes while decoding."""
        environment, row, group = self.row.environment, self.row, self.group
        while True:
            clock = row.clock(group.priority)
            factor = row.speed[clock]
            speed = 1.0 if factor == 1.0 or bound == 0.0 else 1.0 / (bound / factor + 1.0 - bound)
            self.set_power(group.idle_mw + group.busy_mw + int(dynamic_mw * row.power[clock] + 0.5))
            since = int(environment.now)
            self.interruptible = step is not None
            try:
                yield environment.timeout(math.ceil(left / speed))
            except simpy.Interrupt as why:
                remaining = max(0.0, left - (int(environment.now) - since) * speed)
                if step is not None:
                    self.tokens += (left - remaining) / step
                left = remaining
                if why.cause == WORK:
                    self.interruptible = False
                    return False
            else:
                self.interruptible = False
                return True

    def retire(self) -> None:
        group, queue = self.group, self.row.queues[self.row.groups.index(self.group)]
        for request in self.active:
            if request.finish <= self.tokens:
                request.served.succeed()
                self.load -= 1
        self.active = [request for request in self.active if request.finish > self.tokens]
        while queue and self.load < group.slots + group.buffer:
            self.waiting.append(queue.popleft())
            self.load += 1

    def set_power(self, power_mw: int) -> None:
        self.row.drawn_mw += power_mw - self.power_mw
        self.power_mw = power_mw


def play_row(
    requests: list[Request],
    groups: list[Group],
    *,
    speed: list[float],
    power: list[float],
    budget_mw: int,
    brake_mhz: int,
    latency: list[int],
    period: int,
    sample: int,
    windows: list[int],
    until: int,
    decide: Callable[[dict[str, int]], dict[str, int]],
) -> Row:
    """Play all requests; `decide` gets what a policy sees, and returns commands. Readings arrive a period later."""
    environment = simpy.Environment(0)
    row = Row(environment, groups, speed, power, brake_mhz, latency)
    row.queues = [deque() for _ in groups]
    for group in groups:
        row.servers += [Server(row, group) for _ in range(group.lanes)]

    def customer(request: Request) -> Generator[Any, Any, None]:
        group = groups[request.group]
        servers = row.servers[group.first : group.first + group.lanes]
        best = min(servers, key=lambda server: server.load)
        request.served = environment.event()
        if best.load < group.slots + group.buffer:
            best.accept(request)
        else:
            row.queues[request.group].append(request)
        yield request.served
        request.ended = int(environment.now)

    def arrivals() -> Generator[Any, Any, None]:
        for request in requests:
            yield environment.timeout(request.arrival - environment.now)
            environment.process(customer(request))

    def land(index: int) -> Generator[Any, Any, None]:
        yield environment.timeout(latency[index])
        row.mhz[index], row.target[index] = row.target[index], -1
        for server in row.servers:
            if (index == BRAKE or server.group.priority == index) and (server.load or server.active):
                server.process.interrupt(CLOCK)

    def meter() -> Generator[Any, Any, None]:
        readings: list[int] = []
        while environment.now + period < until:
            yield environment.timeout(period)
            now = int(environment.now)
            readings.append(row.drawn_mw)
            shown = readings[-2] if len(readings) > 1 else -1
            brake = 2 if row.mhz[BRAKE] else 0
            if row.target[BRAKE] >= 0:
                brake = 1 if row.target[BRAKE] else 3
            commands = decide(
                {
                    "now_ms": now // MS, "power_mw": max(0, shown), "budget_mw": budget_mw,
                    "age_ms": period // MS if shown >= 0 else now // MS, "lost": int(shown < 0),
                    "low_mhz": row.mhz[LOW], "low_target_mhz": row.target[LOW],
                    "high_mhz": row.mhz[HIGH], "high_target_mhz": row.target[HIGH], "brake": brake,
                }
            )  # fmt: skip
            for index, name in enumerate(("low_mhz", "high_mhz", "brake")):
                value = commands[name]
                if value >= 0 and row.target[index] < 0 and value != row.mhz[index]:
                    row.target[index] = value
                    environment.process(land(index))

    def samples() -> Generator[Any, Any, None]:
        row.rises_mw = [0] * len(windows)
        lowest: list[deque[tuple[int, int]]] = [deque() for _ in windows]  # (sample, power), ascending in both
        number = 0
        while environment.now < until:
            drawn = row.drawn_mw
            row.peak_mw = max(row.peak_mw, drawn)
            share = drawn * 1000 // budget_mw
            row.histogram[share] = row.histogram.get(share, 0) + 1
            for index, length in enumerate(windows):
                recent = lowest[index]
                while recent and recent[0][0] < number - length:
                    recent.popleft()
                if recent:
                    row.rises_mw[index] = max(row.rises_mw[index], drawn - recent[0][1])
                while recent and recent[-1][1] >= drawn:
                    recent.pop()
                recent.append((number, drawn))
            number += 1
            yield environment.timeout(sample)

    environment.process(arrivals())
    environment.process(meter())
    environment.process(samples())
    environment.run()
    return row
