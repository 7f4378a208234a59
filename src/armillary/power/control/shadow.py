"""A server that is read but never written: what the controller commands without `--apply`.

In:  a `Server`, a clock, the latencies of its actuators. Out: the same contract; commands land in here only, after the
latency, so that the policy goes through the states that it would go through. The writes of the real one are not called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from armillary.power.control.contract import Limits, Server


@dataclass(slots=True)
class Shadow:
    """What a server would hold, had it been commanded."""

    real: Server
    now_ms: Callable[[], int]
    lock_ms: int
    brake_ms: int
    _held: Limits | None = None
    _lock: tuple[int, int] | None = None
    "(when it lands, MHz)"
    _limits: tuple[int, tuple[int, ...]] | None = None

    @property
    def name(self) -> str:
        """Return the name of the real one."""
        return self.real.name

    def holds(self) -> Limits:
        """Read the real one once; from then on, what has landed here."""
        held = self.real.holds() if self._held is None else self._held
        now = self.now_ms()
        if self._lock is not None and now >= self._lock[0]:
            held, self._lock = replace(held, lock_mhz=self._lock[1]), None
        if self._limits is not None and now >= self._limits[0]:
            held, self._limits = replace(held, limits_mw=self._limits[1]), None
        self._held = held
        return held

    def lock(self, mhz: int) -> None:
        """Note the command."""
        self._lock = (self.now_ms() + self.lock_ms, mhz)

    def limit(self, limits_mw: tuple[int, ...]) -> None:
        """Note the command."""
        self._limits = (self.now_ms() + self.brake_ms, limits_mw)

    def lowest_limits_mw(self) -> tuple[int, ...]:
        """Ask the real one."""
        return self.real.lowest_limits_mw()

    def may_write(self) -> str | None:
        """Ask the real one."""
        return self.real.may_write()
