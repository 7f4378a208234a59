"""What a chip is: the pydantic schema of `catalog/*.yaml` and of the user's own chip files.

In:  a mapping (YAML through `armillary.store.load_model`).
Out: `Chip`, frozen; every quantity in base units with its interval and source, every count a strict integer.
A chip has a matrix array, a vector engine, a scratchpad, and DRAM (with its DMA engines), a host link, or both; its
weights may lie in a memory of their own.
Unknown keys, missing units, wrong dimensions and negative values are refused where they stand.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from armillary.hardware.operator_laws import OperatorLaws, PowerFactors
from armillary.hardware.parts import ActivationName, Count, ElementType, OperatorName, Part, Rates, Span, Speeds, Text
from armillary.hardware.quantity import (
    Bytes,
    BytesPerSecond,
    Fraction,
    Hertz,
    Joules,
    JoulesPerByte,
    OpsPerSecond,
    Quantity,
    Seconds,
    Volts,
    Watts,
)

SCHEMA_VERSION = 1


class Granules(Part):
    """What the array takes at once; work rounds up to whole granules."""

    reduction: Count
    "Products summed by one pass of the array (input channels x window), elements."
    outputs: Count
    "Output channels of one pass, elements."
    positions: Count = 1
    "Output positions that one set of weights stays for at least: cycles that loading the next set takes."
    channels: Count | None = None
    """Input channels of a pass that takes several elements of the window; any other pass takes one element and as many
    channels as products. Whichever needs fewer passes is taken; absent: products of any kind fill a pass."""
    taps: Count = 1
    "Elements of the window of a depthwise convolution or pool."
    rows: Count = 1
    "Output rows that the array works on at once."
    columns: Count = 1
    "Output positions of a row that it works on at once."


class MatrixArray(Part):
    """The matrix engine."""

    macs_per_cycle: Rates
    "Multiply-accumulates per cycle when all lanes work, per element type."
    depthwise_macs_per_cycle: Rates | None = None
    "The same for depthwise convolutions, which have no input channels to reduce; absent: as macs_per_cycle."
    outputs_per_cycle: Speeds | None = None
    "Outputs that its output stage finishes per cycle, per element type; absent: as many as the array makes."
    granules: Granules
    efficiency: Fraction = Quantity(1.0)
    "Share of the cycles in which the array does useful work (control, bank conflicts, stalls take the rest)."
    operators: tuple[OperatorName, ...]
    "Operators that the array runs."
    activations: tuple[ActivationName, ...] = ()
    "Activations that its output stage applies for nothing."


class VectorEngine(Part):
    """The engine for what the matrix array cannot do."""

    elements_per_cycle: Speeds
    "Elements per cycle, per element type."
    operators: tuple[OperatorName, ...]
    "Operators that it runs; `activation` is limited to `activations`."
    activations: tuple[ActivationName, ...] = ()
    "Activations that it computes."
    shares_array: Annotated[bool, Field(strict=True)] = False
    "True where it is the output stage of the array, so that the two never run at the same time."


class Control(Part):
    """What it takes to issue work."""

    layer_cost: Seconds = Quantity(0.0)
    "Time from the issue of a layer to its first useful cycle."
    barriers: Annotated[int, Field(strict=True, ge=2, le=2**20)] | None = None
    "Counting barriers with which queues wait for each other; absent: as many as it takes."
    issue_cost: Seconds = Quantity(0.0)
    "Time that the control processor takes to hand one task to its queue; it hands them out in program order."
    queue_entries: Count | None = None
    "Tasks that a queue holds, the one that runs included; absent: as many as there are."
    submit_cost: Seconds = Quantity(0.0)
    "Time that the driver on the host takes to submit one inference."


class Scratchpad(Part):
    """On-chip memory for activations and weight tiles."""

    size: Bytes
    keeps_activations: Annotated[bool, Field(strict=True)] = True
    "False where it buffers tiles alone: every layer reads its inputs from memory and writes its outputs there."
    alignment: Count = 1
    "Bytes of which the address and the size of every buffer are multiples."


class ParameterCache(Part):
    """The part of the scratchpad that keeps weights from one inference to the next."""

    size: Bytes
    "At most this much; activations go first, so a network with large feature maps gets less."


class Dram(Part):
    """Memory of the chip outside of the array, shared by its DMA engines."""

    kind: Literal["DRAM", "HBM", "SRAM"] = "DRAM"
    "What it is: SRAM of the system takes the place of DRAM beside a microcontroller."
    rate: BytesPerSecond
    latency: Seconds = Quantity(0.0)
    "Of one transfer, before its first byte."
    dma_engines: Count = 1
    engine_rate: BytesPerSecond | None = None
    "Of one DMA engine alone; absent: the rate of the memory."


class WeightMemory(Part):
    """Where the weights lie, if not where the activations do: flash beside SRAM, DDR beside HBM.

    Rows that a network looks up in a table are read as if the table lay with the activations.
    """

    rate: BytesPerSecond
    latency: Seconds = Quantity(0.0)
    "Of one transfer, before its first byte."
    compression: Fraction = Quantity(1.0)
    "Bytes of encoded weights per byte of weights: they are decoded on the way into the array."
    streams: Annotated[bool, Field(strict=True)] = False
    "True where the array computes while its weights arrive; else a tile begins when they are there."
    buffer: Bytes | None = None
    "Where the weights of a tile lie until its last use, and the next ones wait, encoded; absent: in the scratchpad."


class HostLink(Part):
    """Link between the chip and its host's memory."""

    rate: BytesPerSecond
    latency: Seconds = Quantity(0.0)
    "Of one transfer, before its first byte."


class Host(Part):
    """The processor that runs what the chip cannot."""

    rate: OpsPerSecond
    "Sustained on convolutions, one multiply-accumulate being two operations."
    memory_rate: BytesPerSecond
    "Sustained on operators that only move elements."
    call_cost: Seconds = Quantity(0.0)
    "Of handing one operator to the host and its result back."


class Energy(Part):
    """Energy of the events and power of the rest, at the chip's clock and voltage."""

    mac: Annotated[dict[ElementType, Joules], Field(min_length=1)]
    "Of one multiply-accumulate."
    vector_element: Joules
    "Of one element in the vector engine."
    scratchpad: JoulesPerByte
    "Of a byte read or written."
    dram: JoulesPerByte = Quantity(0.0)
    weight_memory: JoulesPerByte = Quantity(0.0)
    host_link: JoulesPerByte = Quantity(0.0)
    idle: Watts
    "Clocks and fabric, whether or not anything runs."
    leakage: Watts = Quantity(0.0)


class OperatingPoint(Part):
    """A clock and the voltage that it needs."""

    clock: Hertz
    voltage: Volts


class Calibration(Part):
    """On what the fitted numbers rest, so that a result can say how far to trust it."""

    fitted_by: Text
    chip: Text
    "Name of the chip that was measured; others may share what was fitted, not how well it fits."
    networks: tuple[Text, ...]
    element_types: tuple[ElementType, ...]
    operators: tuple[OperatorName, ...]
    "Kinds of layers in the calibration networks: what others cost was never compared with a measurement."
    macs: Span
    "Multiply-accumulates of an inference, over the calibration networks."
    parameter_bytes: Span
    in_sample_error: Fraction
    "Mean absolute error over the calibration networks."
    expected_error: Fraction
    "Mean absolute error of each network when the fit leaves it out."
    source: Text = Field(alias="from")


class Chip(Part):
    """One accelerator with its memories, its host and its energy."""

    schema_version: Literal[1] = Field(alias="schema")
    name: Text
    summary: Text
    sources: tuple[Text, ...] = ()
    clock: Hertz
    array: MatrixArray
    vector: VectorEngine
    control: Control = Control()
    scratchpad: Scratchpad
    parameter_cache: ParameterCache | None = None
    dram: Dram | None = None
    weight_memory: WeightMemory | None = None
    host_link: HostLink | None = None
    host: Host
    energy: Energy
    operating_points: tuple[OperatingPoint, ...] = ()
    calibration: Calibration | None = None
    tiles: Count = 1
    "Equal tiles into which array, vector engine and scratchpad, given here all together, are divided."
    operator_laws: OperatorLaws | None = None
    power_factors: PowerFactors | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.dram is None and self.host_link is None:
            raise ValueError("a chip needs dram, a host_link, or both; otherwise no network reaches it")
        for dtype in self.array.macs_per_cycle:
            if dtype not in self.vector.elements_per_cycle:
                raise ValueError(f"vector.elements_per_cycle lacks {dtype}, which array.macs_per_cycle has")
            if dtype not in self.energy.mac:
                raise ValueError(f"energy.mac lacks {dtype}, which array.macs_per_cycle has")
            if self.array.outputs_per_cycle is not None and dtype not in self.array.outputs_per_cycle:
                raise ValueError(f"array.outputs_per_cycle lacks {dtype}, which array.macs_per_cycle has")
            if self.array.depthwise_macs_per_cycle is not None and dtype not in self.array.depthwise_macs_per_cycle:
                raise ValueError(f"array.depthwise_macs_per_cycle lacks {dtype}, which array.macs_per_cycle has")
        if self.parameter_cache is not None and self.parameter_cache.size.value > self.scratchpad.size.value:
            raise ValueError("parameter_cache.size is larger than scratchpad.size, of which it is a part")
        if self.weight_buffer_bytes is not None and self.parameter_cache is not None:
            raise ValueError("weights that wait in weight_memory.buffer are not cached; leave out parameter_cache")
        if 64 * self.scratchpad.alignment > self.scratchpad.size.value:
            raise ValueError("scratchpad.alignment leaves room for fewer than 64 buffers; write a smaller one")
        return self

    @property
    def weight_buffer_bytes(self) -> int | None:
        """Bytes of the buffer in which weights wait, None where they wait in the scratchpad."""
        buffer = self.weight_memory.buffer if self.weight_memory is not None else None
        return None if buffer is None else int(buffer.value)

    @property
    def streams_weights(self) -> bool:
        """True if the array computes while its weights arrive."""
        return self.weight_memory is not None and self.weight_memory.streams

    @property
    def element_types(self) -> tuple[str, ...]:
        """Element types that the chip itself computes with."""
        return tuple(self.array.macs_per_cycle)

    @property
    def peak_macs_per_s(self) -> dict[str, float]:
        """Element type -> multiply-accumulates per second when every lane works."""
        return {dtype: rate * self.clock.value for dtype, rate in self.array.macs_per_cycle.items()}
