"""Calls to devices that may block: started in one tick, taken up in it or in a later one.

In:  a function without arguments. Out: `Call`: whether it is done, its result or the error.
`ThreadCalls` runs them side by side, so that one silent BMC delays no other; `InlineCalls` at once, for devices that
answer in microseconds and for tests. No loop of the controller ever waits longer than its patience.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Protocol


class Call(Protocol):
    """A call under way."""

    def done(self) -> bool:
        """Tell whether it is over."""

    def result(self) -> Any:
        """Return what it returned, or raise what it raised; only when it is done."""


class Calls(Protocol):
    """What starts calls."""

    def submit(self, function: Callable[[], Any]) -> Call:
        """Start a call."""

    def settle(self, calls: Sequence[Call]) -> None:
        """Wait until all are done or the patience is over."""

    def close(self) -> None:
        """Start no more."""


class InlineCalls:
    """Every call runs when it is submitted."""

    def submit(self, function: Callable[[], Any]) -> Call:
        """Run `function` now."""
        call: Future[Any] = Future()
        try:
            call.set_result(function())
        except Exception as error:  # handed on by result(), as a thread pool does
            call.set_exception(error)
        return call

    def settle(self, calls: Sequence[Call]) -> None:
        """All are done."""

    def close(self) -> None:
        """Nothing runs."""


class ThreadCalls:
    """Calls run on a pool of threads.

    Args:
        workers: calls at a time; a server takes at most two of them.
        patience_s: the longest that a tick waits for answers.
    """

    def __init__(self, workers: int, patience_s: float) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="armillary-call")
        self._patience_s = patience_s

    def submit(self, function: Callable[[], Any]) -> Call:
        """Queue `function` for a thread."""
        return self._pool.submit(function)

    def settle(self, calls: Sequence[Call]) -> None:
        """Wait for the calls, at most as long as the patience lasts."""
        wait([call for call in calls if isinstance(call, Future)], timeout=self._patience_s)

    def close(self) -> None:
        """Drop what has not begun; what runs ends by its own timeout."""
        self._pool.shutdown(wait=False, cancel_futures=True)
