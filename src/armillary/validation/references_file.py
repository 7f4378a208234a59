"""Read the reference figures of one system.

In:  the name of a system ("npu"). Out: its `Reference` records, in file order.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from armillary.errors import unknown_name
from armillary.hardware import Quantity
from armillary.hardware.quantity import Dimension
from armillary.store import load_model

Text = Annotated[str, Field(strict=True, min_length=1)]


class Reference(BaseModel):
    """One published or measured figure, and the run that it is compared with."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Text
    quantity: Literal["latency_s"]
    "Field of the result that it is compared with."
    value: Annotated[Quantity, Dimension("s")]
    model: Text
    chip: Text
    resolution: Annotated[int, Field(strict=True, gt=0)] | None = None
    dtype: Text = "int8"
    source: Text
    calibration: Annotated[bool, Field(strict=True)]
    "True if parameters were fitted on it: then it is no evidence."

    @property
    def seconds(self) -> float:
        """The figure in seconds."""
        return self.value.value


class ReferencesFile(BaseModel):
    """All reference figures of one system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = Field(alias="schema")
    system: Text
    references: tuple[Reference, ...]


def load_references(system: str) -> tuple[Reference, ...]:
    """Return the reference figures of `system`.

    Raises:
        InputError: there are none for such a system.
    """
    folder = files("armillary.validation").joinpath("references")
    known = [entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    if system not in known:
        raise unknown_name("system with references", system, known)
    with as_file(folder.joinpath(f"{system}.yaml")) as path:
        return load_model(path, ReferencesFile).references
