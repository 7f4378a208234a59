"""What a user waits for: a small run with a warm cache, the first run of all, and the help.

In:  `python -m armillary ...` in a process of its own. Out: its CPU seconds, user and system.
Bytecode caches are allowed, as on any machine where Armillary has run before.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile

from bench.benchmark import Benchmark, Measured, Target

SMALL_RUN = ("npu", "run", "squeezenet", "--chip", "coral-edge-tpu-usb")


def child_cpu_s(*arguments: str, cache: str | None = None) -> tuple[float, str]:
    """CPU seconds and standard error of one run of the command line; `cache` is a folder for compiled kernels."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if cache is not None:
        environment["XDG_CACHE_HOME"] = cache
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "armillary", *arguments], env=environment, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def median_s(*arguments: str) -> Measured:
    """Median of five runs, after one that fills the caches."""
    seconds = [child_cpu_s(*arguments)[0] for _ in range(6)]
    return Measured(statistics.median(seconds[1:]))


def first_run() -> Measured:
    with tempfile.TemporaryDirectory() as cache:
        seconds, notes = child_cpu_s(*SMALL_RUN, cache=cache)
        assert notes.count("compiling the event kernel") == 1, f"a first run must say once that it compiles: {notes!r}"
        _, notes = child_cpu_s(*SMALL_RUN, cache=cache)
        assert "compiling" not in notes, "the second run compiles again"
    return Measured(seconds)


BENCHMARKS = (
    Benchmark(
        "cli.warm",
        "s",
        lambda: median_s(*SMALL_RUN),
        "imports: numba, NumPy, pydantic; loading compiled kernels",
        Target("value", 1.2, at_most=True),
    ),
    Benchmark(
        "cli.cold",
        "s",
        first_run,
        "LLVM: optimising the entry points of the kernel",
        Target("value", 20.0, at_most=True),
    ),
    Benchmark(
        "cli.help",
        "s",
        lambda: median_s("--help"),
        "imports of the command line: cyclopts, rich",
        Target("value", 0.4, at_most=True),
    ),
)
