"""In what order tasks may run: queues, double buffering, and who needs whose data.

In:  a `Plan`, its `Tasks`. Out: edges in the `GraphBuilder`.
All edges point forward in program order, so there is no cycle.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import GraphBuilder
from armillary.npu.geometry import IntArray
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.queues import Queues
from armillary.npu.tasks import Block, Tasks, mover_of

Pairs = list[tuple[IntArray, IntArray]]


def connect(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> None:
    """Add all edges of `plan` to `build`, each once."""
    pairs = [*_in_order(plan, tasks, queues), *_paced(plan, tasks), *_fed(plan, tasks)]
    source = np.concatenate([pair[0] for pair in pairs]) if pairs else np.zeros(0, np.int64)
    target = np.concatenate([pair[1] for pair in pairs]) if pairs else np.zeros(0, np.int64)
    once = np.unique(np.stack([source, target]), axis=1)
    build.edge(once[0], once[1])


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


def _paced(plan: Plan, tasks: Tasks) -> Pairs:
    """Double buffering: loads follow the tile two before, a tile follows its loads and the store two tiles before."""
    count = len(plan.tiles)
    compute = tasks.compute.ids
    pairs: Pairs = [(compute[:-2], compute[2:])]
    for block in (tasks.weights, tasks.inputs):
        pairs.append((block.ids, compute[block.at]))
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
            elif plan.residency.stays(name):
                readers = tasks.compute.ids[first : first + 1]
            else:
                within = loaded[first : last + 1]
                readers = within[within >= 0]
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
