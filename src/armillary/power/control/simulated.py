"""GPUs of a simulated row, as a `GpuBackend`.

In:  a `Plant`, the latencies of its actuators, a clock. Out: the contract; GPU n of server s has index s x gpus + n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from armillary.errors import InputError
from armillary.power.control.plant import Gpu, Plant


@dataclass(frozen=True, slots=True)
class SimulatedGpus:
    """All GPUs of a plant."""

    plant: Plant
    gpus: int
    now_ms: Callable[[], int]
    lock_ms: int = 0
    limit_ms: int = 0

    def count(self) -> int:
        """Return the number of GPUs."""
        return self.gpus * len(self.plant.machines)

    def find(self, device: int | str) -> int:
        """Return the index itself."""
        if not isinstance(device, int) or not 0 <= device < self.count():
            raise InputError(f"no GPU {device!r} in the simulated row", hint=f"it has {self.count()}")
        return device

    def uuid(self, index: int) -> str:
        """Return a name."""
        return f"SIM-{index:04d}"

    def clock_range_mhz(self, index: int) -> tuple[int, int]:
        """Return what the profile says."""
        return self.plant.profile.lowest_mhz, self.plant.profile.highest_mhz

    def set_gpu_locked_clocks(self, index: int, min_mhz: int, max_mhz: int) -> None:
        """Lock; the clock steps down to the grid."""
        profile = self.plant.profile
        top = profile.lowest_mhz + (max_mhz - profile.lowest_mhz) // profile.step_mhz * profile.step_mhz
        self._command(index, "lock_mhz", top, self.lock_ms)

    def reset_gpu_locked_clocks(self, index: int) -> None:
        """Unlock."""
        self._command(index, "lock_mhz", 0, self.lock_ms)

    def get_gpu_locked_clocks(self, index: int) -> int | None:
        """Return what has landed."""
        return self._gpu(index).lock_mhz

    def set_power_management_limit(self, index: int, limit_mw: int) -> None:
        """Limit."""
        self._command(index, "limit_mw", limit_mw, self.limit_ms)

    def get_power_management_limit(self, index: int) -> int:
        """Return what has landed."""
        return self._gpu(index).limit_mw

    def get_power_management_limit_constraints(self, index: int) -> tuple[int, int]:
        """Return what the profile says."""
        return self.plant.profile.lowest_limit_mw, self.plant.profile.highest_limit_mw

    def get_instant_power_usage(self, index: int) -> int:
        """Return the power now."""
        return self._gpu(index).power_mw

    def get_sm_clock(self, index: int) -> int:
        """Return the clock now."""
        return int(self._gpu(index).clock_mhz)

    def may_write(self, index: int) -> str | None:
        """Nothing speaks against it."""
        return None

    def _gpu(self, index: int) -> Gpu:
        self.plant.advance(self.now_ms())
        return self.plant.gpu(*divmod(index, self.gpus))

    def _command(self, index: int, what: str, value: int, latency_ms: int) -> None:
        now = self.now_ms()
        self.plant.advance(now)
        server, gpu = divmod(index, self.gpus)
        self.plant.command(server, gpu, what, value, now + latency_ms)
