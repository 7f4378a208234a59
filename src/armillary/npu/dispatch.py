"""The control processor: which task is handed to its queue when, and what submitting an inference costs.

In:  a `Plan`, its `Tasks`, a `GraphBuilder` that holds them with all their edges.
Out: tasks of kind "issue" and "submit" in the builder, and the inference that every task is part of.
Model: the driver submits an inference; then the control processor walks through the program and hands one task after
the other to its queue, `issue_cost` each. A queue holds `queue_entries` tasks: the next one is handed to it when the
first of them has ended, and until then the whole program waits, since it is handed out in order. All edges point
forward in program order, so this cannot end in a deadlock. A chip that gives none of these numbers has none of them.
What the host does, and transfers between its memory and DRAM, is no work of the control processor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.engine import GraphBuilder, TaskGraph
from armillary.hardware import Chip
from armillary.npu.geometry import IntArray
from armillary.npu.order import inferences_of
from armillary.npu.plan import Plan
from armillary.npu.queues import CONTROL, DRIVER
from armillary.npu.tasks import Tasks
from armillary.units import PICOSECOND, to_ticks

ISSUE, SUBMIT = "issue", "submit"
BoolArray = npt.NDArray[np.bool_]


def dispatch(build: GraphBuilder, plan: Plan, tasks: Tasks) -> IntArray:
    """Add the tasks of control processor and driver; return the inference of each task in `build`, shape (tasks,)."""
    inference = inferences_of(plan, tasks, len(build))
    control = plan.chip.control
    issues, submits = issues_tasks(plan.chip), control.submit_cost.value > 0
    if not issues and not submits:
        return inference
    graph = build.freeze()
    fed, feeds = _ends(graph, inference)
    gates = np.flatnonzero(~fed)  # what lets an inference begin
    if issues:
        issued, issue = _issue(build, plan, tasks, graph)
        inference = np.append(inference, inference[issued])
        first = issue[np.unique(inference[issue], return_index=True)[1]]
        gates = np.append(gates[~np.isin(gates, issued)], first)
    if submits:
        submit = _submit(build, plan)
        build.edge(submit[inference[gates]], gates)
        inference = np.append(inference, np.arange(plan.inferences))
    # All other tasks without predecessors are admitted by `connect`.
    added = submit if submits else first
    _admit(build, plan, added, inference[added], np.flatnonzero(~feeds), inference)
    return inference


def issues_tasks(chip: Chip) -> bool:
    """True if handing tasks to queues takes time or has to wait for room."""
    return chip.control.issue_cost.value > 0 or chip.control.queue_entries is not None


def _issue(build: GraphBuilder, plan: Plan, tasks: Tasks, graph: TaskGraph) -> tuple[IntArray, IntArray]:
    """Return (tasks in program order, the task that issues each)."""
    blocks = (tasks.compute, tasks.weights, tasks.inputs, tasks.stores)
    ids, key = np.concatenate([block.ids for block in blocks]), np.concatenate([block.key for block in blocks])
    issued = ids[np.lexsort((ids, key))]
    control = plan.chip.control
    issue = np.array(
        build.tasks(
            len(issued),
            labels=[graph.labels[label] for label in graph.label[issued].tolist()],
            kind=ISSUE,
            duration=to_ticks(control.issue_cost.value, PICOSECOND),
        ),
        np.int64,
    )
    build.demand(issue, build.server(CONTROL))
    build.chain(issue)
    build.edge(issue, issued)
    if control.queue_entries is not None:
        queue = graph.demands.index[graph.demands.offset[issued]]
        for number in np.unique(queue).tolist():
            at = np.flatnonzero(queue == number)
            held, later = at[: -control.queue_entries], at[control.queue_entries :]
            build.edge(issued[held], issue[later])
    return issued, issue


def _submit(build: GraphBuilder, plan: Plan) -> IntArray:
    """Return the submission of each inference, shape (inferences,)."""
    duration = to_ticks(plan.chip.control.submit_cost.value, PICOSECOND)
    submit = np.array(build.tasks(plan.inferences, kind=SUBMIT, labels=[SUBMIT] * plan.inferences, duration=duration))
    build.demand(submit, build.server(DRIVER))
    build.chain(submit)
    return submit


def _ends(graph: TaskGraph, inference: IntArray) -> tuple[BoolArray, BoolArray]:
    """Mark the tasks that wait for a task of their inference, and those for which one waits, shape (tasks,) each."""
    source = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset))
    target = graph.edges.index
    within = inference[source] == inference[target]
    fed = np.bincount(target[within], minlength=len(graph)) > 0
    return fed, np.bincount(source[within], minlength=len(graph)) > 0


def _admit(
    build: GraphBuilder, plan: Plan, added: IntArray, which: IntArray, ends: IntArray, inference: IntArray
) -> None:
    """Let each of `added`, with which inference `which` begins, wait for all of the inference `queue_depth` before."""
    for number, task in zip(which.tolist(), added.tolist(), strict=True):
        before = ends[inference[ends] == number - plan.queue_depth]
        build.edge(before, np.full(len(before), task))
