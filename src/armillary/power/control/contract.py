"""What the controller asks of hardware: a GPU library, a server, a part of the row's power. All are duck-typed.

In:  nothing. Out: `GpuBackend` (GPUs of one host, names after zeus), `Server` (one machine), `Measured`.
Powers are whole mW, clocks whole MHz, a lock of 0 is none. Every call may block, and raises `BackendError` when the
device did not do what it was asked. Messages carry no secret: they go to the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class BackendError(Exception):
    """A device did not answer, refused, or answered nonsense; trying again may help."""


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What one GPU shows, for the metrics."""

    index: int
    uuid: str
    power_mw: int
    sm_mhz: int
    limit_mw: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Power of the row, or of a part of it."""

    power_mw: int
    stamp: str | None = None
    "The meter's own mark of this reading, whatever clock it has: the same mark twice is the same reading."
    gpus: tuple[GpuReading, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the row's power that is measured by itself."""

    name: str
    measure: Callable[[], Measured]
    ceiling_mw: int
    "The most that it can draw: what it counts as when it cannot be read."


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server holds: the lock of its clocks (None: cannot be read) and the power limit of each GPU."""

    lock_mhz: int | None
    limits_mw: tuple[int, ...]
    lowest_mw: tuple[int, ...] = ()
    "The lowest limit of each GPU, where it was noted: so that braking depends on no reading, nor on a lost GPU."


class GpuBackend(Protocol):
    """The GPUs of one host."""

    def count(self) -> int:
        """Return the number of GPUs."""

    def find(self, device: int | str) -> int:
        """Return the index of the GPU with that index or UUID."""

    def uuid(self, index: int) -> str:
        """Return what identifies a GPU across restarts."""

    def clock_range_mhz(self, index: int) -> tuple[int, int]:
        """Return the lowest and the highest graphics clock."""

    def set_gpu_locked_clocks(self, index: int, min_mhz: int, max_mhz: int) -> None:
        """Keep the graphics clock within a range."""

    def reset_gpu_locked_clocks(self, index: int) -> None:
        """Lift the lock."""

    def get_gpu_locked_clocks(self, index: int) -> int | None:
        """Return the highest clock that the lock allows, 0 without a lock, None where that cannot be known."""

    def set_power_management_limit(self, index: int, limit_mw: int) -> None:
        """Set the power limit."""

    def get_power_management_limit(self, index: int) -> int:
        """Return the power limit, mW."""

    def get_power_management_limit_constraints(self, index: int) -> tuple[int, int]:
        """Return the lowest and the highest power limit, mW."""

    def get_instant_power_usage(self, index: int) -> int:
        """Return the power now (not its average over a second), mW."""

    def get_sm_clock(self, index: int) -> int:
        """Return the clock of the streaming multiprocessors, MHz."""

    def may_write(self, index: int) -> str | None:
        """Return why clocks and limits cannot be set, None if nothing speaks against it."""


class Server(Protocol):
    """One machine of the row."""

    @property
    def name(self) -> str:
        """Return its name in the topology."""

    def holds(self) -> Limits:
        """Read the lock and the limits back."""

    def lock(self, mhz: int) -> None:
        """Cap the clocks of all its GPUs; 0 lifts the cap. Returns when the command is accepted, not when it holds."""

    def limit(self, limits_mw: tuple[int, ...]) -> None:
        """Set the power limit of each GPU."""

    def lowest_limits_mw(self) -> tuple[int, ...]:
        """Return the lowest limit of each GPU: that of the brake."""

    def may_write(self) -> str | None:
        """Return why it cannot be commanded, None if nothing speaks against it; writes nothing."""
