"""A small model with what chips have: units, counts, lists, nested parts, a union, an alias."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from armillary.errors import InputError
from armillary.units import parse


def _hz(value: object) -> float:
    if not isinstance(value, str):
        raise InputError(f"{value!r:.60} has no unit", hint='write for example "1.3 GHz"')
    return parse(value, "hz")


Frequency = Annotated[float, BeforeValidator(_hz), Field(gt=0)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(Part):
    low: Frequency
    high: Frequency


class Compute(Part):
    macs_per_cycle: StrictInt = Field(gt=0)
    clock: Frequency | Interval


class Memory(Part):
    name: str = Field(max_length=40)
    banks: StrictInt = Field(gt=0)


class SmallChip(Part):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_by_name=True)
    schema_version: Literal[1] = Field(alias="schema")
    name: str
    compute: Compute
    memories: list[Memory] = []
    notes: dict[str, Memory] = {}


TEXT = """\
schema: 1
name: small        # a comment
compute:
  macs_per_cycle: 4096
  clock: 480 MHz
memories:
  - {name: scratchpad, banks: 16}
  - name: cache
    banks: 2
notes:
  first: {name: x, banks: 1}
"""
