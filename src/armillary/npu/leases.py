"""Who holds which bytes of the scratchpad, and for how long.

In:  a `Plan`, its `Tasks`. Out: leases in the `GraphBuilder`, and the address of each.
A loaded tile is held from its load to the last tile that uses it, partial sums from the first to the last part of their
input channels, a stored tile from its computation to the end of its store, an activation that stays from its first
writer to its last reader. Tiling and residency leave room for all of them and `allocate` found their addresses, so no
lease ever has to wait; the pool proves it at every simulated time. Weights in a buffer of their own do wait, in program
order, until it has room.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import GraphBuilder
from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.queues import Queues
from armillary.npu.tasks import Block, Tasks


def hold(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> IntArray:
    """Add the leases of all tiles and activations; return their addresses, -1 in a weight buffer, shape (leases,)."""
    tiles, compute, at = plan.tiles, tasks.compute.ids, plan.allocation.users
    streamed = np.flatnonzero(tiles.weight_bytes)
    weights = (
        Block(compute[streamed], streamed, 2.0 * streamed.astype(np.float64))
        if plan.chip.streams_weights
        else tasks.weights
    )
    for block, moved, held, room in (
        (weights, tiles.weight_bytes, plan.keeping.until, queues.weight_room),
        (tasks.inputs, tiles.input_bytes, None, queues.scratchpad),
    ):
        users = compute[last_use(block.at, plan, held)]
        _lease_pairs(build, room, moved[block.at], block.ids, users)
    sums = np.flatnonzero(tiles.sum_bytes)
    _lease_pairs(
        build, queues.scratchpad, tiles.sum_bytes[sums], compute[sums], compute[sums + tiles.sum_tiles[sums] - 1]
    )
    stored = tiles.output_bytes[tasks.stores.at]
    _lease_pairs(build, queues.scratchpad, stored, compute[tasks.stores.at], tasks.stores.ids)
    roots = _hold_activations(build, plan, tasks, queues)
    return np.concatenate(
        (
            at.weights[weights.at],
            at.inputs[tasks.inputs.at],
            at.sums[sums],
            at.outputs[tasks.stores.at],
            at.tensors[roots],
        )
    )


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


def _lease_pairs(build: GraphBuilder, pool: int, units: IntArray, first: IntArray, last: IntArray) -> None:
    leases = [build.lease(pool, size) for size in units.tolist()]
    build.member(first, leases)
    longer = np.flatnonzero(first != last)
    build.member(last[longer], np.array(leases, np.int64)[longer])


def _hold_activations(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> list[int]:
    """Add a lease for each activation that stays and takes over nothing; return those tensors."""
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
    roots: list[int] = []
    for index in np.flatnonzero(residency.resident).tolist():
        # Writers come before readers, so the tensor whose place this one takes has its lease already.
        before = lease_of.get(int(residency.in_place_of[index]))
        if before is None:
            lease = build.lease(queues.scratchpad, int(residency.bytes[index]))
            roots.append(index)
        else:
            lease = before
        lease_of[index] = lease
        holders.setdefault(lease, {}).update(dict.fromkeys(members.get(residency.names[index], [])))
    for lease, held in holders.items():
        build.member(list(held), lease)
    return roots
