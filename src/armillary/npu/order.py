"""In what order tasks may run: queues, double buffering, and who needs whose data.

In:  a `Plan`, its `Tasks`. Out: edges in the `GraphBuilder`.
All edges point forward in program order, so there is no cycle.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.engine import GraphBuilder
from armillary.npu.geometry import IntArray
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.queues import Queues
from armillary.npu.reuse import guard
from armillary.npu.tasks import Block, Tasks, mover_of

Pairs = list[tuple[IntArray, IntArray]]


def connect(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> None:
    """Add all edges of `plan` to `build`, each once."""
    pairs = [*_in_order(plan, tasks, queues), *_paced(plan, tasks), *_fed(plan, tasks), *guard(plan, tasks)]
    source = np.concatenate([pair[0] for pair in pairs]) if pairs else np.zeros(0, np.int64)
    target = np.concatenate([pair[1] for pair in pairs]) if pairs else np.zeros(0, np.int64)
    # One number an edge: sorting numbers is far faster than sorting pairs.
    source, target = np.divmod(np.unique(source * len(build) + target), len(build))
    build.edge(source, target)
    if plan.inferences > 1:
        build.edge(*_admitted(plan, tasks, source, target, len(build)))


def _in_order(plan: Plan, tasks: Tasks, queues: Queues) -> Pairs:
    """Chain the tasks of every queue in program order."""
    tiles = plan.tiles
    alone = np.zeros(len(tiles), np.int64) if plan.chip.vector.shares_array else tiles.engine
    pairs: Pairs = [_chain(tasks.compute.ids[alone == engine]) for engine in (Engine.ARRAY, Engine.VECTOR)]
    pairs.append(_chain(tasks.host.ids))
    blocks = [(tasks.weights, "weights"), (tasks.inputs, "input"), (tasks.stores, "output")]
    movers = [mover_of(block.ids, kind, queues) for block, kind in blocks]
    loose: list[Block] = [block for block, _ in blocks]
    for block in (tasks.arrivals, tasks.departures):
        loose.append(block)
        movers.append(np.full(len(block.ids), queues.link_queue))
    ids = np.concatenate([block.ids for block in loose])
    key = np.concatenate([block.key for block in loose])
    mover = np.concatenate(movers)
    order = np.lexsort((ids, key))
    return [*pairs, *(_chain(ids[order][mover[order] == queue]) for queue in np.unique(mover).tolist())]


def inferences_of(plan: Plan, tasks: Tasks, count: int) -> IntArray:
    """Return the inference that each task is part of, shape (tasks,)."""
    inference = np.zeros(count, np.int64)
    for block in (tasks.compute, tasks.weights, tasks.inputs, tasks.stores):
        inference[block.ids] = plan.tiles.layer[block.at] // plan.layers_each
    inference[tasks.host.ids] = tasks.host.at // plan.layers_each
    for block, names in ((tasks.arrivals, plan.network.inputs), (tasks.departures, plan.network.outputs)):
        inference[block.ids] = block.at * plan.inferences // max(1, len(names))
    return inference


def staying_inputs(plan: Plan, tasks: Tasks) -> npt.NDArray[np.bool_]:
    """Mark the arrivals whose tensor stays in the scratchpad, shape (arrivals,)."""
    return np.array([plan.residency.stays(plan.network.inputs[at]) for at in tasks.arrivals.at.tolist()], np.bool_)


def _admitted(plan: Plan, tasks: Tasks, source: IntArray, target: IntArray, count: int) -> tuple[IntArray, IntArray]:
    """Let nothing of an inference begin before the one `queue_depth` before it is done.

    With a gap, nothing of an inference takes scratchpad before the one just before it needs none.
    """
    inference = inferences_of(plan, tasks, count)
    within = inference[source] == inference[target]
    begins = np.bincount(target[within], minlength=count) == 0
    ends = np.bincount(source[within], minlength=count) == 0
    pairs: Pairs = []
    for later in range(plan.queue_depth, plan.inferences):
        before = np.flatnonzero(ends & (inference == later - plan.queue_depth))
        after = np.flatnonzero(begins & (inference == later))
        pairs.append((np.repeat(before, len(after)), np.tile(after, len(before))))
    if plan.gap:
        pairs += _apart(plan, tasks)
    # Inputs that stay take scratchpad, like loads, when the tile before those beside which they fit is done.
    arrivals = tasks.arrivals
    gate = inference[arrivals.ids] * plan.tiles_each - plan.lead - 1
    stay = (gate >= 0) & staying_inputs(plan, tasks)
    pairs.append((tasks.compute.ids[gate[stay]], arrivals.ids[stay]))
    edges = np.concatenate([before for before, _ in pairs]) * count + np.concatenate([after for _, after in pairs])
    fresh = np.setdiff1d(edges, source * count + target)
    return fresh // count, fresh % count


def _apart(plan: Plan, tasks: Tasks) -> Pairs:
    """Let the first takers of scratchpad of each inference wait for the last holders of the one before."""
    pairs: Pairs = []
    each, arrival_of = plan.tiles_each, tasks.arrivals.at * plan.inferences // max(1, len(plan.network.inputs))
    stays = staying_inputs(plan, tasks)
    for later in range(1, plan.inferences):
        first = later * each
        holders = [tasks.compute.ids[first - each : first]]
        holders.append(tasks.stores.ids[(tasks.stores.at >= first - each) & (tasks.stores.at < first)])
        takers = [tasks.compute.ids[first : first + 2], tasks.arrivals.ids[stays & (arrival_of == later)]]
        takers += [b.ids[(b.at >= first) & (b.at < first + 2)] for b in (tasks.weights, tasks.inputs)]
        # In-order queues: the last ones end last.
        before, after = np.concatenate([ids[-2:] for ids in holders]), np.concatenate(takers)
        pairs.append((np.repeat(before, len(after)), np.tile(after, len(before))))
    return pairs


def _paced(plan: Plan, tasks: Tasks) -> Pairs:
    """Double buffering: loads follow the tile two before, a tile follows its loads and the store two tiles before."""
    count = len(plan.tiles)
    compute = tasks.compute.ids
    pairs: Pairs = [(compute[:-2], compute[2:])]
    for block in (tasks.weights, tasks.inputs):
        pairs.append((block.ids, compute[block.at]))
        if block is tasks.weights and plan.chip.weight_buffer_bytes is not None:
            continue  # in order into a buffer of their own, as soon as it has room
        later = block.at >= 2
        pairs.append((compute[block.at[later] - 2], block.ids[later]))
    pairs.append((compute[tasks.stores.at], tasks.stores.ids))
    early = tasks.stores.at + 2 < count
    pairs.append((tasks.stores.ids[early], compute[tasks.stores.at[early] + 2]))
    return pairs


def _fed(plan: Plan, tasks: Tasks) -> Pairs:
    """Let every layer wait for the layers and arrivals whose tensors it reads."""
    network, count = plan.network, len(plan.tiles)
    stored, loaded = tasks.stores.by_tile(count), tasks.inputs.by_tile(count)
    arrived = {
        network.inputs[at]: int(task)
        for task, at in zip(tasks.arrivals.ids.tolist(), tasks.arrivals.at.tolist(), strict=True)
    }
    made = dict(arrived)
    on_host = dict(zip(tasks.host.at.tolist(), tasks.host.ids.tolist(), strict=True))
    pairs: Pairs = []
    for index, layer in enumerate(network.layers):
        first, last = int(plan.first_tile[index]), int(plan.last_tile[index])
        for name in layer.sources:
            if name not in made:
                continue  # an input that already lies in the backing memory
            if first < 0:
                readers = np.array([on_host[index]], np.int64)
            else:
                within = loaded[first : last + 1]
                readers = within[within >= 0]
                if plan.residency.stays(name):
                    # Rows to look up are known only when the indices are there; other loads do not wait.
                    looked_up = readers if plan.shapes.row_bytes[index] else readers[:0]
                    readers = np.append(looked_up, tasks.compute.ids[first])
            pairs.append((np.full(len(readers), made[name]), readers))
        for name in layer.outputs:
            if first < 0:
                made[name] = on_host[index]
            else:
                made[name] = int(tasks.compute.ids[last] if plan.residency.stays(name) else stored[last])
    leaving = tasks.departures
    for task, at in zip(leaving.ids.tolist(), leaving.at.tolist(), strict=True):
        if network.outputs[at] in made:
            pairs.append((np.array([made[network.outputs[at]]]), np.array([task])))
    return pairs


def _chain(ids: IntArray) -> tuple[IntArray, IntArray]:
    return ids[:-1], ids[1:]
