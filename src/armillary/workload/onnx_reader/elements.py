"""Element types of ONNX and what they are called here.

In:  `TensorProto.DataType` numbers. Out: dtype of `ELEMENT_BYTES`, and bits an element as stored.
Unsigned and block types map to the signed type of their width: cost depends on the width alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.errors import InputError


@dataclass(frozen=True, slots=True)
class Element:
    """An element type: dtype of `ELEMENT_BYTES`, bits as stored in `raw_data`."""

    dtype: str
    bits: int


_ELEMENTS: Final[dict[int, Element]] = {
    1: Element("fp32", 32),
    2: Element("uint8", 8),
    3: Element("int8", 8),
    4: Element("int16", 16),  # uint16
    5: Element("int16", 16),
    6: Element("int32", 32),
    7: Element("int64", 64),
    9: Element("bool", 8),
    10: Element("fp16", 16),
    11: Element("fp64", 64),
    12: Element("int32", 32),  # uint32
    13: Element("int64", 64),  # uint64
    16: Element("bf16", 16),
    17: Element("fp8", 8),  # E4M3FN
    18: Element("fp8", 8),  # E4M3FNUZ
    19: Element("fp8", 8),  # E5M2
    20: Element("fp8", 8),  # E5M2FNUZ
    21: Element("int4", 4),  # uint4
    22: Element("int4", 4),
    23: Element("int4", 4),  # E2M1
    24: Element("fp8", 8),  # E8M0
}
_NOT_NUMBERS: Final = {8: "strings", 14: "complex numbers", 15: "complex numbers"}


def element(data_type: int, what: str, where: str) -> Element:
    """Return the element type with this number.

    Raises:
        InputError: strings, complex numbers or an unknown number; `what` names the tensor.
    """
    if data_type in _ELEMENTS:
        return _ELEMENTS[data_type]
    kind = _NOT_NUMBERS.get(data_type, f"elements of unknown type {data_type}")
    raise InputError(f"{what} holds {kind}", where=where, hint="tensors of real numbers can be modelled")
