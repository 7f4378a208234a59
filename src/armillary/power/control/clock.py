"""Time as the controller knows it: milliseconds since its start, never the date.

In:  nothing. Out: `SystemClock` (goes on while the machine sleeps, does not jump when the date is set) and
`VirtualClock` (jumps to where it is told, for simulations and tests). The date only goes into the audit log.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Protocol


class Clock(Protocol):
    """What the controller runs on."""

    def now_ms(self) -> int:
        """Return the time since the start."""

    def wait_until(self, ms: int, stop: Event) -> None:
        """Return at `ms`, or sooner when `stop` is set."""


def _seconds() -> float:
    # CLOCK_MONOTONIC stands still while a machine is suspended: a reading from before would look fresh.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SystemClock:
    """The clock of the machine, from 0 at its making."""

    def __init__(self) -> None:
        self._start = _seconds()

    def now_ms(self) -> int:
        """Return the time since the start."""
        return int((_seconds() - self._start) * 1000.0)

    def wait_until(self, ms: int, stop: Event) -> None:
        """Sleep until `ms`, or until `stop` is set."""
        while (left_s := ms / 1000.0 - (_seconds() - self._start)) > 0:
            if stop.wait(left_s):
                return


class VirtualClock:
    """A clock that waits in no time; whoever listens is told of each jump (a simulated row advances then)."""

    def __init__(self) -> None:
        self._now = 0
        self.listeners: list[Callable[[int], None]] = []

    def now_ms(self) -> int:
        """Return the virtual time."""
        return self._now

    def wait_until(self, ms: int, stop: Event) -> None:
        """Jump to `ms`; never back."""
        self._now = max(self._now, ms)
        for listener in self.listeners:
            listener(self._now)
