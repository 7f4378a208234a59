"""Control a row for a while, or until told to stop: what `armillary power control` does.

In:  a `Site`, a backend, a policy, whether to apply. Out: `ControlResult`: what was decided, ordered, lost, restored.
Without `apply` no server is written to and no limits are noted; what the policy commands then lands in memory only.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from armillary.engine.policy import Policy
from armillary.errors import InputError, unknown_name
from armillary.power.control.assemble import Row, assemble, nvml_row, redfish_row, simulated_row, start
from armillary.power.control.audit import Audit, Tells
from armillary.power.control.choose import choose
from armillary.power.control.controller import Controller
from armillary.power.control.notify import Notify
from armillary.power.control.nvml import NvmlBackend, import_nvml
from armillary.power.control.site import LOOPBACK, Site, ms
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.transport import HttpxTransport

BACKENDS = ("simulated", "nvml", "redfish")
SIMULATED_S = 3600.0
RELEASE_LATENCIES = 3  # times the slower latency, plus ten periods: how long giving back may take


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What a controller did."""

    site: str
    backend: str
    policy: str
    applied: bool
    turns: int
    lost_readings: int
    peak_power_ratio: float | None
    "Largest reading over the budget."
    brakes: int
    dead_man: int
    orders: Mapping[str, int]
    failures: int
    crash_undone: bool
    restored: bool | None
    "Whether every limit is back as it was; None where nothing was written."

    def to_json(self) -> dict[str, object]:
        """Return the result as strict JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"orders": dict(self.orders)}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return rows of a table."""
        ratio = "no reading" if self.peak_power_ratio is None else f"{100 * self.peak_power_ratio:.1f} % of the budget"
        orders = ", ".join(f"{name} {count}" for name, count in sorted(self.orders.items())) or "none"
        back = {None: "nothing was written", True: "yes", False: "NO: see the audit log"}[self.restored]
        return [
            ("row", f"{self.site}, {self.backend}, {self.policy}{'' if self.applied else ', nothing applied'}"),
            ("turns", f"{self.turns}, without a reading {self.lost_readings}"),
            ("peak power", ratio),
            ("orders", f"{orders}; brakes {self.brakes}; dead man {self.dead_man}; failed calls {self.failures}"),
            ("limits restored", back),
        ]


@dataclass(slots=True)
class Tally:
    """Counts events."""

    kinds: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    brakes: int = 0
    peak: float | None = None

    def __call__(self, kind: str, /, **fields: Any) -> None:
        """Take one event."""
        self.kinds[kind] += 1
        if kind == "decision":
            self.lost += fields["lost"]
            if not fields["lost"]:
                self.peak = max(self.peak or 0.0, fields["power_mw"] / fields["budget_mw"])
        elif kind == "order":
            self.orders[fields["actuator"]] += 1
            self.brakes += fields["actuator"] == "brake" and fields["value"] == 1


def row_of(site: Site, backend: str, seed: int) -> Row:
    """Return the hardware of a site.

    Raises:
        InputError: no such backend, a library that is not installed, hardware that is not there.
    """
    if backend == "simulated":
        return simulated_row(site, seed)
    if backend == "nvml":
        return nvml_row(site, NvmlBackend(import_nvml()))
    if backend == "redfish":
        return redfish_row(site, HttpxTransport(site.redfish))
    raise unknown_name("backend", backend, BACKENDS, where="--backend")


def control(
    site: Site,
    *,
    backend: str = "simulated",
    policy: str | Policy = "polca",
    apply: bool = False,
    state: Path | None = None,
    duration_s: float | None = None,
    seed: int = 0,
    metrics_port: int | None = None,
    metrics_address: str = "127.0.0.1",
    row: Row | None = None,
    stop: Event | None = None,
) -> ControlResult:
    """Control the row of `site`.

    Args:
        site: the row.
        backend: simulated, nvml or redfish.
        policy: name of a policy, or one.
        apply: write to the servers.
        state: folder of the audit log and of the limits as they were; needed with `apply` on a real row.
        duration_s: how long; None: until `stop` (a simulated row: an hour).
        seed: of the work of the simulated row.
        metrics_port: where to serve Prometheus metrics; None: nowhere.
        metrics_address: on which address.
        row: the hardware, where it is not that of `backend`.
        stop: set it to end.

    Raises:
        InputError: wrong site, policy or options; the hardware is not there; another controller runs.
    """
    if apply and state is None and backend != "simulated":
        raise InputError("no folder for the limits as they were", where="--state", hint="give one with --apply")
    chosen, mind = choose(policy, site.policy, dead_man_ms=ms(site.dead_man.after))
    row = row or row_of(site, backend, seed)
    if duration_s is None and backend == "simulated":
        duration_s = SIMULATED_S
    tally, tells, stop = Tally(), Tells(Notify()), stop or Event()
    tells.takers.append(tally)
    name = policy if isinstance(policy, str) else chosen.function.__name__
    snapshot = None if not apply else Snapshot(state) if state is not None else _Forgotten()
    lock = None if state is None else Snapshot(state).hold()
    audit = None if state is None else Audit(state / "audit.jsonl", row.clock.now_ms)
    if audit is not None:
        tells.takers.insert(0, audit)
    try:
        controller = assemble(site, row, chosen, mind, tells, snapshot=snapshot)
        if metrics_port is not None:
            _serve(controller, tells, metrics_port, metrics_address)
        tells("start", site=site.name, backend=backend, policy=name, applied=apply, verify_tls=site.redfish.verify)
        undone, restored = _play(site, controller, snapshot, duration_s, stop)
        tells("stop", restored=restored)
    finally:
        row.calls.close()
        if audit is not None:
            audit.close()
        if lock is not None:
            os.close(lock)
    return ControlResult(
        site=site.name,
        backend=backend,
        policy=name,
        applied=apply,
        turns=tally.kinds["decision"],
        lost_readings=tally.lost,
        peak_power_ratio=tally.peak,
        brakes=tally.brakes,
        dead_man=tally.kinds["dead_man"],
        orders=dict(tally.orders),
        failures=tally.kinds["failed"],
        crash_undone=undone and restored is not False,
        restored=restored,
    )


def _play(
    site: Site, controller: Controller, snapshot: Snapshot | None, duration_s: float | None, stop: Event
) -> tuple[bool, bool | None]:
    """Start, run and give back; returns whether a crash was found, and whether all is back."""
    undone = start(controller)
    end = None if duration_s is None else controller.clock.now_ms() + round(duration_s * 1000)
    restored: bool | None = None
    try:
        controller.run(end, stop)
    finally:
        controller.tell("stopping")
        if snapshot is not None:
            slower = max(controller.low.latency_ms, controller.brake.latency_ms)
            restored = controller.release(RELEASE_LATENCIES * slower + 10 * controller.times.period_ms, Event())
            if restored:
                snapshot.remove()
    return undone, restored


def _serve(controller: Controller, tells: Tells, port: int, address: str) -> None:
    from armillary.power.control.metrics import Metrics

    metrics = Metrics()
    metrics.watch(controller)
    tells.takers.append(metrics)
    where, bound = metrics.serve(port, address)
    tells("metrics", address=where, port=bound, open_to_others=address not in LOOPBACK)


class _Forgotten(Snapshot):
    """Of a simulated row without a folder: its limits go with it."""

    def __init__(self) -> None:
        super().__init__(Path())

    def load(self) -> dict[str, Any]:
        """Nothing is left from before."""
        return {}

    def save(self, limits: dict[str, Any]) -> None:
        """Nothing is kept."""

    def remove(self) -> None:
        """Nothing is there."""
