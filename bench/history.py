"""What was measured, kept: `latest.json` of the last run, one line of `history.jsonl` a recorded run.

In:  rows of figures. Out: files beside this one; `drifts` of ratios between a run and the last recorded one.
A ratio cancels the speed of the machine, so that lines from two machines may be compared; values may not.
"""

from __future__ import annotations

import datetime
import json
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import armillary
from armillary.errors import InputError

FOLDER = Path(__file__).parent
LATEST = FOLDER / "latest.json"
HISTORY = FOLDER / "history.jsonl"
LIBRARIES = ("numpy", "numba", "simpy")
DRIFT = 0.15

Row = dict[str, Any]


def write_latest(rows: Sequence[Row], path: Path = LATEST) -> None:
    path.write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_latest(path: Path = LATEST) -> list[Row]:
    """Return the rows of the last run.

    Raises:
        InputError: there is none.
    """
    if not path.exists():
        raise InputError(f"{path.name} does not exist", hint="measure first: make bench")
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def append_line(rows: Sequence[Row], path: Path = HISTORY) -> None:
    """Append one line: commit, date, CPU, versions, and id, value and ratio of each figure."""
    line = {
        "commit": git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "src") else ""),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "cpu": cpu_name(),
        "versions": {
            "armillary": armillary.__version__,
            "python": platform.python_version(),
            **{library: version(library) for library in LIBRARIES},
        },
        "figures": [{name: row[name] for name in ("id", "value", "ratio")} for row in rows],
    }
    with path.open("a", encoding="utf-8") as history:
        history.write(json.dumps(line, allow_nan=False) + "\n")


def last_line(path: Path = HISTORY) -> Row:
    """Return the last recorded line.

    Raises:
        InputError: nothing was recorded.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines:
        raise InputError(f"{path.name} holds no line", hint="record one first: make bench-record")
    line: Row = json.loads(lines[-1])
    return line


def drifts(rows: Sequence[Row], recorded: Row) -> list[tuple[str, float, float]]:
    """Return (id, ratio then, ratio now) of every figure whose ratio moved by more than 15 % of what it was."""
    before = {figure["id"]: figure["ratio"] for figure in recorded["figures"]}
    both = [(row["id"], before.get(row["id"]), row["ratio"]) for row in rows]
    return [
        (name, then, now)
        for name, then, now in both
        if then is not None and now is not None and abs(now / then - 1) > DRIFT
    ]


def git(*arguments: str) -> str:
    """Output of a git command in the repository; empty outside of one."""
    done = subprocess.run(["git", *arguments], cwd=FOLDER.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def cpu_name() -> str:
    """Name of the processor, as the operating system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
