"""Read an ONNX file without its weights.

In:  path of a protobuf-encoded `ModelProto` of at most 2 GiB.
Out: the bytes of the same model in which every tensor payload above 4 KiB is gone; such a tensor is marked external,
with an entry `ELIDED_RAW` or `ELIDED_TYPED` that tells how many bytes it carried. Payloads are skipped by seeking: a
file of a gigabyte costs kilobytes of memory. Small payloads stay, since shapes are computed from them.
Field numbers: onnx.proto3 of the ONNX repository; wire format: protobuf encoding guide.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from armillary.errors import InputError

ELIDED_RAW: Final = "armillary.elided_raw_bytes"
ELIDED_TYPED: Final = "armillary.elided_typed_bytes"

MAX_FILE_BYTES: Final = 2 * 1024**3  # protobuf's own limit
MAX_KEPT_BYTES: Final = 128 * 1024**2  # everything but weights: names, attributes, small constants
MAX_FIELDS: Final = 2_000_000
KEEP_BYTES: Final = 4096

# Message -> field that may hold tensors -> message in it.
_NESTED: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
# float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data of a tensor.
_PAYLOADS: Final = frozenset({4, 5, 6, 7, 9, 10, 11})
_RAW_DATA: Final = 9
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read_skeleton(path: Path) -> bytes:
    """Return the model at `path` without payloads above 4 KiB.

    Raises:
        InputError: the file is missing, empty, too large, cut short, or not protobuf.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                raise InputError("is empty, not an ONNX model", where=where)
            if size > MAX_FILE_BYTES:
                raise InputError(
                    f"is {size:,} bytes, more than 2 GiB", where=where, hint="store the weights as external data"
                )
            return bytes(_Walk(file, where).message("model", size))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=where) from error


class _Walk:
    """One pass over the file, with the budget of what may be kept."""

    __slots__ = ("at", "fields", "file", "kept", "where")

    def __init__(self, file: BinaryIO, where: str) -> None:
        self.file = file
        self.where = where
        self.at = 0  # offset, kept here since asking the file for it is slow
        self.kept = 0
        self.fields = 0

    def message(self, kind: str, end: int) -> bytearray:
        """Copy the message of `kind` from the current position up to offset `end`."""
        out = bytearray()
        nested = _NESTED[kind]
        elided: dict[str, int] = {}
        while self.at < end:
            self.fields += 1
            if self.fields > MAX_FIELDS:
                raise InputError(f"has more than {MAX_FIELDS:,} fields", where=self.where, hint="is it an ONNX model?")
            tag = self._varint(end)
            if tag & 7 != _BYTES:
                out += _varint_bytes(tag) + self._scalar(tag & 7, end)
                continue
            size = self._varint(end)
            if self.at + size > end:
                raise self._cut_short()
            number = tag >> 3
            if size <= KEEP_BYTES:
                body: bytes | bytearray = self._read(size)
            elif kind == "tensor" and number in _PAYLOADS:
                key = ELIDED_RAW if number == _RAW_DATA else ELIDED_TYPED
                elided[key] = elided.get(key, 0) + size
                self.at = self.file.seek(self.at + size)
                continue
            elif number in nested:
                body = self.message(nested[number], self.at + size)
            else:
                body = self._read(size)
            out += _varint_bytes(tag)
            out += _varint_bytes(len(body))
            out += body
        for key, size in elided.items():
            out += _elision(key, size)
        return out

    def _read(self, size: int) -> bytes:
        self.kept += size
        if self.kept > MAX_KEPT_BYTES:
            raise InputError(f"holds more than {MAX_KEPT_BYTES >> 20} MiB besides weights", where=self.where)
        data = self.file.read(size)
        if len(data) < size:
            raise self._cut_short()
        self.at += size
        return data

    def _scalar(self, wire: int, end: int) -> bytes:
        if wire == _VARINT:
            return _varint_bytes(self._varint(end))
        if wire in (_FIXED64, _FIXED32):
            return self._read(8 if wire == _FIXED64 else 4)
        raise InputError("is not an ONNX model (not protobuf)", where=self.where)

    def _varint(self, end: int) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.file.read(1)
            self.at += 1
            if not byte or self.at > end:
                raise self._cut_short()
            value |= (byte[0] & 0x7F) << shift
            if byte[0] < 0x80:
                return value
        raise InputError("is not an ONNX model (not protobuf)", where=self.where)

    def _cut_short(self) -> InputError:
        return InputError("is cut short or not an ONNX model: a field reaches beyond its end", where=self.where)


def _varint_bytes(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _elision(key: str, size: int) -> bytes:
    """Fields external_data (13) = {key: size} and data_location (14) = EXTERNAL."""
    text = str(size)
    entry = b"\x0a" + _varint_bytes(len(key)) + key.encode() + b"\x12" + _varint_bytes(len(text)) + text.encode()
    return b"\x6a" + _varint_bytes(len(entry)) + entry + b"\x70\x01"
