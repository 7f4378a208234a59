"""Machines: the schema of a chip, and the catalogue with the source of every number.

In:  a catalogue name or the user's YAML file. Out: a frozen, validated `Chip` or `Gpu` in base units.
Wrong files raise `InputError` with file:line and what would be right.
"""

from __future__ import annotations

from armillary.hardware.chips import chip_names, chip_schema, chip_template, chip_text, load_chip
from armillary.hardware.gpu import Gpu, gpu_names, gpu_schema, gpu_text, is_gpu_file, load_gpu
from armillary.hardware.operator_laws import (
    FACTOR_CHANNELS,
    DenseLaw,
    ElementwiseLaw,
    Law,
    OperatorLaws,
    PowerFactors,
    WindowedLaw,
)
from armillary.hardware.quantity import Quantity
from armillary.hardware.schema import Chip
from armillary.hardware.voltage import at_clock, at_point, voltage_at

__all__ = [
    "FACTOR_CHANNELS",
    "Chip",
    "DenseLaw",
    "ElementwiseLaw",
    "Gpu",
    "Law",
    "OperatorLaws",
    "PowerFactors",
    "Quantity",
    "WindowedLaw",
    "at_clock",
    "at_point",
    "chip_names",
    "chip_schema",
    "chip_template",
    "chip_text",
    "gpu_names",
    "gpu_schema",
    "gpu_text",
    "is_gpu_file",
    "load_chip",
    "load_gpu",
    "voltage_at",
]
