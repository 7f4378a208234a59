"""A journal of JSON lines that survives a kill at any point: at most the line being written is lost.

In:  records (mappings), one a line, each on the disk when `append` returns. Out: the records, in order.
A torn last line is dropped on reading and cut off before the next append; a bad line elsewhere is an error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from armillary.errors import InputError
from armillary.store.atomic import sync_folder
from armillary.store.json_writer import dumps_strict


class Journal:
    """One writer's end of a journal; use it in a `with` block.

    Args:
        path: the file; made when missing, continued when it is there.

    Raises:
        InputError: a line other than the last is not a JSON mapping.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self.records, good_bytes = _scan(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.ftruncate(self._descriptor, good_bytes)
        if is_new:
            sync_folder(path.parent)

    def append(self, record: Mapping[str, object]) -> None:
        """Add one record; it is on the disk when this returns."""
        data = dumps_strict(record, indent=None).encode()
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fsync(self._descriptor)
        self.records.append(json.loads(data))

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Return the records of the journal `path`; none when there is no file.

    Raises:
        InputError: a line other than the last is not a JSON mapping.
    """
    return _scan(path)[0]


def _scan(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the whole records and the length in bytes of the part that holds them."""
    if not path.exists():
        return [], 0
    records: list[dict[str, Any]] = []
    good_bytes = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is None:
            if number == len(lines):
                break
            raise InputError("not a line of a journal", where=f"{path}:{number}", hint="restore the file or remove it")
        records.append(record)
        good_bytes += len(line)
    return records, good_bytes


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
