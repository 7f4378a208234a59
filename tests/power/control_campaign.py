"""Play a controller against a row that goes wrong, and judge it by what the row drew and what reached the devices.

In:  a seed, a world (redfish or nvml). Out: `Played`: the true power at every moment, every write that came to a
device, when the controller was dead, what the devices held. The oracle reads nothing of the controller's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any, cast

import numpy as np

from armillary.power.control.assemble import Row
from armillary.power.control.calls import InlineCalls
from armillary.power.control.clock import Clock, VirtualClock
from armillary.power.control.contract import BackendError, Limits
from armillary.power.control.controller import Controller
from armillary.power.control.plant import Plant, Workload
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.transport import Answer, answer_of
from armillary.testing.fake_bmc import KINDS, METER, DirectTransport, FakeBmc, Fault, FaultKind
from armillary.testing.fake_nvml import FakeNvml, NVMLError
from tests.power.control_rows import controller_of, names, over_nvml, over_redfish, site

SERVERS, GPUS = 4, 2
LOW = (0, 1)
END_MS, QUIET_MS = 420_000, 330_000  # no fault, and hardly any work, after QUIET_MS
PERIOD_MS, TIMEOUT_MS, DEAD_MAN_MS, DOWN_MS = 2_000, 5_000, 20_000, 4_000
BUDGET_MW = 1_700_000
FAULTS = 4  # a run
LOWEST_MW, LOWEST_LOW_MHZ = 100_000, 1110
TOP_MHZ, TOP_MW = 1410, 400_000


class Killed(BaseException):
    """SIGKILL: nothing of the controller runs after it."""


class LateError(BackendError):
    """A call that ends by its timeout."""


@dataclass(slots=True)
class Ops:
    """Counts the points at which a process can be killed: before and after whatever leaves it."""

    kill_at: list[int] = field(default_factory=list)
    count: int = 0

    def point(self) -> None:
        self.count += 1
        if self.kill_at and self.count >= self.kill_at[0]:
            self.kill_at.pop(0)
            raise Killed


@dataclass(frozen=True, slots=True)
class Since:
    """The clock of one process: from 0 at its start."""

    real: VirtualClock
    start_ms: int

    def now_ms(self) -> int:
        return self.real.now_ms() - self.start_ms

    def wait_until(self, ms: int, stop: Event) -> None:
        self.real.wait_until(ms + self.start_ms, stop)


@dataclass(slots=True)
class _Slow:
    call: Future[Any]
    due_ms: int
    clock: Clock

    def done(self) -> bool:
        return self.clock.now_ms() >= self.due_ms

    def result(self) -> Any:
        return self.call.result()


@dataclass(frozen=True, slots=True)
class SlowCalls(InlineCalls):
    """Calls that time out do so later on the virtual clock."""

    clock: Clock

    def submit(self, function: Any) -> Any:
        call: Any = InlineCalls.submit(self, function)
        late = isinstance(call.exception(), LateError)
        return _Slow(call, self.clock.now_ms() + TIMEOUT_MS, self.clock) if late else call


@dataclass(frozen=True, slots=True)
class Line(DirectTransport):
    """A transport whose process can be killed around every request."""

    ops: Ops

    def _ask(self, method: str, url: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        self.ops.point()
        try:
            answer = self.bmc.answer(method, url.removeprefix("http://127.0.0.1"), body, {})
        except TimeoutError:
            raise LateError("no answer: ReadTimeout") from None
        self.ops.point()
        return answer

    def get(self, url: str) -> Answer:
        return answer_of(*self._ask("GET", url, {}))


class Notebook(Snapshot):
    """A snapshot whose process can be killed before and after it touches the disk."""

    __slots__ = ("ops",)

    def __init__(self, folder: Path, ops: Ops) -> None:
        super().__init__(folder)
        object.__setattr__(self, "ops", ops)

    def save(self, limits: dict[str, Limits]) -> None:
        self.ops.point()  # type: ignore[attr-defined]
        super().save(limits)
        self.ops.point()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Write:
    """A write as it reached a device, whether or not it was obeyed."""

    ms: int
    server: int
    what: str
    value: int


@dataclass(slots=True)
class Played:
    """What happened."""

    steps: list[tuple[float, int]]
    writes: list[Write]
    meter_faults: list[tuple[int, int]]
    starts: list[int] = field(default_factory=list)
    kills: list[int] = field(default_factory=list)
    held: list[tuple[int, list[tuple[int, int]]]] = field(default_factory=list)
    "(ms, per server (lock, limit) of its first GPU)"
    faults: int = 0
    dead_man: int = 0
    restored: bool = False
    left: bool = True
    crash_limits: list[dict[str, Limits]] = field(default_factory=list)


def play(seed: int, world: str, folder: Path) -> Played:
    """Play one run with `FAULTS` faults."""
    rng = np.random.default_rng(seed)
    clock = VirtualClock()
    surge = sorted(rng.uniform(10_000, QUIET_MS, 2))
    plant = Plant(
        SERVERS, GPUS, seed=seed,
        workload=Workload(prefill_ms=(500.0, 8_000.0), decode_ms=(3_000.0, 20_000.0)),
        load=lambda ms: 1.0 if surge[0] <= ms <= surge[1] else 0.5 if ms < QUIET_MS else 0.01,
    )  # fmt: skip
    clock.listeners.append(plant.advance)
    ops = Ops()
    spans = [(int(start), int(start + rng.uniform(4_000, 110_000))) for start in rng.uniform(5_000, 220_000, FAULTS)]
    kinds = [
        str(rng.choice([*KINDS, "kill"] if world == "redfish" else ["lost", "timeout", "blind", "kill"])) for _ in spans
    ]
    ops.kill_at = sorted(int(rng.integers(20, 6_000)) for kind in kinds if kind == "kill")
    faults = [
        Fault(cast("FaultKind", kind), *span, _where(rng, kind, world))
        for kind, span in zip(kinds, spans, strict=True)
        if kind != "kill"
    ]
    played = Played(plant.steps, [], [], faults=len(kinds))
    if world == "redfish":
        where = site(SERVERS, GPUS, budget="1.7 kW", telemetry={"period": "2 s", "delay": "0 s"})
        bmc = FakeBmc(plant, names(where), clock.now_ms, faults=faults)
        rows = lambda own: over_redfish(where, Line(bmc, ops), own, SlowCalls(own))  # noqa: E731
    else:
        fast = {"lock": "0.01 s", "brake": "0.01 s"}
        where = site(
            SERVERS, GPUS, meter=False, budget="1.7 kW", latency=fast, telemetry={"period": "2 s", "delay": "0 s"}
        )
        nvml = FakeNvml(
            plant, GPUS, clock.now_ms, before_call=lambda name, index: _nvml_fault(faults, clock, ops, name, index)
        )
        rows = lambda own: over_nvml(where, nvml, own)  # noqa: E731
    blind = [fault for fault in faults if fault.where in (None, METER)] if world == "redfish" else faults
    played.meter_faults = [(fault.start_ms, fault.end_ms) for fault in blind]
    controller = _lives(played, where, rows, clock, ops, folder, plant)
    ops.kill_at.clear()
    played.restored = controller.release(200_000, Event())
    if played.restored:
        controller.book.snapshot.remove()  # type: ignore[union-attr]
    played.left = Snapshot(folder).path.exists()
    played.held.append((clock.now_ms(), _held(plant)))
    if world == "redfish":
        played.writes = [_redfish_write(request, names(where)) for request in bmc.requests]
    else:
        played.writes = [_nvml_write(*entry) for entry in nvml.setters]
    return played


def _lives(
    played: Played, where: Any, rows: Any, clock: VirtualClock, ops: Ops, folder: Path, plant: Plant
) -> Controller:
    """Run processes one after the other until the end of time; each is killed or lives to see it."""

    def tell(kind: str, /, **fields: object) -> None:
        played.dead_man += kind == "dead_man"
        if kind == "decision":
            played.held.append((clock.now_ms(), _held(plant)))

    while True:
        own = Since(clock, clock.now_ms())
        played.starts.append(clock.now_ms())
        played.crash_limits.append(Snapshot(folder).load())
        try:
            row: Row = rows(own)
            controller = controller_of(where, row, state=folder, tell=tell)
            # The snapshot may be interrupted as well, from the first write on.
            controller.book.snapshot = Notebook(folder, ops)
            controller.run(END_MS - own.start_ms, Event())
            return controller
        except Killed:
            played.kills.append(clock.now_ms())
            clock.wait_until(clock.now_ms() + DOWN_MS, Event())


def _where(rng: np.random.Generator, kind: str, world: str) -> str | None:
    """The meter, one server or all; `blind` takes every GPU."""
    if world == "nvml":
        return None if kind == "blind" else str(rng.integers(0, SERVERS * GPUS))
    choices: list[str | None] = [METER, None, *[f"s{place}" for place in range(SERVERS)]]
    return choices[int(rng.integers(0, len(choices)))]


def _nvml_fault(faults: list[Fault], clock: VirtualClock, ops: Ops, function: str, index: int) -> None:
    ops.point()
    now = clock.now_ms()
    if "Handle" in function or "Supported" in function:
        return  # so that every try to write is seen to reach the device
    for fault in faults:
        if fault.strikes(str(index), now):
            code = FakeNvml.NVML_ERROR_GPU_IS_LOST if str(fault.kind) == "lost" else FakeNvml.NVML_ERROR_TIMEOUT
            raise NVMLError(code)


def _redfish_write(request: Any, known: tuple[str, ...]) -> Write:
    server, body = known.index(request.server), request.body
    if "PowerLimitWatts" in body:
        return Write(request.ms, server, "limit", round(body["PowerLimitWatts"]["SetPoint"] * 1000))
    return Write(request.ms, server, "lock", int(body["OperatingSpeedRangeMHz"]["SettingMax"]) % TOP_MHZ)


def _nvml_write(ms: int, function: str, index: int, value: int) -> Write:
    return Write(ms, index // GPUS, "limit" if "Limit" in function else "lock", value)


def _held(plant: Plant) -> list[tuple[int, int]]:
    return [(machine.gpus[0].lock_mhz, machine.gpus[0].limit_mw) for machine in plant.machines]
