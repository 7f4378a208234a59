"""What surrounded a run and does not belong to its result: when, where, how long, with which versions.

In:  the wall time that a verb measured. Out: `RunInfo`, the `run` block of `result.json`, which no digest covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from platform import node, python_version

LIBRARIES = ("armillary", "numpy", "numba", "scipy", "polars", "onnx")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """Date (ISO 8601, UTC), host, wall time in seconds, versions of Python, Armillary and key libraries."""

    date: str
    host: str
    wall_s: float | None
    versions: Mapping[str, str]

    @classmethod
    def now(cls, *, wall_s: float | None = None) -> RunInfo:
        """Return the block for a run that ends now after `wall_s` seconds (None: not measured)."""
        versions = {"python": python_version()} | {name: _version(name) for name in LIBRARIES}
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), node(), wall_s, versions)


@cache  # reading an installed package's metadata takes 1 ms, and it does not change while we run
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "unknown"
