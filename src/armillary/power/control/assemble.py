"""A controller for a site: servers, meter and actuators of one backend put together.

In:  a `Site`, the name of a backend, what stands for hardware (NVML module, transport, simulated row), a clock.
Out: `Row` (servers, parts, calls, clock) and from it a `Controller`, started: limits noted, a crash undone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from armillary.engine.policy import Policy
from armillary.errors import InputError
from armillary.power.control.calls import Calls, InlineCalls, ThreadCalls
from armillary.power.control.clock import Clock, SystemClock, VirtualClock
from armillary.power.control.contract import GpuBackend, Measured, Part, Server
from armillary.power.control.controller import Controller, Times
from armillary.power.control.gpu_server import GpuServer
from armillary.power.control.levers import Group, Lever, Tell
from armillary.power.control.plant import Plant
from armillary.power.control.redfish import RedfishServer, meter
from armillary.power.control.restorable import Book, Restorable, probe_all
from armillary.power.control.shadow import Shadow
from armillary.power.control.simulated import SimulatedGpus
from armillary.power.control.site import Site, ms
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.telemetry import Telemetry
from armillary.power.control.transport import Transport
from armillary.power.policies.contract import ENGAGE, UNLOCK

Backend = Literal["simulated", "nvml", "redfish"]
START_TRIES = 3
CALLS_A_SERVER = 2


@dataclass(frozen=True, slots=True)
class Row:
    """The hardware of a site."""

    servers: Sequence[Server]
    parts: Sequence[Part]
    clock: Clock
    calls: Calls


def simulated_row(site: Site, seed: int) -> Row:
    """Return a row under work that exists in memory only, on a virtual clock."""
    clock = VirtualClock()
    gpus = site.servers[0].gpus
    if any(server.gpus != gpus for server in site.servers):
        raise InputError("servers with unlike numbers of GPUs", hint="the simulated row wants the same number in all")
    plant = Plant(len(site.servers), gpus, seed=seed, other_mw=round(site.servers[0].other.value * 1000))
    clock.listeners.append(plant.advance)
    backend = SimulatedGpus(plant, gpus, clock.now_ms, ms(site.latency.lock), ms(site.latency.brake))
    servers = [
        _gpu_server(site, place, backend, tuple(range(place * gpus, (place + 1) * gpus)))
        for place in range(len(site.servers))
    ]
    delay = ms(site.telemetry.delay)
    row_meter = Part("row", lambda: _shown(plant, clock.now_ms() - delay, servers), _ceiling_mw(site))
    return Row(servers, [row_meter], clock, InlineCalls())


def nvml_row(site: Site, backend: GpuBackend, clock: Clock | None = None) -> Row:
    """Return GPUs of this host.

    Raises:
        InputError: a server without devices, a device that is not here or stands twice.
    """
    servers, taken = [], dict[int, str]()
    for place, entry in enumerate(site.servers):
        if not entry.devices:
            raise InputError(f"server {entry.name!r} names no devices", hint="write devices: [0, 1, 2, 3]")
        indices = tuple(backend.find(device) for device in entry.devices)
        for index in indices:
            if index in taken:
                raise InputError(f"GPU {index} belongs to {taken[index]!r} and to {entry.name!r}")
            taken[index] = entry.name
        servers.append(_gpu_server(site, place, backend, indices))
    return Row(servers, [server.part() for server in servers], clock or SystemClock(), InlineCalls())


def redfish_row(site: Site, transport: Transport, clock: Clock | None = None, calls: Calls | None = None) -> Row:
    """Return servers behind management controllers.

    Raises:
        InputError: a server without `bmc`.
    """
    servers = []
    for entry in site.servers:
        if entry.bmc is None:
            raise InputError(f"server {entry.name!r} has no bmc", hint="write bmc: https://10.0.0.7")
        ceiling = round(entry.rated.value * 1000)
        servers.append(RedfishServer(entry.name, transport, entry.bmc, site.redfish, entry.gpus, ceiling))
    at = site.telemetry.meter
    parts = [server.part() for server in servers]
    if at is not None:
        parts = [Part("row meter", meter(transport, at.url), _ceiling_mw(site))]
    patience_s = min(site.redfish.timeout.value, site.telemetry.period.value / 2)
    workers = min(64, CALLS_A_SERVER * len(servers) + 1)
    return Row(servers, parts, clock or SystemClock(), calls or ThreadCalls(workers, patience_s))


def assemble(
    site: Site, row: Row, policy: Policy, mind: Any, tell: Tell, *, snapshot: Snapshot | None, keep: int = 0
) -> Controller:
    """Return the controller of a row, not started; without a `snapshot` it writes nothing to any server."""
    lock_ms, brake_ms = ms(site.latency.lock), ms(site.latency.brake)
    servers: Sequence[Server] = row.servers
    if snapshot is None:
        servers = [Shadow(server, row.clock.now_ms, lock_ms, brake_ms) for server in row.servers]
    book = Book(snapshot, {} if snapshot is None else snapshot.load())
    caps: dict[str, list[Lever]] = {"low": [], "high": []}
    brakes = []
    for entry, server in zip(site.servers, servers, strict=True):
        cap, brake = Restorable(server, book).levers()
        caps[entry.priority].append(cap)
        brakes.append(brake)
    period = ms(site.telemetry.period)

    def group(name: str, levers: Sequence[Lever], latency_ms: int) -> Group:
        return Group(name, levers, latency_ms, period, row.calls, tell)

    return Controller(
        policy=policy,
        mind=mind,
        telemetry=Telemetry(row.parts, row.calls, ms(site.telemetry.delay)),
        low=group("low", caps["low"], lock_ms),
        high=group("high", caps["high"], lock_ms),
        brake=group("brake", brakes, brake_ms),
        times=Times(period, ms(site.dead_man.after), site.dead_man.clock_mhz, site.budget_mw),
        clock=row.clock,
        calls=row.calls,
        tell=tell,
        keep=keep,
        decided_ms=row.clock.now_ms(),
        book=book,
        servers=[Restorable(server, book) for server in servers],
    )


def start(controller: Controller) -> bool:
    """Note what the servers hold; after a crash, give back what was noted then. Returns whether there was one.

    A brake that is found on stays on and is the policy's to release: nobody knows yet how the row stands.
    """
    crashed = controller.book.crashed
    now = controller.clock.now_ms()
    waiting: list[Callable[[], bool]] = probe_all(list(controller.servers))
    braked = False
    for _ in range(START_TRIES):
        calls = [(probe, controller.calls.submit(probe)) for probe in waiting]
        controller.calls.settle([call for _, call in calls])
        waiting = []
        for probe, call in calls:
            try:
                braked |= bool(call.result()) if call.done() else False
            except Exception as error:  # a server that is not there now is noted before its first write
                waiting.append(probe)
                controller.tell("unreachable", problem=f"{type(error).__name__}: {error}"[:300])
    if crashed:
        for group in (controller.low, controller.high):
            group.start(UNLOCK, now, "restore after a crash")
    if braked:
        controller.brake.held = ENGAGE
        controller.brake.start(ENGAGE, now, "brake found on")
    elif crashed:
        controller.brake.start(UNLOCK, now, "restore after a crash")
    return crashed


def _gpu_server(site: Site, place: int, backend: GpuBackend, indices: tuple[int, ...]) -> GpuServer:
    entry = site.servers[place]
    other = round(entry.other.value * 1000)
    ceiling = max(1, (round(entry.rated.value * 1000) - other) // len(indices))
    return GpuServer(entry.name, backend, indices, other, ceiling)


def _ceiling_mw(site: Site) -> int:
    return round(sum(server.rated.value for server in site.servers) * 1000)


def _shown(plant: Plant, at_ms: int, servers: Sequence[GpuServer]) -> Measured:
    """Return what a meter with a delay shows: the power that the row drew at `at_ms`."""
    place = bisect_right(plant.steps, float(at_ms), key=lambda step: step[0]) - 1
    gpus = tuple(gpu for server in servers for gpu in server.measure().gpus)
    return Measured(plant.steps[max(0, place)][1], gpus=gpus)
