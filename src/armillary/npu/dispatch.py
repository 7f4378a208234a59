"""The control processor: which task is handed to its queue when, and what submitting an inference costs.

In:  a `Plan`, its `Tasks`, a `GraphBuilder` that holds them with all their edges.
Out: tasks of kind "issue" and "submit" in the builder, and the inference that every task is part of.
Model: the driver submits an inference; then the control processor walks through the program and hands one task after
the other to its queue, `issue_cost` each. A queue holds `queue_entries` tasks: the next one is handed to it when the
first of them has ended, and until then the whole program waits, since it is handed out in order. All edges point
forward in program order, so this cannot end in a deadlock. A chip that gives none of these numbers has none of these tasks.
What the host does, and transfers between its memory and DRAM, is no work of the control processor.
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class _Flow:
    """What depends on what inside each inference: columns of shape (edges,) and (tasks,)."""

    inference: IntArray
    fed: npt.NDArray[np.bool_]  # waits for a task of its inference
    feeds: npt.NDArray[np.bool_]  # a task of its inference waits for it


def dispatch(build: GraphBuilder, plan: Plan, tasks: Tasks) -> IntArray:
    """Add what the control processor and the driver do; return the inference of each task in `build`, shape (tasks,)."""
    inference = inferences_of(plan, tasks, len(build))
    control = plan.chip.control
    issues, submits = issues_tasks(plan.chip), control.submit_cost.value > 0
    if not issues and not submits:
        return inference
    graph = build.freeze()
    flow = _flow(graph, inference)
    gates: list[tuple[IntArray, IntArray]] = []  # of each inference: what lets it begin, in ascending inference
    if issues:
        issued, issue = _issue(build, plan, tasks, graph)
        flow.fed[issued] = True
        inference = np.append(inference, inference[issued])
        firsts = np.unique(inference[issue], return_index=True)[1]
        gates.append((inference[issue[firsts]], issue[firsts]))
    begins = np.flatnonzero(~flow.fed)
    gates.append((flow.inference[begins], begins))
    if submits:
        submit = _submit(build, plan)
        inference = np.append(inference, np.arange(plan.inferences))
        for which, gated in gates:
            build.edge(submit[which], gated)
        gates = [(np.arange(plan.inferences), submit)]
    # What begins without being issued is admitted by `connect` already.
    which, gated = gates[0]
    _admit(build, plan, flow, which, gated)
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


def _flow(graph: TaskGraph, inference: IntArray) -> _Flow:
    count = len(graph)
    source = np.repeat(np.arange(count), np.diff(graph.edges.offset))
    target = graph.edges.index
    within = inference[source] == inference[target]
    fed = np.bincount(target[within], minlength=count) > 0
    return _Flow(inference, fed, np.bincount(source[within], minlength=count) > 0)


def _admit(build: GraphBuilder, plan: Plan, flow: _Flow, which: IntArray, gated: IntArray) -> None:
    """Let `gated`, which lets inference `which` begin, wait for all of the inference `queue_depth` before."""
    ends = np.flatnonzero(~flow.feeds)
    for number, task in zip(which.tolist(), gated.tolist(), strict=True):
        before = ends[flow.inference[ends] == number - plan.queue_depth]
        build.edge(before, np.full(len(before), task))
