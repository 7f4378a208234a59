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
from armillary.npu.tasks import Tasks


def hold(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> IntArray:
    """Add the leases of all tiles and activations; return their addresses, -1 in a weight buffer, shape (leases,)."""
    tiles, stores, at = plan.tiles, tasks.stores, plan.allocation.users
    weighed = _hold_weights(build, plan, tasks, queues)
    leases = build.leases(queues.scratchpad, tiles.input_room[tasks.inputs.at])
    build.member(tasks.inputs.ids, leases)
    _join(build, tasks, last_use(tasks.inputs.at, plan), leases)
    sums = np.flatnonzero(tiles.sum_bytes)
    leases = build.leases(queues.scratchpad, tiles.sum_bytes[sums])
    _join(build, tasks, sums, leases)
    _join(build, tasks, sums + tiles.sum_tiles[sums] - 1, leases)
    leases = build.leases(queues.scratchpad, tiles.output_room[stores.at])
    _join(build, tasks, stores.at, leases)
    build.member(stores.ids, leases)
    roots = _hold_activations(build, plan, tasks, queues)
    return np.concatenate(
        (at.weights[weighed], at.inputs[tasks.inputs.at], at.sums[sums], at.outputs[stores.at], at.tensors[roots])
    )


def _hold_weights(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> IntArray:
    """Add the leases of streamed weights; return the tiles for which they come, shape (leases,)."""
    tiles = plan.tiles
    at = np.flatnonzero(tiles.weight_bytes) if plan.chip.streams_weights else tasks.weights.at
    leases = build.leases(queues.weight_room, tiles.weight_room[at])
    until = last_use(at, plan, plan.keeping.until)
    if plan.chip.streams_weights:  # they arrive while the tile is computed
        _join(build, tasks, at, leases)
        later = np.flatnonzero(until != at)
        until, leases = until[later], leases[later]
    else:
        build.member(tasks.weights.ids, leases)
    _join(build, tasks, until, leases)
    return at


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


def _join(build: GraphBuilder, tasks: Tasks, tiles: IntArray, leases: IntArray) -> None:
    """Make all tasks that compute a tile members of its lease."""
    members, index = tasks.computing(tiles)
    build.member(members, leases[index])


def _hold_activations(build: GraphBuilder, plan: Plan, tasks: Tasks, queues: Queues) -> list[int]:
    """Add a lease for each activation that stays and takes over nothing; return those tensors."""
    network = plan.network
    members: dict[str, list[int]] = {}
    for task, at in zip(tasks.arrivals.ids.tolist(), tasks.arrivals.at.tolist(), strict=True):
        members[network.inputs[at]] = [task]
    for index, layer in enumerate(network.layers):
        first, last = int(plan.first_tile[index]), int(plan.last_tile[index])
        if first < 0:
            continue
        begins, ends = (tasks.of(tile) for tile in (first, last))
        for name in layer.sources:
            members.setdefault(name, []).extend(ends)
        for name in layer.outputs:
            members[name] = [*begins, *ends]
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
