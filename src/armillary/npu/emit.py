"""A plan as a task graph for the event engine.

In:  a `Plan`. Out: `Program`: the tasks, and the layer and products of each.
Queues are declared, tasks created kind by kind, then ordered by edges, given their leases of the scratchpad, handed to
their queues by the control processor, and made to wait for each other by the barriers of the chip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.engine import GraphBuilder, TaskGraph
from armillary.npu.barriers import Barriers, find_barriers, hold_barriers
from armillary.npu.dispatch import ISSUE, SUBMIT, dispatch
from armillary.npu.geometry import IntArray
from armillary.npu.leases import hold
from armillary.npu.order import connect
from armillary.npu.plan import Plan
from armillary.npu.queues import declare
from armillary.npu.tasks import create


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled network as tasks (output of `emit`)."""

    tasks: TaskGraph
    layer: IntArray  # layer of each task, -1 for inputs and outputs of the network, shape (tasks,)
    inference: IntArray  # inference that each task is part of, shape (tasks,)
    barriers: Barriers | None  # None where the chip has as many as it takes
    address: IntArray  # of the bytes that each lease of the scratchpad holds, shape (leases of the scratchpad,)


def emit(plan: Plan) -> Program:
    """Return the tasks of a plan: of one inference, or of several in flight (`repeat`)."""
    build = GraphBuilder()
    queues = declare(build, plan.chip, plan.caching.bytes)
    tasks = create(build, plan, queues)
    connect(build, plan, tasks, queues)
    address = hold(build, plan, tasks, queues)
    inference = dispatch(build, plan, tasks)
    barriers = None
    if plan.chip.control.barriers is not None:
        bare = build.freeze()
        handing = [number for number, kind in enumerate(bare.kinds) if kind in (ISSUE, SUBMIT)]
        by_barrier = ~np.isin(bare.kind, handing)
        barriers = find_barriers(bare, tasks.keys(len(bare)), by_barrier, plan.chip.control.barriers)
        hold_barriers(build, barriers)
    graph = build.build()
    layer = np.full(len(graph), -1, np.int64)
    for block in (tasks.compute, tasks.weights, tasks.inputs, tasks.stores):
        layer[block.ids] = plan.tiles.layer[block.at]
    layer[tasks.host.ids] = tasks.host.at
    return Program(graph, layer, inference, barriers, address)
