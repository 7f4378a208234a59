"""GPUs of this host through NVML (`nvidia-ml-py`, import `pynvml`).

In:  the module `pynvml`, or one that looks like it (`armillary.testing.fake_nvml`). Out: a `GpuBackend`.
NVML has no way to read a clock lock back: this backend remembers what it set, and after a restart the lock is unknown
until it is set again. Setting clocks and limits needs root. Power is the field NVML_FI_DEV_POWER_INSTANT; where a
driver lacks it, nvmlDeviceGetPowerUsage, which averages over a second from Ampere on (GA100 aside).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from armillary.errors import InputError, MissingExtraError
from armillary.power.control.contract import BackendError


def import_nvml() -> Any:
    """Return the module `pynvml`.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pynvml
    except ImportError as error:
        raise MissingExtraError("nvidia-ml-py", "control") from error
    return pynvml


class NvmlBackend:
    """All GPUs of this host.

    Args:
        nvml: the module `pynvml`, or one with its functions, constants and `NVMLError`.

    Raises:
        InputError: there is no NVIDIA driver.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._locks: dict[int, int] = {}
        self._handles: dict[int, Any] = {}
        self._names: dict[int, str] = {}
        self._guard = Lock()
        try:
            nvml.nvmlInit()
            self._count = int(nvml.nvmlDeviceGetCount())
        except nvml.NVMLError as error:
            raise InputError(f"NVML does not start: {error}", hint="is the NVIDIA driver loaded?") from error

    def count(self) -> int:
        """Return the number of GPUs."""
        return self._count

    def find(self, device: int | str) -> int:
        """Return the index of a GPU by index or UUID.

        Raises:
            InputError: there is none.
        """
        if isinstance(device, int) and 0 <= device < self._count:
            return device
        for index in range(self._count):
            if self.uuid(index) == device:
                return index
        raise InputError(f"no GPU {device!r} on this host", hint=f"it has {self._count}: nvidia-smi -L lists them")

    def uuid(self, index: int) -> str:
        """Return the UUID; it is kept, since a lost GPU cannot tell it any more."""
        if index not in self._names:
            found = self._call(self._nvml.nvmlDeviceGetUUID, index)
            self._names[index] = found.decode() if isinstance(found, bytes) else str(found)
        return self._names[index]

    def clock_range_mhz(self, index: int) -> tuple[int, int]:
        """Return the lowest and the highest graphics clock at the highest memory clock."""
        memory = max(self._call(self._nvml.nvmlDeviceGetSupportedMemoryClocks, index))
        clocks = self._call(self._nvml.nvmlDeviceGetSupportedGraphicsClocks, index, memory)
        return int(min(clocks)), int(max(clocks))

    def set_gpu_locked_clocks(self, index: int, min_mhz: int, max_mhz: int) -> None:
        """Keep the graphics clock within a range."""
        self._locks.pop(index, None)  # unknown until the driver has said yes
        self._call(self._nvml.nvmlDeviceSetGpuLockedClocks, index, min_mhz, max_mhz)
        self._locks[index] = max_mhz

    def reset_gpu_locked_clocks(self, index: int) -> None:
        """Lift the lock."""
        self._locks.pop(index, None)
        self._call(self._nvml.nvmlDeviceResetGpuLockedClocks, index)
        self._locks[index] = 0

    def get_gpu_locked_clocks(self, index: int) -> int | None:
        """Return the lock that was set here last, None before that; a GPU that is gone has none that can be told."""
        self._call(self._nvml.nvmlDeviceGetClockInfo, index, self._nvml.NVML_CLOCK_SM)
        return self._locks.get(index)

    def set_power_management_limit(self, index: int, limit_mw: int) -> None:
        """Set the power limit."""
        self._call(self._nvml.nvmlDeviceSetPowerManagementLimit, index, limit_mw)

    def get_power_management_limit(self, index: int) -> int:
        """Return the power limit, mW."""
        return int(self._call(self._nvml.nvmlDeviceGetPowerManagementLimit, index))

    def get_power_management_limit_constraints(self, index: int) -> tuple[int, int]:
        """Return the lowest and the highest power limit, mW."""
        low, high = self._call(self._nvml.nvmlDeviceGetPowerManagementLimitConstraints, index)
        return int(low), int(high)

    def get_instant_power_usage(self, index: int) -> int:
        """Return the power now, mW."""
        field = self._nvml.NVML_FI_DEV_POWER_INSTANT
        answer = self._call(self._nvml.nvmlDeviceGetFieldValues, index, [field])[0]
        if answer.nvmlReturn == self._nvml.NVML_SUCCESS:
            return int(answer.value.uiVal)
        return int(self._call(self._nvml.nvmlDeviceGetPowerUsage, index))

    def get_sm_clock(self, index: int) -> int:
        """Return the clock of the streaming multiprocessors, MHz."""
        return int(self._call(self._nvml.nvmlDeviceGetClockInfo, index, self._nvml.NVML_CLOCK_SM))

    def may_write(self, index: int) -> str | None:
        """Return why this process may set neither clocks nor limits; found without writing anything."""
        import os

        if os.geteuid() != 0:
            return "clocks and limits can be set by root only: run as root"
        try:
            low, high = self.get_power_management_limit_constraints(index)
        except BackendError as error:
            return f"its power limit cannot be set: {error}"
        return None if low < high else "its power limit is fixed"

    def _call(self, function: Callable[..., Any], index: int, *arguments: Any) -> Any:
        """Call NVML for a GPU; after an error its handle is fetched anew."""
        try:
            with self._guard:
                if index not in self._handles:
                    self._handles[index] = self._nvml.nvmlDeviceGetHandleByIndex(index)
            return function(self._handles[index], *arguments)
        except self._nvml.NVMLError as error:
            self._handles.pop(index, None)
            if error.value in (self._nvml.NVML_ERROR_GPU_IS_LOST, self._nvml.NVML_ERROR_RESET_REQUIRED):
                self._locks.pop(index, None)  # when it comes back, it has been reset and has forgotten its lock
            raise BackendError(f"NVML: {error}") from error
