"""Protobuf's wire format over columns: many messages of one shape at once.

In:  columns of numbers, texts or nested messages, one value a row, each with its field number.
Out: `Bytes`: one row of bytes per message; `joined` makes them one stream.
Source: protobuf.dev/programming-guides/encoding: varints of 7 bits, tag = field << 3 | wire type.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import FloatArray, IntArray

ByteArray = npt.NDArray[np.uint8]
VARINT, FIXED64, LENGTH = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Bytes:
    """Rows of bytes, left to right: `data` and `used`, which bytes count, have shape (rows, width)."""

    data: ByteArray
    used: npt.NDArray[np.bool_]

    @property
    def lengths(self) -> IntArray:
        """Bytes of each row."""
        lengths: IntArray = self.used.sum(axis=1, dtype=np.int64)
        return lengths

    def where(self, keep: npt.NDArray[np.bool_]) -> Bytes:
        """Empty the rows that are not kept: an optional field."""
        return Bytes(self.data, self.used & keep[:, None])

    def joined(self) -> bytes:
        """Return all rows, one after another."""
        return self.data[self.used].tobytes()


def varints(values: IntArray) -> Bytes:
    """Return each value >= 0 as a varint."""
    left = values.astype(np.uint64)
    width = max(1, -(-int(left.max(initial=0)).bit_length() // 7))
    shifts = np.arange(width, dtype=np.uint64) * np.uint64(7)
    groups = left[:, None] >> shifts
    more = np.concatenate([groups[:, 1:] > 0, np.zeros((len(left), 1), np.bool_)], axis=1)
    used = groups > 0
    used[:, 0] = True
    return Bytes(((groups & np.uint64(127)) | (more * np.uint64(128))).astype(np.uint8), used)


def whole(field: int, values: IntArray) -> Bytes:
    """Return a field of whole numbers >= 0."""
    return beside(_tags(field, VARINT, len(values)), varints(values))


def double(field: int, values: FloatArray) -> Bytes:
    """Return a field of doubles."""
    return beside(_tags(field, FIXED64, len(values)), _fixed(values.astype("<f8")))


def fixed64(field: int, values: IntArray) -> Bytes:
    """Return a field of fixed 64-bit numbers >= 0."""
    return beside(_tags(field, FIXED64, len(values)), _fixed(values.astype("<u8")))


def message(field: int, *parts: Bytes) -> Bytes:
    """Return a field that holds the message made of `parts`."""
    body = beside(*parts)
    return beside(_tags(field, LENGTH, len(body.data)), varints(body.lengths), body)


def beside(*parts: Bytes) -> Bytes:
    """Return rows made of the rows of each part, left to right."""
    return Bytes(
        np.concatenate([part.data for part in parts], axis=1), np.concatenate([part.used for part in parts], axis=1)
    )


def varint(value: int) -> bytes:
    """Return one value >= 0 as a varint."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def whole_field(field: int, value: int) -> bytes:
    """Return one field that holds a whole number >= 0."""
    return varint(field << 3 | VARINT) + varint(value)


def bytes_field(field: int, value: bytes | str) -> bytes:
    """Return one field that holds a text or an encoded message."""
    data = value.encode(errors="replace") if isinstance(value, str) else value
    return varint(field << 3 | LENGTH) + varint(len(data)) + data


def _tags(field: int, wire_type: int, rows: int) -> Bytes:
    tag = np.frombuffer(varint(field << 3 | wire_type), np.uint8)
    data = np.broadcast_to(tag, (rows, len(tag)))
    return Bytes(data, np.ones(data.shape, np.bool_))


def _fixed(values: npt.NDArray[np.generic]) -> Bytes:
    data = np.ascontiguousarray(values).view(np.uint8).reshape(len(values), 8)
    return Bytes(data, np.ones(data.shape, np.bool_))
