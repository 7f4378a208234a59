"""Fitted cost laws of single operators on one tile of a chip, and its power factors, as parts of a chip file.

In:  the blocks `operator_laws` and `power_factors` of a chip file.
Out: frozen `OperatorLaws` (a law per operator and element type, at most 12 coefficients each) and `PowerFactors`.
What the coefficients mean in equations: `armillary.npu.laws`. No measured row is stored, only coefficients.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from armillary.hardware.parts import Count, ElementType, OperatorName, Part, Rates, Span, Text
from armillary.hardware.quantity import Fraction

Positive = Annotated[float, Field(gt=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
FactorRow = Annotated[tuple[Positive, ...], Field(min_length=1, max_length=6)]

FACTOR_CHANNELS: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
"Input channels at which a row of six power factors stands; between them it is linear in log2(channels)."


class OperatorLaw(Part):
    """What all forms share: for which operator and element type, and how well the law does on rows it never saw."""

    COEFFICIENTS: ClassVar[tuple[str, ...]]

    op: OperatorName
    dtype: ElementType
    rows: Count
    "Rows that it was fitted on."
    median_error: Fraction
    "Median absolute relative error on the held-out rows."
    p90_error: Fraction
    "90th percentile of the same."
    launch: Positive
    "Cycles before the first useful one and after the last."
    width_fill: Share
    "How far the output width counts in whole granules of 4 positions: 0 not at all, 1 entirely."
    height_fill: Share
    "The same for the output height."


class DenseLaw(OperatorLaw):
    """Convolutions: the longest of products, reads and writes, in the best of the three mappings of the array."""

    COEFFICIENTS: ClassVar = (
        "launch", "channel_cost", "work", "windowed", "skipped", "read", "write", "sharpness", "width_fill",
        "height_fill", "input_fill", "narrow_input",
    )  # fmt: skip

    form: Literal["dense"]
    channel_cost: Positive
    "Cycles that 16 output channels add."
    work: Positive
    "Cycles per ideal cycle of a 1x1 convolution."
    windowed: Positive
    "Factor on `work` where the kernel is larger than 1x1, whose windows reuse inputs."
    skipped: Share
    "Share of the taps on padding that cost nothing."
    read: Positive
    "Bytes read in a cycle."
    write: Positive
    "Bytes written in a cycle."
    sharpness: Annotated[float, Field(ge=1, le=12)]
    "Exponent of the norm that joins the three: 1 adds them up, a large one takes the longest."
    input_fill: Share
    "How far input channels count in whole granules of 32 bytes."
    narrow_input: Positive
    "Input channels that fewer than 16 count as (images are packed)."


class WindowedLaw(OperatorLaw):
    """Depthwise convolutions and pools: whole tiles of 4 x 4 positions and a granule of channels, tap by tap."""

    COEFFICIENTS: ClassVar = (
        "launch", "window_cost", "tap", "output", "strided", "width_fill", "height_fill", "tile_fill", "channel_fill",
        "narrow_3x3",
    )  # fmt: skip

    form: Literal["windowed"]
    window_cost: Positive
    "Cycles that each tap of the window adds once (filling the pipeline)."
    tap: Positive
    "Cycles per tap of 16 outputs."
    output: Positive
    "Cycles per 16 outputs, whatever the window."
    strided: Positive
    "Factor on `tap` per step of stride beyond 1."
    tile_fill: Share
    "How far width and height count in whole granules of 8."
    channel_fill: Share
    "How far channels count in whole granules of 32 bytes."
    narrow_3x3: Share
    "What is left of `channel_fill` for 3x3 windows of stride 1, which later chips do in half granules."


class ElementwiseLaw(OperatorLaw):
    """Sums and products of two tensors: elements at a rate, and a cost of their channels."""

    COEFFICIENTS: ClassVar = ("launch", "channel_cost", "rate", "width_fill", "height_fill", "channel_fill")

    form: Literal["elementwise"]
    channel_cost: Positive
    "Cycles that 16 channels add."
    rate: Positive
    "Elements in a cycle."
    channel_fill: Share
    "How far channels count in whole granules of 64."


Law = Annotated[DenseLaw | WindowedLaw | ElementwiseLaw, Field(discriminator="form")]


class OperatorLaws(Part):
    """The laws of a chip: cycles of one operator on one tile, data in the scratchpad."""

    fitted_by: Text
    source: Text = Field(alias="from")
    device: Text
    "What the column `device` of operator tables calls this chip."
    macs_per_cycle: Rates
    "Of the one tile that the laws speak of."
    channels: Span
    "Input and output channels of the rows fitted on."
    kernel: Span
    "Kernel widths of the same."
    positions: Span
    "Output positions of the same."
    laws: Annotated[tuple[Law, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        seen = set()
        for law in self.laws:
            if (law.op, law.dtype) in seen:
                raise ValueError(f"has two laws of {law.op} in {law.dtype}")
            if law.dtype not in self.macs_per_cycle:
                raise ValueError(f"macs_per_cycle lacks {law.dtype}, which the law of {law.op} needs")
            seen.add((law.op, law.dtype))
        return self


class PowerFactors(Part):
    """Energy of an operator = ideal cycles x factor, in cycles at the dynamic power of the worst operator."""

    source: Text = Field(alias="from")
    limit: Positive = 1.0
    "Largest activity that the power of an operator is capped at."
    factors: Annotated[dict[ElementType, dict[OperatorName, FactorRow]], Field(min_length=1)]
    "Element type -> operator -> one factor, or six at 16, 32, ... 512 input channels."

    @model_validator(mode="after")
    def _one_or_six(self) -> Self:
        for dtype, rows in self.factors.items():
            for op, row in rows.items():
                if len(row) not in (1, len(FACTOR_CHANNELS)):
                    raise ValueError(f"{dtype}.{op} has {len(row)} factors; one, or six at 16 to 512 input channels")
        return self
