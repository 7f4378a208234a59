"""Small rows for tests of the live controller: sites, controllers over fakes, telemetry that is replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from armillary.engine.policy import Policy
from armillary.power.control.assemble import Row, assemble, nvml_row, redfish_row, start
from armillary.power.control.calls import Calls, InlineCalls
from armillary.power.control.choose import choose
from armillary.power.control.clock import Clock, VirtualClock
from armillary.power.control.controller import Controller
from armillary.power.control.nvml import NvmlBackend
from armillary.power.control.plant import Plant
from armillary.power.control.site import Site, ms
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.transport import Transport

LOOPBACK = "http://127.0.0.1"


def site(servers: int = 4, gpus: int = 2, *, base: str = LOOPBACK, meter: bool = True, **changes: Any) -> Site:
    """Half of the servers low, half high; the meter of the row at BASE/meter."""
    telemetry: dict[str, Any] = {"period": "2 s", "delay": "2 s"} | changes.pop("telemetry", {})
    if meter:
        telemetry["meter"] = {"url": f"{base}/meter"}
    rated = changes.pop("rated", "1.3 kW")
    entries = [
        {
            "name": f"s{place}",
            "priority": "low" if place < (servers + 1) // 2 else "high",
            "gpus": gpus,
            "devices": list(range(place * gpus, (place + 1) * gpus)),
            "bmc": f"{base}/bmc/s{place}",
            "rated": rated,
        }
        for place in range(servers)
    ]
    document: dict[str, Any] = {
        "schema": 1,
        "name": "row",
        "budget": "2 kW",
        "telemetry": telemetry,
        "servers": entries,
    }
    return Site.model_validate(document | changes)


def names(where: Site) -> tuple[str, ...]:
    return tuple(server.name for server in where.servers)


def controller_of(
    where: Site, row: Row, *, state: Path | None, tell: Callable[..., None] | None = None, keep: int = 0,
    policy: str | Policy = "polca",
) -> Controller:  # fmt: skip
    """A controller that has been started; it applies when there is a state folder."""
    chosen, mind = choose(policy, where.policy, dead_man_ms=ms(where.dead_man.after))
    snapshot = None if state is None else Snapshot(state)
    controller = assemble(
        where, row, chosen, mind, tell or (lambda kind, /, **fields: None), snapshot=snapshot, keep=keep
    )
    start(controller)
    return controller


def over_redfish(where: Site, transport: Transport, clock: Clock, calls: Calls | None = None) -> Row:
    return redfish_row(where, transport, clock, calls or InlineCalls())


def over_nvml(where: Site, nvml: Any, clock: Clock) -> Row:
    return nvml_row(where, NvmlBackend(nvml), clock)


class Replay(Plant):
    """Servers whose clocks and limits can be set, but whose GPUs draw what is told, to the mW."""

    def __init__(self, servers: int, gpus: int, row_mw: Callable[[int], int], clock: VirtualClock) -> None:
        self._told, self._clock = row_mw, clock
        super().__init__(servers, gpus)

    def advance(self, to_ms: float) -> None:
        super().advance(to_ms)
        gpus = [gpu for machine in self.machines for gpu in machine.gpus]
        each, rest = divmod(self._told(self._clock.now_ms()), len(gpus))
        for place, gpu in enumerate(gpus):
            gpu.power_mw = each + (place < rest)
