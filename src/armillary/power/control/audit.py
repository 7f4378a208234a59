"""The audit log: every decision, order, failure and event, one JSON line each, only ever appended.

In:  events. Out: `audit.jsonl`; lines that matter are on the disk when `tell` returns. A line torn by a crash is closed
at the next start, so that every reader can skip it; nothing that was written is changed. Full files are renamed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from armillary.store import dumps_strict

LARGEST = 64 * 2**20  # bytes, then the file becomes audit.jsonl.1
KEPT = 8
ROUTINE = frozenset({"decision"})  # not synced one by one: a power cut may cost the last seconds of them


class Audit:
    """One log file.

    Args:
        path: the file; continued when it is there.
        now_ms: the clock of the controller; each line carries it, and the date.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path, self._now_ms = path, now_ms
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()

    def __call__(self, kind: str, /, **fields: object) -> None:
        """Append one line."""
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = dumps_strict({"date": date, "ms": self._now_ms(), "kind": kind, **fields}, indent=None).encode()
        # One write with O_APPEND: lines of two writers never mix, and a kill leaves a line whole or torn at its end.
        os.write(self._descriptor, line)
        if kind not in ROUTINE:
            os.fsync(self._descriptor)
        if os.fstat(self._descriptor).st_size > LARGEST:
            self._rotate()

    def close(self) -> None:
        """Close the file."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _open(self) -> int:
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
        return descriptor

    def _rotate(self) -> None:
        self.close()
        for number in range(KEPT, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else self._path.with_name(f"{self._path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        self._descriptor = self._open()


class Tells:
    """Hands each event to several takers."""

    def __init__(self, *takers: Callable[..., None]) -> None:
        self.takers = list(takers)

    def __call__(self, kind: str, /, **fields: object) -> None:
        """Tell all."""
        for taker in self.takers:
            taker(kind, **fields)
