"""The options that every computing verb shares.

In:  the command line. Out: a frozen `Common`, flattened by cyclopts (`--json`, not `--common.json`).
A verb takes it as its last keyword, `common: Common = Common()`, and hands it to `present`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Where results go, the seed, and how much is said."""

    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None
    "Write the result as JSON to PATH (`-`: standard output, and nothing else there)."
    out: Path | None = None
    "Write a run folder: result.json, timeline.parquet, trace.pftrace, report.html."
    overwrite: Annotated[bool, Parameter(negative=())] = False
    "Replace the run that `--out` holds."
    seed: int = 0
    "Seed of every random stream."
    quiet: Annotated[bool, Parameter(negative=())] = False
    "Say nothing but errors (and the JSON asked for)."
    debug: Annotated[bool, Parameter(negative=())] = False
    "Show the traceback of an error."
