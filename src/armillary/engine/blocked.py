"""Why a run stands still: which tasks remain and what each waits for.

In:  a graph, where its tasks stand, and at which resources they queue. Out: one line a task, for a deadlock's message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import TaskGraph
from armillary.engine.trace import Status


def blocked_tasks(
    graph: TaskGraph, status: npt.NDArray[np.uint8], queues_of: Callable[[int], Sequence[int]]
) -> list[str]:
    """Name each task that has not ended and what it waits for.

    Args:
        graph: what is played.
        status: of each task, shape (tasks,).
        queues_of: the resources at which a task queues.
    """
    sources = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset))
    lines = []
    for task in np.flatnonzero(status < Status.DONE).tolist():
        name = graph.task_name(task)
        if status[task] == Status.PENDING:
            open_sources = np.unique(sources[graph.edges.index == task])
            names = [graph.task_name(source) for source in open_sources.tolist() if status[source] < Status.DONE]
            lines.append(f"{name} waits for {', '.join(names) or 'its release'}")
        elif status[task] == Status.QUEUED:
            lines.append(f"{name} waits for room in {', '.join(graph.resources.names[at] for at in queues_of(task))}")
        else:
            lines.append(f"{name} runs and does not end")
    return lines
