"""Reference figures of language models on GPUs: measured phases, locked clocks, power caps.

In:  rows of `references/power.yaml`. Out: frozen records.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(strict=True, min_length=1)]
Size = Annotated[int, Field(strict=True, gt=0)]
Positive = Annotated[float, Field(gt=0)]
Figure = Literal["prefill_s", "decode_s_per_token", "latency_s", "peak_power_w", "mean_power_w"]


class _Row(BaseModel):
    """What every row says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Text
    gpu: Text
    source: Text
    calibration: Annotated[bool, Field(strict=True)]
    "True if parameters were fitted on it: then it is no evidence."


class PhaseReference(_Row):
    """Measured figures of one batch on GPUs."""

    model: Text
    tp: Size
    prompt: Size
    batch: Size = 1
    output: Size = 128
    figures: dict[Figure, Positive]
    "Seconds, and watts of one GPU."


class LockReference(_Row):
    """Figures of one batch at a locked clock over those at the boost clock."""

    model: Text
    tp: Size
    prompt: Size
    batch: Size = 1
    output: Size = 128
    clock_mhz: Positive
    figures: dict[Figure, Positive]
    "Ratios."


class CapReference(_Row):
    """Slow-down of training jobs under a power cap."""

    cap_w: Positive
    free_w: Positive
    "Median mean power of the jobs at the default limit."
    slow_down: Positive
    "Median over the jobs."
