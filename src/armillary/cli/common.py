"""The options that verbs share.

In:  the command line. Out: a frozen `Common` (verbs that compute) or `Verbosity` (tools), flattened by cyclopts
(`--json`, not `--common.json`). A verb takes it as its last keyword, `common: Common = Common()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"A switch that is off by default and has no `--no-` form."


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Verbosity:
    """How much is said."""

    quiet: Flag = False
    "Say nothing but errors (and the JSON asked for)."
    debug: Flag = False
    "Show the traceback of an error."


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common(Verbosity):
    """Where results go, the seed, and how much is said."""

    json: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None
    "Write the result as JSON to PATH (`-`: standard output, and nothing else there)."
    out: Path | None = None
    "Write a run folder: result.json, timeline.parquet, trace.pftrace, report.html."
    overwrite: Flag = False
    "Replace the run that `--out` holds."
    seed: int = 0
    "Seed of every random stream."
