"""What every part of a machine description is made of: its base class, counts, names, spans.

In:  values of a YAML file.
Out: `Part` (frozen, no unknown keys) and annotated types that refuse wrong counts and unknown names where they stand.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from armillary.errors import unknown_name
from armillary.hardware.vocabulary import ACTIVATIONS, ELEMENT_TYPES, OPERATORS


def _one_of(kind: str, known: tuple[str, ...]) -> AfterValidator:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(str(unknown_name(kind, name, known)))
        return name

    return AfterValidator(check)


Text = Annotated[str, Field(strict=True, min_length=1, max_length=4000)]
Count = Annotated[int, Field(strict=True, ge=1, le=2**40)]
OperatorName = Annotated[str, _one_of("operator", OPERATORS)]
ActivationName = Annotated[str, _one_of("activation", ACTIVATIONS)]
ElementType = Annotated[str, _one_of("element type", ELEMENT_TYPES)]
Rates = Annotated[dict[ElementType, Count], Field(min_length=1)]
Speed = Annotated[float, Field(strict=True, gt=0, le=2**40)]
Speeds = Annotated[dict[ElementType, Speed], Field(min_length=1)]


class Part(BaseModel):
    """Base of all parts: frozen, no unknown keys, attribute docstrings become the descriptions of the JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Span(Part):
    """A closed interval of plain numbers."""

    low: Annotated[float, Field(ge=0)]
    high: Annotated[float, Field(ge=0)]
