"""Every buffer of the scratchpad with the span in which its bytes are its own.

In:  a `Plan` (of one inference, or of a few copies), layers that share no scratchpad with those before (`fences`).
Out: `Buffers`: size, and when each begins and ends; and for every tile and tensor the buffer that it uses.
Loads, stores and partial sums of a layer take turns in as few buffers as their order allows, two as a rule; an
activation that stays has one, with all that take over its bytes.
Model: a buffer begins when all tiles up to `after_tile` are computed and all stores up to `after_store` are done, as
the order of the tasks guarantees (`order`, `reuse`), and ends with the computation of tile `end`, or with its store.
Two buffers never live at the same time if one ends before the other begins by this account.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from armillary.npu.addresses import BufferKind, Buffers, Users
from armillary.npu.geometry import IntArray
from armillary.npu.leases import last_use
from armillary.npu.plan import Plan

_NEVER = -(2**40)
TURNS = 2  # buffers of a layer between which its loads, or its stores, alternate
_MANY = 2**20  # more than a layer has tiles: every use has a buffer of its own


@dataclass(frozen=True, slots=True)
class Order:
    """What has ended when a tile's loads or its computation begin, shape (tiles,): the last tile, the last store."""

    load_after_tile: IntArray
    load_after_store: IntArray
    after_tile: IntArray
    after_store: IntArray


def buffers(plan: Plan, fences: frozenset[int]) -> tuple[Buffers, Users]:
    """Return all buffers of `plan` and who uses them; `fences` names layers of one inference."""
    tiles, order = plan.tiles, order_of(plan, fences)
    parts: list[Buffers] = []
    users: list[IntArray] = []
    elsewhere = plan.chip.weight_buffer_bytes is not None
    weights = np.zeros_like(tiles.weight_bytes) if elsewhere else tiles.weight_bytes
    for kind, moved, until in (
        (BufferKind.WEIGHTS, weights, plan.keeping.until),
        (BufferKind.INPUT, tiles.input_bytes, None),
    ):
        at = np.flatnonzero(moved)
        after = (order.load_after_tile[at], order.load_after_store[at])
        _take_turns(parts, users, kind, plan, at, moved[at], at - 1, last_use(at, plan, until), *after)
    at = np.flatnonzero(tiles.sum_bytes)
    after = (order.after_tile[at], order.after_store[at])
    _take_turns(parts, users, BufferKind.SUMS, plan, at, tiles.sum_bytes[at], at, at + tiles.sum_tiles[at] - 1, *after)
    at = np.flatnonzero(tiles.output_bytes)
    after = (order.after_tile[at], order.after_store[at])
    _take_turns(parts, users, BufferKind.OUTPUT, plan, at, tiles.output_bytes[at], at, at, *after)
    _activations(parts, users, plan, order)
    columns = {
        column.name: np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Buffers)
    }
    return Buffers(**columns), Users(*users)


def order_of(plan: Plan, fences: frozenset[int]) -> Order:
    """Return what has ended when each tile begins."""
    number = np.arange(len(plan.tiles))
    fence = np.full(len(number), _NEVER)
    starts = plan.starts(fences)
    fence[starts] = starts - 1
    fence = np.maximum.accumulate(fence) if len(fence) else fence
    engine = plan.engines
    # In-order engines: the tile just before has ended if it ran on the same one, the one before that in any case.
    # Several tiles of a chip work on one tile of a layer, each at its own pace.
    alone = plan.chip.tiles == 1 or plan.chip.vector.shares_array
    before = np.where(alone & (engine == np.roll(engine, 1)), number - 1, number - 2)
    return Order(
        load_after_tile=np.maximum(number - 2, fence),
        load_after_store=np.maximum(number - 4, fence),
        after_tile=np.maximum(before, fence),
        after_store=np.maximum(number - 2, fence),
    )


def _take_turns(
    parts: list[Buffers],
    users: list[IntArray],
    kind: BufferKind,
    plan: Plan,
    at: IntArray,
    size: IntArray,
    begin: IntArray,
    end: IntArray,
    after_tile: IntArray,
    after_store: IntArray,
) -> None:
    """Add the buffers between which the tiles `at` of each layer take turns."""
    layer = plan.tiles.layer[at]
    starts = np.flatnonzero(np.append(True, layer[1:] != layer[:-1])) if len(at) else np.zeros(0, np.int64)
    rank = np.arange(len(at)) - np.repeat(starts, np.diff(np.append(starts, len(at))))
    turns = _turns(layer, end, after_store if kind == BufferKind.OUTPUT else after_tile, len(plan.shapes))
    key, first, mine = np.unique(layer * _MANY + rank % turns[layer], return_index=True, return_inverse=True)
    largest, latest = np.zeros(len(key), np.int64), np.full(len(key), _NEVER)
    np.maximum.at(largest, mine, size)
    np.maximum.at(latest, mine, end)
    user = np.full(len(plan.tiles), -1, np.int64)
    user[at] = mine + sum(map(len, parts))
    users.append(user)
    parts.append(
        Buffers(
            kind=np.full(len(key), kind, np.int64),
            owner=key // _MANY,
            bytes=largest,
            begin=begin[first],
            end=latest,
            by_store=np.full(len(key), kind == BufferKind.OUTPUT),
            after_tile=after_tile[first],
            after_store=after_store[first],
        )
    )


def _turns(layer: IntArray, end: IntArray, after: IntArray, layers: int) -> IntArray:
    """Return in how many buffers the uses of each layer alternate so that one ends before it comes again."""
    turns = np.full(layers, 1)
    for tried, otherwise in ((1, TURNS), (TURNS, _MANY)):
        overlap = (layer[tried:] == layer[:-tried]) & (end[:-tried] > after[tried:])
        late = layer[tried:][overlap]
        turns[late[turns[late] == tried]] = otherwise
    return turns


def _activations(parts: list[Buffers], users: list[IntArray], plan: Plan, order: Order) -> None:
    """Add one buffer for each activation that stays, shared by those that take over its bytes."""
    residency = plan.residency
    at = np.flatnonzero(residency.resident)
    root = np.arange(len(residency.names))
    for index in at[residency.in_place_of[at] >= 0].tolist():
        root[index] = root[residency.in_place_of[index]]  # writers come before readers
    owner, mine = np.unique(root[at], return_inverse=True)
    last = np.full(len(owner), _NEVER)
    np.maximum.at(last, mine, plan.last_tile[residency.last[at]])
    first = residency.first[owner]
    begin = plan.first_tile[first]
    # Inputs arrive once the tile before those beside which they fit is done (`repeat`).
    given = set(plan.network.inputs)
    arrives = np.array([residency.names[index] in given for index in owner.tolist()], np.bool_)
    gate = first // plan.layers_each * plan.tiles_each - plan.lead - 1
    user = np.full(len(residency.names), -1, np.int64)
    user[at] = mine + sum(map(len, parts))
    users.append(user)
    parts.append(
        Buffers(
            kind=np.full(len(owner), BufferKind.ACTIVATION, np.int64),
            owner=owner,
            bytes=residency.bytes[owner],
            begin=np.where(arrives, gate + 1, begin),
            end=last,
            by_store=np.zeros(len(owner), np.bool_),
            after_tile=np.where(arrives, gate, order.after_tile[begin]),
            after_store=np.where(arrives, gate - 2, order.after_store[begin]),
        )
    )
