"""Read the reference figures of one system.

In:  the name of a system ("npu").
Out: its `Reference` records (results of runs) and `OperatorReference` records (single operators), in file order.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from armillary.errors import InputError, unknown_name
from armillary.store import load_model
from armillary.units import parse
from armillary.validation.phase_references import CapReference, LockReference, PhaseReference

Text = Annotated[str, Field(strict=True, min_length=1)]
Size = Annotated[int, Field(strict=True, gt=0)]

# Quantity -> its dimension in a file, and the symbol of its base unit.
QUANTITIES: Final = {
    "latency_s": ("s", "s"),
    "energy_j": ("j", "J"),
    "ops_per_s": ("ops_per_s", "OP/s"),
    "throughput_per_s": ("hz", "/s"),
}


class Reference(BaseModel):
    """One published or measured figure, and the run that it is compared with."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Text
    quantity: Literal["latency_s", "energy_j", "ops_per_s", "throughput_per_s"]
    "Field of the result that it is compared with; operations are two a multiply-accumulate, at the throughput."
    value: Text
    "With its unit; items per second in Hz."
    model: Text
    chip: Text
    batch: Size = 1
    queue_depth: Size = 1
    width: Annotated[float, Field(gt=0)] = 1.0
    sequence: Size | None = None
    resolution: Annotated[int, Field(strict=True, gt=0)] | None = None
    dtype: Text = "int8"
    source: Text
    calibration: Annotated[bool, Field(strict=True)]
    "True if parameters were fitted on it: then it is no evidence."

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            _ = self.number
        except InputError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def number(self) -> float:
        """The figure in the base unit of its quantity."""
        return parse(self.value, QUANTITIES[self.quantity][0])

    @property
    def unit(self) -> str:
        """Symbol of that unit."""
        return QUANTITIES[self.quantity][1]


class OperatorReference(BaseModel):
    """Measured cycles of one operator on one tile of a chip."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Text
    chip: Text
    op: Text
    "As operator tables write it: conv, dw, maxpool, avgpool, elt."
    dtype: Text
    input: tuple[Size, Size, Size]
    "Width, height, channels."
    output: tuple[Size, Size, Size]
    kernel: Size = 1
    stride: Size = 1
    pad: Annotated[int, Field(strict=True, ge=0)] = 0
    "At the left; the output says what the other sides have."
    setup: Text
    "What else was set when it was measured."
    value: Annotated[float, Field(gt=0)]
    "Cycles of the array's clock."
    source: Text
    calibration: Annotated[bool, Field(strict=True)]
    "True if parameters were fitted on it: then it is no evidence."


class ReferencesFile(BaseModel):
    """All reference figures of one system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    system: Text
    references: tuple[Reference, ...]
    operators: tuple[OperatorReference, ...] = ()
    phases: tuple[PhaseReference, ...] = ()
    locks: tuple[LockReference, ...] = ()
    caps: tuple[CapReference, ...] = ()


def load_references(system: str) -> tuple[Reference, ...]:
    """Return the reference figures of `system`.

    Raises:
        InputError: there are none for such a system.
    """
    return _load(system).references


def load_operator_references(system: str) -> tuple[OperatorReference, ...]:
    """Return the measured cycles of single operators of `system`.

    Raises:
        InputError: there are no references of such a system.
    """
    return _load(system).operators


def load_power_references() -> ReferencesFile:
    """Return the file of power references: its phases, locks and caps."""
    return _load("power")


def _load(system: str) -> ReferencesFile:
    folder = files("armillary.validation").joinpath("references")
    known = [entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    if system not in known:
        raise unknown_name("system with references", system, known)
    with as_file(folder.joinpath(f"{system}.yaml")) as path:
        return load_model(path, ReferencesFile)
