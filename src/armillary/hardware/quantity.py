"""A number of a machine description: text with a unit, or a mapping with its interval and its source.

In:  "490 MB/s", or {value: 490 MB/s, low: 400 MB/s, high: 500 MB/s, from: "data sheet", fitted_by: tools/fit.py}.
Out: `Quantity`, in the base unit of its field's dimension (bytes, bytes/s, Hz, s, W, J, V, J/B, op/s).
Fractions (dimension "fraction", at most 1) and exponents ("number") are plain numbers, since they have no unit; counts
are strict integers elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from armillary.errors import InputError, unknown_name
from armillary.units import parse

FRACTION: Final = "fraction"
NUMBER: Final = "number"
_WITHOUT_UNIT: Final = (FRACTION, NUMBER)
_KEYS: Final = ("value", "low", "high", "from", "fitted_by", "unit")
_BASE_UNIT: Final = {
    "bytes": "B", "bytes_per_s": "B/s", "hz": "Hz", "s": "s", "w": "W",
    "j": "J", "v": "V", "j_per_byte": "J/B", "ops_per_s": "OP/s",
}  # fmt: skip
_MAX_NOTE: Final = 2000  # characters of a source


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number in base units, with the interval it may lie in and where it comes from."""

    value: float
    low: float | None = None
    high: float | None = None
    source: str | None = None
    fitted_by: str | None = None

    @property
    def uncertain(self) -> bool:
        """True if the value is given as an interval."""
        return self.low is not None or self.high is not None


@dataclass(frozen=True, slots=True)
class Dimension:
    """Tells pydantic how to read a `Quantity` of one dimension: `Annotated[Quantity, Dimension("bytes")]`.

    `zero` allows the value 0; negative values never make sense in a machine description.
    """

    name: str
    zero: bool = False

    def read(self, given: object) -> Quantity:
        """Return the quantity that `given` (text or mapping) describes.

        Raises:
            ValueError: what is wrong and what would be right, for pydantic to place at file and line.
        """
        if isinstance(given, Quantity):
            return given
        if not isinstance(given, dict):
            return Quantity(self._number(given))
        for key in given:
            if key not in _KEYS:
                raise ValueError(str(unknown_name("key", str(key), _KEYS)))
        if "value" not in given:
            raise ValueError('has no "value"; write {value: ..., low: ..., high: ..., from: ...}')
        unit = given.get("unit")
        numbers = {key: self._number(_with_unit(given[key], unit)) for key in ("value", "low", "high") if key in given}
        low, value, high = numbers.get("low"), numbers["value"], numbers.get("high")
        if (low is not None and low > value) or (high is not None and high < value):
            raise ValueError("the value lies outside of its own interval; low <= value <= high")
        return Quantity(
            value,
            low,
            high,
            source=_note(given.get("from"), "from"),
            fitted_by=_note(given.get("fitted_by"), "fitted_by"),
        )

    def write(self, quantity: Quantity) -> dict[str, object] | str | float:
        """Return `quantity` as `read` takes it, in base units: a mapping when it carries an interval or a source."""
        interval = {"low": quantity.low, "high": quantity.high}
        kept: dict[str, object] = {key: self._text(number) for key, number in interval.items() if number is not None}
        kept |= {
            key: note
            for key, note in (("from", quantity.source), ("fitted_by", quantity.fitted_by))
            if note is not None
        }
        return {"value": self._text(quantity.value), **kept} if kept else self._text(quantity.value)

    def _text(self, number: float) -> str | float:
        return number if self.name in _WITHOUT_UNIT else f"{number!r} {_BASE_UNIT[self.name]}"

    def _number(self, given: object) -> float:
        if self.name in _WITHOUT_UNIT:
            if isinstance(given, bool) or not isinstance(given, (int, float)):
                raise ValueError(f"{str(given)[:60]!r} is not a {self.name}; write a number such as 0.8")
            number = float(given)
        else:
            try:
                number = parse(str(given), self.name)
            except InputError as error:
                raise ValueError(str(error)) from error
        if not math.isfinite(number) or number < 0 or (number == 0 and not self.zero):
            raise ValueError(
                f"{str(given)[:60]!r} is out of range; it must be {'at least' if self.zero else 'more than'} 0"
            )
        if self.name == FRACTION and number > 1:
            raise ValueError(f"{str(given)[:60]!r} is out of range; a fraction is at most 1")
        return number

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        plain: dict[str, Any] = {"type": "number" if self.name in _WITHOUT_UNIT else "string"}
        mapping = {
            "type": "object",
            "additionalProperties": False,
            "required": ["value"],
            "properties": {
                "value": {"type": ["string", "number"]},
                "low": {"type": ["string", "number"]},
                "high": {"type": ["string", "number"]},
                "unit": {"type": "string"},
                "from": {"type": "string"},
                "fitted_by": {"type": "string"},
            },
        }
        return {"anyOf": [plain, mapping], "description": f"A quantity in {self.name}, or an interval with its source."}


def _with_unit(number: object, unit: object) -> object:
    if unit is None or isinstance(number, str):
        return number
    return f"{number} {unit}"


def _note(given: object, key: str) -> str | None:
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > _MAX_NOTE:
        raise ValueError(f'"{key}" must be text of at most {_MAX_NOTE} characters')
    return str(given)


Bytes = Annotated[Quantity, Dimension("bytes")]
BytesPerSecond = Annotated[Quantity, Dimension("bytes_per_s")]
Hertz = Annotated[Quantity, Dimension("hz")]
Seconds = Annotated[Quantity, Dimension("s", zero=True)]
Watts = Annotated[Quantity, Dimension("w", zero=True)]
Joules = Annotated[Quantity, Dimension("j", zero=True)]
JoulesPerByte = Annotated[Quantity, Dimension("j_per_byte", zero=True)]
Volts = Annotated[Quantity, Dimension("v")]
OpsPerSecond = Annotated[Quantity, Dimension("ops_per_s")]
Fraction = Annotated[Quantity, Dimension(FRACTION)]
Number = Annotated[Quantity, Dimension(NUMBER, zero=True)]
