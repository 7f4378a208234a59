"""A server made of GPUs of a `GpuBackend`: those of this host through NVML, or simulated ones.

In:  a backend, the indices of its GPUs, what the rest of the server draws. Out: a `Server` and a `Part`.
A command goes to all GPUs even where one fails; then it raises, so that the lever is tried again. Power is the sum of
the instantaneous powers, since an average over a second hides what a breaker feels; a GPU that cannot be read (lost)
counts at its limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from armillary.power.control.contract import BackendError, GpuBackend, GpuReading, Limits, Measured, Part


@dataclass(slots=True)
class GpuServer:
    """Some GPUs of one host, that are commanded together."""

    name: str
    backend: GpuBackend
    indices: tuple[int, ...]
    other_mw: int
    ceiling_mw: int
    "Of one GPU: what it counts as while it has never been read."
    _known_limits: dict[int, int] = field(default_factory=dict)

    def holds(self) -> Limits:
        """Read back; a lock that differs between GPUs cannot be stated and is None."""
        locks = {self.backend.get_gpu_locked_clocks(index) for index in self.indices}
        limits = tuple(self.backend.get_power_management_limit(index) for index in self.indices)
        return Limits(locks.pop() if len(locks) == 1 else None, limits)

    def lock(self, mhz: int) -> None:
        """Cap the clocks; the lowest clock stays free, so that idle GPUs may rest."""

        def one(index: int) -> None:
            if mhz == 0:
                self.backend.reset_gpu_locked_clocks(index)
                return
            lowest, highest = self.backend.clock_range_mhz(index)
            self.backend.set_gpu_locked_clocks(index, lowest, min(max(mhz, lowest), highest))

        self._all(one)

    def limit(self, limits_mw: tuple[int, ...]) -> None:
        """Set the limits, in the order of the GPUs."""
        wanted = dict(zip(self.indices, limits_mw, strict=True))
        self._all(lambda index: self.backend.set_power_management_limit(index, wanted[index]))

    def lowest_limits_mw(self) -> tuple[int, ...]:
        """Return the lowest limit of each GPU."""
        return tuple(self.backend.get_power_management_limit_constraints(index)[0] for index in self.indices)

    def may_write(self) -> str | None:
        """Return the first reason why a GPU cannot be commanded."""
        return next((why for index in self.indices if (why := self.backend.may_write(index)) is not None), None)

    def part(self) -> Part:
        """Return the server as a part of the row's power."""
        return Part(self.name, self.measure, self.other_mw + self.ceiling_mw * len(self.indices))

    def measure(self) -> Measured:
        """Read the power of all GPUs now.

        Raises:
            BackendError: no GPU can be read.
        """
        power, shown, problem = self.other_mw, list[GpuReading](), ""
        for index in self.indices:
            try:
                used = self.backend.get_instant_power_usage(index)
                limit = self._known_limits[index] = self.backend.get_power_management_limit(index)
                clock = self.backend.get_sm_clock(index)
                shown.append(GpuReading(index, self.backend.uuid(index), used, clock, limit))
            except BackendError as error:
                problem = str(error)
                used = self._known_limits.get(index, self.ceiling_mw)
            power += used
        if not shown:
            raise BackendError(problem)
        return Measured(power, gpus=tuple(shown))

    def _all(self, one: Callable[[int], None]) -> None:
        """Do `one` to every GPU, then raise if any failed."""
        problems = []
        for index in self.indices:
            try:
                one(index)
            except BackendError as error:
                problems.append(f"GPU {index}: {error}")
        if problems:
            raise BackendError("; ".join(problems)[:300])
