"""Content keys: equal inputs have equal keys, on every machine, in every run.

In:  None, bool, int, float, text, bytes, sequences, mappings, frozen dataclasses, NumPy arrays, nested at will.
Out: 64 hexadecimal digits (SHA-256 over a tagged encoding: no two different values share an encoding).
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armillary.errors import ArmillaryError

_CHUNK = 1 << 20


def content_key(*parts: object) -> str:
    """Return the key of `parts`; the order of mapping keys does not count, that of everything else does.

    Raises:
        ArmillaryError: a NaN (it equals nothing, so it is no key) or a type without an encoding.
    """
    digest = hashlib.sha256()
    _feed(digest, parts)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the bytes of the file `path`, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _feed(digest: Any, value: object) -> None:
    """Add one value: a tag, the lengths that make the encoding unambiguous, the bytes."""
    if value is None or isinstance(value, (bool, np.bool_)):
        digest.update({None: b"n", True: b"t", False: b"f"}[None if value is None else bool(value)])
    elif isinstance(value, (int, np.integer)):
        _feed_bytes(digest, b"i", str(int(value)).encode())
    elif isinstance(value, (float, np.floating)):
        if math.isnan(value):
            raise ArmillaryError("a NaN cannot be part of a content key")
        digest.update(b"d" + struct.pack("<d", float(value)))
    elif isinstance(value, (str, Path)):
        _feed_bytes(digest, b"s", str(value).encode())
    elif isinstance(value, (bytes, bytearray)):
        _feed_bytes(digest, b"b", bytes(value))
    elif isinstance(value, np.ndarray):
        _feed_array(digest, value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(digest, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        digest.update(b"m%d:" % len(value))
        for key in sorted(value):
            _feed(digest, key)
            _feed(digest, value[key])
    elif isinstance(value, Sequence):
        digest.update(b"l%d:" % len(value))
        for item in value:
            _feed(digest, item)
    else:
        raise ArmillaryError(f"a {type(value).__name__} cannot be part of a content key")


def _feed_bytes(digest: Any, tag: bytes, data: bytes) -> None:
    digest.update(tag + b"%d:" % len(data))
    digest.update(data)


def _feed_array(digest: Any, array: np.ndarray[Any, Any]) -> None:
    if array.dtype.hasobject:
        raise ArmillaryError("an array of objects cannot be part of a content key")
    # Little-endian, C order: the key belongs to the values, not to the machine or the layout.
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    _feed_bytes(digest, b"a", f"{plain.dtype.descr}{array.shape}".encode())
    data = plain.reshape(-1).view(np.uint8) if plain.size else plain.reshape(-1)
    for start in range(0, data.size, _CHUNK):
        digest.update(data[start : start + _CHUNK].tobytes())
