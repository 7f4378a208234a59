"""Run writers that are killed at a given point, again and again, and check what each leaves behind.

Called as `python killed_writer.py FOLDER RUNS`. A child writes through the store while a trace counts the lines it runs
in `armillary.store`; at a line drawn from the run's number it sends itself SIGKILL. The parent then reads the store.
Single-threaded, so that fork is safe; prints the number of children that the signal reached.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from armillary.errors import InputError
from armillary.store import Journal, read_journal, read_manifest, write_text, writing_run

ROUNDS = 4
LINES_OF_A_ROUND = 260  # about what one round of `write` runs in the store


def write(folder: Path) -> None:
    """Write a file, a journal and a run folder over and over."""
    for round_number in range(ROUNDS):
        with Journal(folder / "journal.jsonl") as journal:
            write_text(folder / "state.json", json.dumps({"round": round_number, "filler": "x" * 5000}))
            journal.append({"round": round_number, "count": len(journal.records)})
        with writing_run(folder / "run", kind="test", overwrite=True) as run:
            run.write_text("a.txt", f"{round_number} " * 1000)
            run.write_text("b.txt", f"{round_number} " * 1000)


def check(folder: Path) -> None:
    """Each file is whole, the journal opens, the run is complete or known as unfinished."""
    if (folder / "state.json").exists():
        assert len(json.loads((folder / "state.json").read_text())["filler"]) == 5000
    records = read_journal(folder / "journal.jsonl")
    assert [record["count"] for record in records] == list(range(len(records)))
    if (folder / "run" / "manifest.json").exists():
        try:
            read_manifest(folder / "run", verify=True)
        except InputError as error:
            assert "not finished" in str(error)
        else:
            assert (folder / "run" / "a.txt").read_text() == (folder / "run" / "b.txt").read_text()


def die_at(line: int) -> None:
    """Arrange for SIGKILL when the `line`-th line of the store is about to run."""
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if f"{os.sep}store{os.sep}" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def main() -> None:
    """Kill, check, write again over what is left, check; one folder for all runs."""
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    killed = 0
    for run in range(runs):
        child = os.fork()
        if child == 0:
            die_at(random.Random(run).randrange(1, ROUNDS * LINES_OF_A_ROUND))
            write(folder)
            os._exit(0)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        check(folder)
    write(folder)
    check(folder)
    read_manifest(folder / "run", verify=True)
    print(killed)


if __name__ == "__main__":
    main()
