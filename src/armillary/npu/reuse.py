"""Edges that make the reuse of addresses safe, where the order of the tasks does not do so already.

In:  a `Plan`, its `Tasks`. Out: pairs of tasks (before, after).
`buffers` counts on this: when tile j is computed, all up to tile j - 2 have been computed and stored; when its loads,
or an input beside it, begin, all up to the tile two before have been computed. Double buffering (`order`) says so of
every other tile; the rest follows where neighbours run on one in-order engine, and needs an edge where they do not.
A fenced layer waits until nothing of the layers before holds a buffer.
"""

from __future__ import annotations

import numpy as np

from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.tasks import Tasks

Pairs = list[tuple[IntArray, IntArray]]


def guard(plan: Plan, tasks: Tasks) -> Pairs:
    """Return the edges that addresses need, shape (edges,) each; many of them may stand elsewhere too."""
    return [*_between_engines(plan, tasks), *_fenced(plan, tasks)]


def _between_engines(plan: Plan, tasks: Tasks) -> Pairs:
    """Order tile j, and its loads, after tile j - 3 and its store where in-order engines do not."""
    engine, compute = plan.engines, tasks.compute.ids
    third = np.arange(3, len(engine))
    apart = third[engine[third - 3] != engine[third - 2]]
    pairs: Pairs = [(compute[apart - 3], compute[apart])]
    for block in (tasks.weights, tasks.inputs):
        load = block.by_tile(len(engine))[apart]
        pairs.append((compute[apart[load >= 0] - 3], load[load >= 0]))
    apart = third[engine[third - 1] != engine[third]]
    store = tasks.stores.by_tile(len(engine))[apart - 3]
    pairs.append((store[store >= 0], compute[apart[store >= 0]]))
    # An input that stays begins when the tile at its gate has been computed (`order`): the one before it too.
    arrivals, inputs = tasks.arrivals, plan.network.inputs
    inference = arrivals.at * plan.inferences // max(1, len(inputs))
    gate = inference * plan.tiles_each - plan.lead - 1
    stays = np.array([plan.residency.stays(inputs[at]) for at in arrivals.at.tolist()], np.bool_)
    late = np.flatnonzero((gate >= 1) & stays)
    late = late[engine[gate[late] - 1] != engine[gate[late]]]
    pairs.append((compute[gate[late] - 1], arrivals.ids[late]))
    return pairs


def _fenced(plan: Plan, tasks: Tasks) -> Pairs:
    """Let the first two tiles of a fenced layer, and their loads, wait for the last tiles and stores before it."""
    compute = tasks.compute.ids
    takers = (tasks.compute, tasks.weights, tasks.inputs)
    pairs: Pairs = []
    for start in plan.starts(plan.allocation.fences).tolist():
        stores = tasks.stores.ids[tasks.stores.at < start][-1:]
        before = np.concatenate([compute[max(0, start - 2) : start], stores])
        after = np.concatenate([block.ids[(block.at >= start) & (block.at < start + 2)] for block in takers])
        pairs.append((np.repeat(before, len(after)), np.tile(after, len(before))))
    return pairs
