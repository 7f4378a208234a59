"""The FIFO task graph in C: compiles `fifo_dag.c` when gcc is there, lays out its records.

In:  a `TaskGraph` of tasks that hold one unit of one server each. Out: `Played`, start, end and cause by task.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from armillary.engine import TaskGraph

SOURCE = Path(__file__).with_suffix("").with_name("fifo_dag.c")
BUILD = Path(__file__).parent.parent / "build"

TASK = np.dtype(
    [(name, np.int64) for name in ("duration", "start", "end")]
    + [(name, np.int32) for name in ("cause", "waiting", "server", "next", "edge", "spare")]
)
SERVER = np.dtype([(name, np.int32) for name in ("busy", "head", "tail", "spare")])
EVENT = np.dtype([("tick", np.int64), ("task", np.int64)])


class Records(NamedTuple):
    """Memory of one run."""

    tasks: Any  # one more than there are tasks
    servers: Any
    targets: Any
    heap: Any


def compiled() -> Callable[[Records], int] | None:
    """Compile and load the C loop; None without gcc. The function plays the records and returns the last end."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    BUILD.mkdir(exist_ok=True)
    library = BUILD / "fifo_dag.so"
    subprocess.run(
        [gcc, "-O3", "-march=native", "-shared", "-fPIC", "-Wall", "-o", str(library), str(SOURCE)], check=True
    )
    function = ctypes.CDLL(str(library)).play
    function.restype = ctypes.c_int64

    def play(records: Records) -> int:
        tasks, servers, targets, heap = (ctypes.c_void_p(array.ctypes.data) for array in records)
        return int(function(tasks, ctypes.c_int64(len(records.tasks) - 1), servers, targets, heap))

    return play


def lay_out(graph: TaskGraph) -> Records:
    """Return the records of a run that has not begun."""
    tasks = np.zeros(len(graph) + 1, TASK)
    tasks["duration"][:-1] = graph.duration
    tasks["start"], tasks["end"] = -1, -1
    tasks["waiting"][:-1] = np.bincount(graph.edges.index, minlength=len(graph))
    tasks["server"][:-1] = graph.demands.index
    tasks["edge"] = graph.edges.offset
    servers = np.zeros(len(graph.resources), SERVER)
    servers["head"] = -1
    return Records(tasks, servers, graph.edges.index.astype(np.int32), np.zeros(len(servers) + 1, EVENT))
