"""Servers whose limits can be given back: nothing is written to one before what it held is on the disk.

In:  servers, a `Snapshot` (none without `apply`). Out: the levers of each server: clock cap and brake.
The brake is the power limit at its lowest: the nearest thing to the brake of the hardware that both NVML and Redfish
can set, and an actuator beside the clocks. A value of 0 means "as it was": the lock and the limits that were noted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from armillary.power.control.contract import Limits, Server
from armillary.power.control.levers import Lever
from armillary.power.control.snapshot import Snapshot

GRID_MHZ = 15  # clocks come in steps: what is asked for may be rounded down by less than this


@dataclass(slots=True)
class Book:
    """What servers held before anything was written."""

    snapshot: Snapshot | None
    limits: dict[str, Limits] = field(default_factory=dict)
    crashed: bool = False
    "Whether a run before this one ended without giving everything back."
    _guard: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.crashed = bool(self.limits)

    def of(self, server: Server) -> Limits:
        """Return what `server` held; read and noted on the disk at the first time."""
        with self._guard:
            if server.name in self.limits:
                return self.limits[server.name]
        held = replace(server.holds(), lowest_mw=server.lowest_limits_mw())
        with self._guard:
            noted = self.limits | {server.name: self.limits.get(server.name, held)}
            if self.snapshot is not None:
                self.snapshot.save(noted)
            self.limits = noted
            return noted[server.name]


@dataclass(frozen=True, slots=True)
class Restorable:
    """One server and the book that its first state stands in."""

    server: Server
    book: Book

    def levers(self) -> tuple[Lever, Lever]:
        """Return (clock cap, brake)."""
        name = self.server.name
        return Lever(name, self._lock, self._lock_holds), Lever(name, self._brake, self.brake_holds)

    def brake_holds(self, value: int) -> bool:
        """Tell whether the limits are those of `value`, 1 for the brake."""
        return self.server.holds().limits_mw == self.limits_mw(value)

    def limits_mw(self, value: int) -> tuple[int, ...]:
        """Return the limits with the brake (1) and without (0)."""
        before = self.book.of(self.server)
        return before.lowest_mw if value else before.limits_mw

    def _brake(self, value: int) -> None:
        self.server.limit(self.limits_mw(value))

    def _lock(self, mhz: int) -> None:
        before = self.book.of(self.server).lock_mhz or 0
        self.server.lock(mhz or before)

    def _lock_holds(self, mhz: int) -> bool:
        wanted, held = mhz or self.book.of(self.server).lock_mhz or 0, self.server.holds().lock_mhz
        if held is None:
            return False
        return held == wanted if wanted == 0 else wanted - GRID_MHZ < held <= wanted


def probe_all(servers: list[Restorable]) -> list[Callable[[], bool]]:
    """Return one function a server that notes what it holds and tells whether its brake is on."""

    def one(each: Restorable) -> bool:
        before = each.book.of(each.server)
        return each.limits_mw(1) != before.limits_mw and each.brake_holds(1)

    return [lambda each=each: one(each) for each in servers]  # type: ignore[misc]
