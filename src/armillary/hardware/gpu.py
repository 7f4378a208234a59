"""What a GPU is: the pydantic schema of `gpus/*.yaml` and of the user's own GPU files, and how one is loaded.

In:  a catalogue name (case, `-` and `_` do not count) or the path of a YAML file.
Out: `Gpu`, frozen, in base units, every number with its source.
A GPU has units (streaming multiprocessors), peak rates by element type, memory, a link to the others of its server,
clocks, power, and what a serving engine costs on it (`timing`: fitted where measured, else an estimate).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from armillary.errors import InputError
from armillary.hardware.parts import Count, ElementType, Part, Span, Text
from armillary.hardware.quantity import (
    Bytes,
    BytesPerSecond,
    Fraction,
    Hertz,
    Joules,
    JoulesPerByte,
    Number,
    OpsPerSecond,
    Seconds,
    Watts,
)
from armillary.store import Catalogue, says_kind

_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5}


class GpuMemory(Part):
    """Memory of the GPU."""

    size: Bytes
    rate: BytesPerSecond
    "Peak, as the data sheet says."
    reserve: Fraction
    "Share that weights and caches cannot use: context of the driver, workspaces, activations."


class GpuLink(Part):
    """Links between the GPUs of one server."""

    rate: BytesPerSecond
    "That one GPU sends, one direction."
    devices: Count
    "GPUs of one server that they join."


class GpuClocks(Part):
    """Clocks of the units."""

    boost: Hertz
    base: Hertz
    lowest: Hertz
    step: Hertz


class GpuTiming(Part):
    """What a serving engine reaches and costs."""

    gemm_efficiency: Fraction
    gemm_tail: Number
    "Waves of tiles that each product loses at its end."
    attention_efficiency: Fraction
    memory_efficiency: Fraction
    link_efficiency: Fraction
    ring_step: Seconds
    "Of one step of a ring over the links, before its first byte."
    kernel: Seconds
    "Of one kernel in a layer, besides its work: dependency, ramp, small elementwise work."
    launch: Seconds
    "That the host needs to launch one kernel: layers with little work wait for it."
    request: Seconds
    "Of a prompt, once: scheduler, cache allocation, first launches."
    preparation: Seconds
    "Of one token of a prompt before the engine sees it, the GPU idle: part of no latency, but of what meters average."
    memory_sensitivity: Fraction
    "Share of memory time that scales with the clock of the units."
    overhead_sensitivity: Fraction
    "Share of launch, link and request time that scales with the clock of the units."


class GpuPower(Part):
    """What a GPU draws, at its boost clock."""

    limit: Watts
    "Default power limit."
    lowest_limit: Watts
    highest_limit: Watts
    idle: Watts
    active: Watts
    "That having any kernel run adds."
    per_flop: Joules
    "Of one operation in fp16; of other types by the ratio of the peak rates."
    per_byte: JoulesPerByte
    "Of a byte moved from or to memory."
    overshoot: Fraction
    "Share of the limit by which spikes go over it."
    exponent: Number
    "Alpha in (clock / boost) ^ alpha, the factor on all power above idle."
    lag: Seconds
    "From power over the limit until the clock is lower: shorter spikes pass."


class GpuTraining(Part):
    """How training jobs draw power and answer to the clock."""

    bound: Fraction
    "Share of the time of the plateau that scales with the clock."
    crest: Number
    "Plateau over mean power."
    duty: Fraction
    "Share of the time at the plateau."


class GpuCalibration(Part):
    """On what the fitted numbers rest."""

    fitted_by: Text
    timing: Annotated[bool, Field(strict=True)]
    "Was timing measured on this GPU?"
    power: Annotated[bool, Field(strict=True)]
    "Was power measured on this GPU?"
    models: tuple[Text, ...]
    prompt: Span
    "Tokens."
    batch: Span
    tensor_parallel: Span
    expected_error: Fraction
    "Mean absolute error of what is reported, of groups that the fit leaves out."
    source: Text = Field(alias="from")


class Gpu(Part):
    """One GPU."""

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["gpu"]
    name: Text
    summary: Text
    sources: tuple[Text, ...]
    units: Count
    flop_per_s: Annotated[dict[ElementType, OpsPerSecond], Field(min_length=1)]
    "Peak rates without sparsity at the boost clock, by element type."
    memory: GpuMemory
    link: GpuLink
    clocks: GpuClocks
    timing: GpuTiming
    power: GpuPower
    training: GpuTraining
    calibration: GpuCalibration | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        clocks, power = self.clocks, self.power
        if not clocks.lowest.value <= clocks.base.value <= clocks.boost.value:
            raise ValueError("clocks: lowest <= base <= boost")
        if not power.idle.value < power.lowest_limit.value <= power.limit.value <= power.highest_limit.value:
            raise ValueError("power: idle < lowest_limit <= limit <= highest_limit")
        unsized = [dtype for dtype in self.flop_per_s if dtype not in _BYTES]
        if unsized:
            raise ValueError(f"flop_per_s: no language model computes in {unsized[0]}; known: {', '.join(_BYTES)}")
        if "fp16" not in self.flop_per_s:
            raise ValueError("flop_per_s lacks fp16, to which power.per_flop refers")
        return self

    @property
    def boost_mhz(self) -> int:
        """Highest clock, whole MHz."""
        return round(self.clocks.boost.value / 1e6)

    def element_bytes(self, dtype: str) -> float:
        """Bytes of one element of `dtype`."""
        return _BYTES[dtype]

    def flop_j(self, dtype: str) -> float:
        """Joules of one operation in `dtype`."""
        return self.power.per_flop.value * self.flop_per_s["fp16"].value / self.flop_per_s[dtype].value

    def check_clock(self, clock_mhz: float | None) -> float:
        """Return `clock_mhz`, the boost clock for None.

        Raises:
            InputError: it is not between the lowest and the boost clock.
        """
        low, high = self.clocks.lowest.value / 1e6, self.clocks.boost.value / 1e6
        if clock_mhz is None:
            return high
        if not low <= clock_mhz <= high:
            raise InputError(
                f"{self.name} has no clock of {clock_mhz:g} MHz", where="clock_mhz", hint=f"{low:g} to {high:g}"
            )
        return float(clock_mhz)

    def check_limit(self, power_cap_w: float | None) -> float:
        """Return `power_cap_w`, the default limit for None.

        Raises:
            InputError: it is not between the lowest and the highest limit.
        """
        low, high = self.power.lowest_limit.value, self.power.highest_limit.value
        if power_cap_w is None:
            return self.power.limit.value
        if not low <= power_cap_w <= high:
            raise InputError(
                f"{self.name} takes no power limit of {power_cap_w:g} W",
                where="power_cap_w",
                hint=f"{low:g} to {high:g}",
            )
        return float(power_cap_w)


_GPUS: Final = Catalogue("GPU", "armillary.hardware", "gpus", Gpu)


def gpu_names() -> tuple[str, ...]:
    """Return the names of the GPUs that come with Armillary, sorted."""
    return _GPUS.names()


def load_gpu(name_or_path: str | Path | Gpu) -> Gpu:
    """Return the GPU called `name_or_path`, or the one that the YAML file there describes.

    Raises:
        InputError: no such name (with the nearest ones) or file, or the file is not a valid GPU (file:line).
    """
    return name_or_path if isinstance(name_or_path, Gpu) else _GPUS.load(name_or_path)


def gpu_text(name_or_path: str | Path) -> str:
    """Return the YAML of a GPU with its comments and sources.

    Raises:
        InputError: as `load_gpu`.
    """
    return _GPUS.text(name_or_path)


def is_gpu_file(path: Path) -> bool:
    """Return True if the YAML file `path` says that it describes a GPU (`kind: gpu`)."""
    return says_kind(path, "gpu")


def gpu_schema() -> dict[str, Any]:
    """Return the JSON Schema of GPU files."""
    return _GPUS.schema()
