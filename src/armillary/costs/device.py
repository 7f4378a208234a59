"""What cost functions need to know of a processor and of the links between several.

In:  a `hardware.Gpu` and an element type.
Out: `Device` and `Fabric`, small frozen records in base units.
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.errors import InputError
from armillary.hardware.gpu import Gpu


@dataclass(frozen=True, slots=True)
class Device:
    """One processor that computes in one element type."""

    flop_per_s: float  # peak
    units: int  # that tiles of work are dealt out to
    gemm_efficiency: float  # share of the peak that a large product reaches
    gemm_tail: float  # waves lost at the end of each product
    attention_efficiency: float  # share of a unit's peak within the attention kernel
    memory_bytes_per_s: float  # peak
    memory_efficiency: float
    kernel_s: float  # gap between two kernels that depend on each other
    launch_s: float  # that the host needs for one kernel
    element_bytes: float

    @property
    def unit_flop_per_s(self) -> float:
        """Peak of one unit."""
        return self.flop_per_s / self.units

    @property
    def read_bytes_per_s(self) -> float:
        """Rate that long reads reach."""
        return self.memory_bytes_per_s * self.memory_efficiency


@dataclass(frozen=True, slots=True)
class Fabric:
    """Links that join `devices` equal processors, each to all."""

    devices: int
    bytes_per_s: float  # that one device sends, one direction, reached by large messages
    step_s: float  # of one step of a ring, before its first byte


def device_of(gpu: Gpu, dtype: str) -> Device:
    """Return what `gpu` is when it computes in `dtype`.

    Raises:
        InputError: `gpu` does not compute in `dtype`; names the types that it does.
    """
    if dtype not in gpu.flop_per_s:
        known = ", ".join(gpu.flop_per_s)
        raise InputError(f"{gpu.name} does not compute in {dtype!r}", where="dtype", hint=f"one of {known}")
    timing = gpu.timing
    return Device(
        flop_per_s=gpu.flop_per_s[dtype].value,
        units=gpu.units,
        gemm_efficiency=timing.gemm_efficiency.value,
        gemm_tail=timing.gemm_tail.value,
        attention_efficiency=timing.attention_efficiency.value,
        memory_bytes_per_s=gpu.memory.rate.value,
        memory_efficiency=timing.memory_efficiency.value,
        kernel_s=timing.kernel.value,
        launch_s=timing.launch.value,
        element_bytes=gpu.element_bytes(dtype),
    )


def fabric_of(gpu: Gpu, devices: int) -> Fabric:
    """Return the links between `devices` of `gpu` in one server.

    Raises:
        InputError: a server holds fewer of them.
    """
    if not 1 <= devices <= gpu.link.devices:
        raise InputError(f"{devices} of {gpu.name} in one server", where="tp", hint=f"1 to {gpu.link.devices}")
    return Fabric(devices, gpu.link.rate.value * gpu.timing.link_efficiency.value, gpu.timing.ring_step.value)
