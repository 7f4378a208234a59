"""Who holds which bytes of the scratchpad, and for how long.

In:  a `Plan`, its `Tasks`. Out: leases in the `GraphBuilder`.
A loaded tile is held from its load to the last tile that uses it, partial sums from the first to the last part of their
input channels, a stored tile from its computation to the end of its store, an activation that stays from its first
writer to its last reader. Tiling and residency leave room for all of them, so no lease ever has to wait; the pool
proves it at every simulated time.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import GraphBuilder
from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.queues import Queues
from armillary.npu.tasks import Tasks


def hold(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> None:
    """Add the leases of all tiles and activations to `build`."""
    tiles, compute = plan.tiles, tasks.compute.ids
    until = plan.keeping.until
    for block, moved, held in ((tasks.weights, tiles.weight_bytes, until), (tasks.inputs, tiles.input_bytes, None)):
        users = compute[last_use(block.at, plan, held)]
        _lease_pairs(build, queues, moved[block.at], block.ids, users)
    sums = np.flatnonzero(tiles.sum_bytes)
    _lease_pairs(build, queues, tiles.sum_bytes[sums], compute[sums], compute[sums + tiles.sum_tiles[sums] - 1])
    _lease_pairs(build, queues, tiles.output_bytes[tasks.stores.at], compute[tasks.stores.at], tasks.stores.ids)
    _hold_activations(build, plan, tasks, queues)


def last_use(at: IntArray, plan: Plan, until: IntArray | None = None) -> IntArray:
    """Return the last tile that uses each load, made for the tiles `at`, shape (loads,).

    It is the tile before the next load of the same layer, or the layer's last. Loads of a layer that a later one
    (`until`, shape (layers,)) uses too are all held until that one's last tile.
    """
    layer = plan.tiles.layer[at]
    following = np.append(at[1:], -1)
    same = np.append(layer[1:] == layer[:-1], False) if len(layer) else np.zeros(0, np.bool_)
    if until is None:
        return np.where(same, following - 1, plan.last_tile[layer])
    return np.where(same & (until[layer] == layer), following - 1, plan.last_tile[until[layer]])


def _lease_pairs(build: GraphBuilder, queues: Queues, units: IntArray, first: IntArray, last: IntArray) -> None:
    leases = [build.lease(queues.scratchpad, size) for size in units.tolist()]
    build.member(first, leases)
    build.member(last, leases)


def _hold_activations(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> None:
    network, compute = plan.network, tasks.compute.ids
    members: dict[str, list[int]] = {}
    for task, at in zip(tasks.arrivals.ids.tolist(), tasks.arrivals.at.tolist(), strict=True):
        members[network.inputs[at]] = [task]
    for index, layer in enumerate(network.layers):
        first, last = int(plan.first_tile[index]), int(plan.last_tile[index])
        if first < 0:
            continue
        for name in layer.sources:
            members.setdefault(name, []).append(int(compute[last]))
        for name in layer.outputs:
            members[name] = [int(compute[first]), int(compute[last])]
    residency = plan.residency
    lease_of: dict[int, int] = {}
    holders: dict[int, dict[int, None]] = {}
    for index in np.flatnonzero(residency.resident).tolist():
        # Writers come before readers, so the tensor whose place this one takes has its lease already.
        before = lease_of.get(int(residency.in_place_of[index]))
        lease = build.lease(queues.scratchpad, int(residency.bytes[index])) if before is None else before
        lease_of[index] = lease
        holders.setdefault(lease, {}).update(dict.fromkeys(members.get(residency.names[index], [])))
    for lease, held in holders.items():
        build.member(list(held), lease)
