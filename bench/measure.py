"""CPU time of functions, as medians of runs in turns.

In:  functions that take a fresh subject and play it. Out: CPU seconds of each.
Turns, since a machine that slows down for a while must slow down ours and the peer alike.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

Subject = TypeVar("Subject")


def cpu_s(play: Callable[[], object]) -> float:
    """CPU seconds of this process that one call takes."""
    before = time.process_time()
    play()
    return time.process_time() - before


def timed(prepare: Callable[[], Subject], play: Callable[[Subject], object]) -> Callable[[], float]:
    """Return a function that prepares a fresh subject, plays it, and returns the CPU seconds of the playing alone."""

    def once() -> float:
        subject = prepare()
        return cpu_s(lambda: play(subject))

    return once


def repeated(once: Callable[[], float], times: int = 5) -> Callable[[], float]:
    """Return a function whose result is the median of `times` runs: for ours, where the peer takes seconds a turn."""
    return lambda: statistics.median(once() for _ in range(times))


def medians_s(runs: int, *once: Callable[[], float]) -> list[float]:
    """Median of `runs` results of each function, taken in turns after one turn that does not count."""
    turns = [[function() for function in once] for _ in range(runs + 1)]
    return [statistics.median(column) for column in zip(*turns[1:], strict=True)]
