"""Many runs on a few processes, with progress.

In:  jobs, a function of a module. Out: their results, in the order of the jobs, whatever finishes first.
Workers are started fresh; the parent has compiled the kernel by then, so that they only load it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

from armillary.errors import InputError

Job = TypeVar("Job")
Answer = TypeVar("Answer")
Progress = Callable[[float], None]


def in_processes(
    function: Callable[[Job], Answer],
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Answer]:
    """Return `function` of each job.

    Args:
        function: of a module, so that workers find it.
        jobs: what can be pickled.
        workers: processes; 1 stays in this one; by default as many as there are cores.
        progress: called with the share of the jobs that is done.

    Raises:
        InputError: fewer than one worker; and whatever a job raises.
    """
    if workers is not None and workers < 1:
        raise InputError(f"{workers} workers", where="workers", hint="at least 1")
    count = min(len(jobs), workers or len(os.sched_getaffinity(0)))
    if count <= 1:
        answers = []
        for number, job in enumerate(jobs, 1):
            answers.append(function(job))
            if progress is not None:
                progress(number / len(jobs))
        return answers
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    import armillary.power.row.handler  # noqa: F401 - compiled once, here

    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(function, job) for job in jobs]
        try:
            for number, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(number / len(jobs))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]
