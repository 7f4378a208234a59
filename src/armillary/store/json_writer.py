"""Strict JSON, out and in: no NaN, no infinities, null means not applicable.

In:  mappings, sequences, text, numbers, None; NumPy scalars and small arrays are taken as their Python values.
Out: text with sorted structure as given, two-space indent, one newline at the end.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from armillary.errors import ArmillaryError, InputError

MAX_JSON_BYTES = 64 * 1024**2


def dumps_strict(value: object, *, indent: int | None = 2) -> str:
    """Return `value` as strict JSON text.

    Raises:
        ArmillaryError: a NaN, an infinity or a type without a JSON form; names the path to it.
    """
    return json.dumps(_plain(value, "$"), allow_nan=False, indent=indent, ensure_ascii=False) + "\n"


def load_json(path: Path) -> object:
    """Read a JSON file of at most 64 MiB.

    Raises:
        InputError: too large, not JSON, nested too deeply, or with NaN in it.
    """
    if path.stat().st_size > MAX_JSON_BYTES:
        raise InputError("larger than 64 MiB", where=str(path))
    try:
        return json.loads(path.read_bytes(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not strict JSON ({error})", where=str(path)) from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _plain(value: object, path: str) -> object:
    """Return `value` made of dict, list, str, int, float, bool and None alone."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Not asdict: it deep-copies, and would lose the path of a bad number.
        return {
            field.name: _plain(getattr(value, field.name), f"{path}.{field.name}")
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {_key(key, path): _plain(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    # NumPy arrays and scalars, without importing NumPy for those who have none.
    tolist = getattr(value, "tolist", None)
    if tolist is not None:
        return _plain(tolist(), path)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ArmillaryError(f"{path} is {value}, which JSON cannot say; use null for not applicable")
        return float(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise ArmillaryError(f"{path} has type {type(value).__name__}, which has no JSON form")


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise ArmillaryError(f"{path} has the key {key!r}; JSON keys are text")
    return key
