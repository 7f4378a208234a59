# ruff: noqa: N802 - the functions have the names of pynvml
"""A stand-in for the module `pynvml`: A100s under simulated work.

In:  a `Plant` (or what looks like it), a clock, latencies. Out: the functions, constants and errors of `pynvml` that a
power controller uses, with NVML's rules: clocks and limits need permission and lie in range, mW, a lost GPU answers
nothing until it is found again. Power is never canned: it follows the work and the clocks that hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from armillary.power.control.plant import Gpu, Plant

MEMORY_MHZ = 1593  # of an A100-80GB


class NVMLError(Exception):
    """As in pynvml: `value` is the code."""

    def __init__(self, value: int) -> None:
        super().__init__(value)
        self.value = value

    def __str__(self) -> str:
        return _TEXT.get(self.value, f"NVML Error with code {self.value}")


_TEXT = {2: "Invalid Argument", 3: "Not Supported", 4: "Insufficient Permissions", 10: "Timeout", 15: "GPU is lost"}


@dataclass(frozen=True, slots=True)
class _Value:
    uiVal: int  # noqa: N815 - the name in pynvml


@dataclass(frozen=True, slots=True)
class _FieldValue:
    fieldId: int  # noqa: N815
    nvmlReturn: int  # noqa: N815
    value: _Value


@dataclass(slots=True)
class FakeNvml:
    """The module. Give it to `NvmlBackend`, or put it into `sys.modules["pynvml"]`."""

    plant: Plant
    gpus: int
    "GPUs of each server of the plant; GPU n of server s has index s x gpus + n."
    now_ms: Callable[[], int]
    lock_ms: int = 0
    limit_ms: int = 0
    permitted: bool = True
    "Whether this process may set clocks and limits."
    instant: bool = True
    "Whether the driver knows the field of the instantaneous power."
    lost: set[int] = field(default_factory=set)
    setters: list[tuple[int, str, int, int]] = field(default_factory=list)
    "Every call that changes something: (ms, function, index, value)."
    before_call: Callable[[str, int], None] = lambda name, index: None
    "Called first in every call; raises to inject an error."

    NVML_SUCCESS = 0
    NVML_ERROR_INVALID_ARGUMENT = 2
    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_TIMEOUT = 10
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_ERROR_RESET_REQUIRED = 16
    NVML_CLOCK_SM = 1
    NVML_FI_DEV_POWER_AVERAGE = 185
    NVML_FI_DEV_POWER_INSTANT = 186
    NVMLError = NVMLError

    def nvmlInit(self) -> None:
        """The driver is there."""

    def nvmlShutdown(self) -> None:
        """Nothing is to be given back."""

    def nvmlDeviceGetCount(self) -> int:
        """Return the number of GPUs."""
        return self.gpus * len(self.plant.machines)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        """Return a handle, which is the index."""
        self._gpu("nvmlDeviceGetHandleByIndex", index)
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        """Return the UUID."""
        self._gpu("nvmlDeviceGetUUID", handle)
        return f"GPU-{handle:08d}-fake"

    def nvmlDeviceGetName(self, handle: int) -> str:
        """Return the name of the product."""
        self._gpu("nvmlDeviceGetName", handle)
        return self.plant.profile.name

    def nvmlDeviceGetSupportedMemoryClocks(self, handle: int) -> list[int]:
        """Return the one memory clock."""
        self._gpu("nvmlDeviceGetSupportedMemoryClocks", handle)
        return [MEMORY_MHZ]

    def nvmlDeviceGetSupportedGraphicsClocks(self, handle: int, memory_mhz: int) -> list[int]:
        """Return the grid of clocks, highest first."""
        self._gpu("nvmlDeviceGetSupportedGraphicsClocks", handle)
        if memory_mhz != MEMORY_MHZ:
            raise NVMLError(self.NVML_ERROR_INVALID_ARGUMENT)
        profile = self.plant.profile
        return list(range(profile.highest_mhz, profile.lowest_mhz - 1, -profile.step_mhz))

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        """Return the clock now."""
        gpu = self._gpu("nvmlDeviceGetClockInfo", handle)
        if kind != self.NVML_CLOCK_SM:
            raise NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
        return int(gpu.clock_mhz)

    def nvmlDeviceSetGpuLockedClocks(self, handle: int, lowest_mhz: int, highest_mhz: int) -> None:
        """Lock; the clock steps down to the grid."""
        profile = self.plant.profile
        self._set("nvmlDeviceSetGpuLockedClocks", handle, highest_mhz)
        if not profile.lowest_mhz <= lowest_mhz <= highest_mhz <= profile.highest_mhz:
            raise NVMLError(self.NVML_ERROR_INVALID_ARGUMENT)
        top = profile.lowest_mhz + (highest_mhz - profile.lowest_mhz) // profile.step_mhz * profile.step_mhz
        self._command(handle, "lock_mhz", top, self.lock_ms)

    def nvmlDeviceResetGpuLockedClocks(self, handle: int) -> None:
        """Unlock."""
        self._set("nvmlDeviceResetGpuLockedClocks", handle, 0)
        self._command(handle, "lock_mhz", 0, self.lock_ms)

    def nvmlDeviceGetPowerManagementLimit(self, handle: int) -> int:
        """Return the limit, mW."""
        return self._gpu("nvmlDeviceGetPowerManagementLimit", handle).limit_mw

    def nvmlDeviceGetPowerManagementLimitConstraints(self, handle: int) -> Sequence[int]:
        """Return [lowest, highest], mW."""
        self._gpu("nvmlDeviceGetPowerManagementLimitConstraints", handle)
        return [self.plant.profile.lowest_limit_mw, self.plant.profile.highest_limit_mw]

    def nvmlDeviceSetPowerManagementLimit(self, handle: int, limit_mw: int) -> None:
        """Limit."""
        self._set("nvmlDeviceSetPowerManagementLimit", handle, limit_mw)
        if not self.plant.profile.lowest_limit_mw <= limit_mw <= self.plant.profile.highest_limit_mw:
            raise NVMLError(self.NVML_ERROR_INVALID_ARGUMENT)
        self._command(handle, "limit_mw", limit_mw, self.limit_ms)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        """Return the power, mW."""
        return self._gpu("nvmlDeviceGetPowerUsage", handle).power_mw

    def nvmlDeviceGetFieldValues(self, handle: int, fields: Sequence[int]) -> list[Any]:
        """Return the values of fields; each has its own verdict."""
        power = self._gpu("nvmlDeviceGetFieldValues", handle).power_mw
        known = self.instant and {self.NVML_FI_DEV_POWER_INSTANT, self.NVML_FI_DEV_POWER_AVERAGE}
        return [
            _FieldValue(each, self.NVML_SUCCESS, _Value(power))
            if known and each in known
            else _FieldValue(each, self.NVML_ERROR_NOT_SUPPORTED, _Value(0))
            for each in fields
        ]

    def _gpu(self, function: str, index: int) -> Gpu:
        self.before_call(function, index)
        if not 0 <= index < self.nvmlDeviceGetCount():
            raise NVMLError(self.NVML_ERROR_INVALID_ARGUMENT)
        if index in self.lost:
            raise NVMLError(self.NVML_ERROR_GPU_IS_LOST)
        self.plant.advance(self.now_ms())
        return self.plant.gpu(*divmod(index, self.gpus))

    def _set(self, function: str, index: int, value: int) -> None:
        self.setters.append((self.now_ms(), function, index, value))
        self._gpu(function, index)
        if not self.permitted:
            raise NVMLError(self.NVML_ERROR_NO_PERMISSION)

    def _command(self, index: int, what: str, value: int, latency_ms: int) -> None:
        server, gpu = divmod(index, self.gpus)
        self.plant.command(server, gpu, what, value, self.now_ms() + latency_ms)
