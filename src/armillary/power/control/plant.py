"""Simulated servers under work: power follows the work and the clocks that hold, and slower clocks make it last longer.

In:  servers, a GPU profile, a workload, a seed; commands that land later. Out: power of a GPU, of the row, every step.
Model: all GPUs of a server work together (tensor parallel): prefill, decode, pause, drawn per server. power(f) = idle +
(phase - idle) (f/f0)^alpha; work of sensitivity b runs at 1 / (b f0/f + 1 - b) of full speed, at the pace of the
slowest GPU. The clock is the lock, or what the power limit leaves, whichever is lower (without lag).
Constants: an A100 as in the specification (idle 20 % of 400 W, alpha 1.16, prefill at the limit, decode at 62 % of it).
It moves from change to change, so that excess over a budget can be told to the millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

import numpy as np


@dataclass(frozen=True, slots=True)
class GpuProfile:
    """What a kind of GPU can be set to and draws. Clocks in MHz, powers in mW."""

    name: str = "NVIDIA A100-SXM4-80GB"
    lowest_mhz: int = 210
    highest_mhz: int = 1410
    step_mhz: int = 15
    lowest_limit_mw: int = 100_000
    highest_limit_mw: int = 400_000
    idle_mw: int = 80_000
    alpha: float = 1.16

    def power_mw(self, phase_mw: int, mhz: float) -> int:
        """Return the power at a clock of work that draws `phase_mw` at the highest."""
        share = float((mhz / self.highest_mhz) ** self.alpha)
        return round(self.idle_mw + (phase_mw - self.idle_mw) * share)

    def clock_mhz(self, phase_mw: int, lock_mhz: int, limit_mw: int) -> float:
        """Return the clock that lock and limit leave."""
        top = float(lock_mhz or self.highest_mhz)
        if self.power_mw(phase_mw, top) <= limit_mw:
            return top
        share = max(0.0, (limit_mw - self.idle_mw) / (phase_mw - self.idle_mw))
        return max(float(self.lowest_mhz), self.highest_mhz * float(share ** (1.0 / self.alpha)))


@dataclass(frozen=True, slots=True)
class Workload:
    """What a server does; times at full clock, drawn evenly between two ends."""

    prefill_ms: tuple[float, float] = (200.0, 3_000.0)
    decode_ms: tuple[float, float] = (5_000.0, 60_000.0)
    prefill_mw: int = 400_000
    decode_mw: int = 250_000
    prefill_bound: float = 0.95
    decode_bound: float = 0.2


class Phase(Enum):
    """What a server does now."""

    PAUSE = 0
    PREFILL = 1
    DECODE = 2


@dataclass(slots=True)
class Gpu:
    """What one GPU was set to, and what it draws now."""

    lock_mhz: int = 0
    limit_mw: int = 0
    lost: bool = False
    power_mw: int = 0
    clock_mhz: float = 0.0
    landings: list[tuple[int, str, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Machine:
    random: np.random.Generator
    gpus: list[Gpu]
    phase: Phase = Phase.PAUSE
    left: float = 0.0
    speed: float = 1.0
    decode_ms: float = 0.0
    busy_ms: float = 0.0


class Plant:
    """A row under work.

    Args:
        servers: number of servers.
        gpus: GPUs of each.
        seed: of the work.
        profile: kind of GPU.
        workload: what the servers do.
        other_mw: what each server draws beside its GPUs.
        load: share of the time that a server works, of the time in ms.
    """

    def __init__(
        self,
        servers: int,
        gpus: int,
        *,
        seed: int = 0,
        profile: GpuProfile = GpuProfile(),
        workload: Workload = Workload(),
        other_mw: int = 0,
        load: Callable[[float], float] = lambda _: 0.9,
    ) -> None:
        self.profile, self.workload, self._other_mw, self._load = profile, workload, other_mw, load
        streams = np.random.SeedSequence(seed).spawn(servers)
        self.machines = [
            _Machine(np.random.default_rng(stream), [Gpu(limit_mw=profile.highest_limit_mw) for _ in range(gpus)])
            for stream in streams
        ]
        self.now_ms = 0.0
        self.steps: list[tuple[float, int]] = []
        "(ms, mW): from when on the row draws that much."
        for machine in self.machines:
            machine.left = float(machine.random.uniform(0.0, 5_000.0))
            self._refresh(machine)
        self._note()

    @property
    def power_mw(self) -> int:
        """Power of the row now."""
        return self.steps[-1][1]

    def server_mw(self, server: int) -> int:
        """Power of one server now."""
        return self._other_mw + sum(gpu.power_mw for gpu in self.machines[server].gpus)

    def gpu(self, server: int, index: int) -> Gpu:
        """Return one GPU: its lock, limit, power and clock."""
        return self.machines[server].gpus[index]

    def command(self, server: int, index: int, what: str, value: int, lands_ms: int) -> None:
        """Let `lock_mhz` or `limit_mw` of a GPU become `value` at `lands_ms`."""
        gpu = self.gpu(server, index)
        gpu.landings.append((lands_ms, what, value))
        gpu.landings.sort(key=lambda landing: landing[0])
        self.advance(self.now_ms)

    def advance(self, to_ms: float) -> None:
        """Let the row work until `to_ms`; time never goes back."""
        while True:
            moments = [self._next(machine) for machine in self.machines]
            moment = max(min(moments), self.now_ms)
            if moment > to_ms:
                break
            self._pass(moment)
            for machine, due in zip(self.machines, moments, strict=True):
                if due <= moment:
                    self._change(machine)
            self._note()
        self._pass(max(to_ms, self.now_ms))

    def _next(self, machine: _Machine) -> float:
        due = self.now_ms + machine.left / machine.speed
        return min([due, *(gpu.landings[0][0] for gpu in machine.gpus if gpu.landings)])

    def _pass(self, moment: float) -> None:
        for machine in self.machines:
            machine.left = max(0.0, machine.left - (moment - self.now_ms) * machine.speed)
        self.now_ms = max(self.now_ms, moment)

    def _change(self, machine: _Machine) -> None:
        """Let commands land, and go on to the next phase where work is done."""
        for gpu in machine.gpus:
            while gpu.landings and gpu.landings[0][0] <= self.now_ms:
                _, what, value = gpu.landings.pop(0)
                setattr(gpu, what, value)
        if machine.left <= 1e-6:
            self._go_on(machine)
        self._refresh(machine)

    def _go_on(self, machine: _Machine) -> None:
        draw, work = machine.random.uniform, self.workload
        if machine.phase is Phase.PREFILL:
            machine.phase, machine.left = Phase.DECODE, machine.decode_ms
            return
        load = min(1.0, max(0.01, self._load(self.now_ms)))
        if machine.phase is Phase.DECODE and load < 1.0:
            machine.phase, machine.left = Phase.PAUSE, machine.busy_ms * (1.0 / load - 1.0) * float(draw(0.5, 1.5))
            return
        prefill_ms, machine.decode_ms = float(draw(*work.prefill_ms)), float(draw(*work.decode_ms))
        machine.phase, machine.left, machine.busy_ms = Phase.PREFILL, prefill_ms, prefill_ms + machine.decode_ms

    def _refresh(self, machine: _Machine) -> None:
        """Recompute clocks, powers and pace."""
        work = self.workload
        draws = {Phase.PAUSE: self.profile.idle_mw, Phase.PREFILL: work.prefill_mw, Phase.DECODE: work.decode_mw}
        bounds = {Phase.PAUSE: 0.0, Phase.PREFILL: work.prefill_bound, Phase.DECODE: work.decode_bound}
        full, bound = draws[machine.phase], bounds[machine.phase]
        for gpu in machine.gpus:
            gpu.clock_mhz = self.profile.clock_mhz(full, gpu.lock_mhz, gpu.limit_mw)
            gpu.power_mw = self.profile.power_mw(full, gpu.clock_mhz)
        slowest = min(gpu.clock_mhz for gpu in machine.gpus)
        machine.speed = 1.0 / (bound * self.profile.highest_mhz / slowest + 1.0 - bound)

    def _note(self) -> None:
        power = sum(self.server_mw(server) for server in range(len(self.machines)))
        if not self.steps or self.steps[-1][1] != power:
            self.steps.append((self.now_ms, power))


def longest_excess_ms(steps: list[tuple[float, int]], budget_mw: int, end_ms: float) -> float:
    """Return the longest unbroken time over a budget."""
    longest, since = 0.0, math.inf
    for moment, power in [*steps, (end_ms, 0)]:
        if power > budget_mw:
            since = min(since, moment)
        elif since < math.inf:
            longest, since = max(longest, moment - since), math.inf
    return longest
