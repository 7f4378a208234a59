"""Why a run stands still: which tasks remain and what each waits for.

In:  a graph and its `State` at a stop. Out: one line a task, for the message of a deadlock.
"""

from __future__ import annotations

import numpy as np

from armillary.engine.graph import TaskGraph
from armillary.engine.records import State
from armillary.engine.trace import Status


def blocked_tasks(graph: TaskGraph, state: State) -> list[str]:
    """Name each task that has not ended and what it waits for."""
    status = state.tasks["status"]
    sources = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset))
    lines = []
    for task in np.flatnonzero(status[:-1] < Status.DONE).tolist():
        name = graph.task_name(task)
        if status[task] == Status.PENDING:
            open_sources = np.unique(sources[graph.edges.index == task])
            names = [graph.task_name(source) for source in open_sources.tolist() if status[source] < Status.DONE]
            lines.append(f"{name} waits for {', '.join(names) or 'its release'}")
        elif status[task] == Status.QUEUED:
            places = range(int(state.tasks[task]["entry"]), int(state.tasks[task + 1]["entry"]))
            queued = [int(state.entries[place]["resource"]) for place in places if state.waits[place]]
            lines.append(f"{name} waits for room in {', '.join(graph.resources.names[at] for at in queued)}")
        else:
            lines.append(f"{name} runs and does not end")
    return lines
