"""Addresses for everything in the scratchpad, so that no two things that may live at the same time overlap.

In:  a `Plan` without addresses.
Out: `allocate`: its `Allocation`, or the activations that must move after all (`Evicted`), after which residency,
     cache and tiles are decided anew; `allocate_in_flight`: the same for inferences in flight, None where it fails.
Cached weights come first and stay. The rest is placed first fit, in a few orders of which the first that works is
taken. The bytes always fit, the holes may not: then the activation moves that costs least of those whose absence leaves
a hole. Where none is in the way, a fence keeps the layers there apart, each of which fits alone, so that an allocation
is always found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError
from armillary.npu.addresses import Allocation, BufferKind, Buffers, Spill, Users
from armillary.npu.buffers import buffers
from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.reside import aligned

Evicted = tuple[Spill, ...]
TRIES = 40  # of each order; few networks need more than one


@dataclass(slots=True)
class _Placing:
    """Buffers on their way to an address."""

    buffers: Buffers
    size: IntArray  # bytes, aligned
    span: int  # tiles after which the same buffers come again, 0: never
    room: int
    address: IntArray
    ascending: IntArray  # placed buffers by address
    placed: int = 0


def allocate(plan: Plan, spills: tuple[Spill, ...] = ()) -> Allocation | Evicted:
    """Return the addresses of `plan`, a plan of one inference, or the activations that have to move.

    Args:
        plan: what has no address yet.
        spills: activations that moved for want of addresses before, for the record.
    """
    fences: frozenset[int] = frozenset()
    while True:
        found, users = buffers(plan, fences)
        placed = _search(plan, found, 0)
        if placed is not None:
            return _allocation(plan, placed, users, fences, spills)
        evicted, apart = _make_room(plan, _start(plan, found, 0))
        if evicted:
            return evicted
        if apart <= fences:  # tiling leaves room for the buffers of one layer, so this is a chip beyond its rules
            names = ", ".join(repr(plan.network.layers[index].name) for index in sorted(apart))
            raise InfeasibleError(
                f"the tiles of {names} do not fit side by side in the scratchpad of {plan.chip.name}; "
                "give it a smaller alignment, or a larger size"
            )
        fences |= apart


def allocate_in_flight(plan: Plan) -> Allocation | None:
    """Return the addresses of `plan`, whose inferences come again and again, None where no holes are found."""
    fences, span = plan.allocation.fences, len(plan.tiles)
    found, users = buffers(plan, fences)
    limit = np.where(found.by_store, found.after_store, found.after_tile) + span
    if bool((found.end > limit).any()):
        return None  # a buffer still lives when the same one comes again
    placed = _search(plan, found, span)
    return None if placed is None else _allocation(plan, placed, users, fences, plan.allocation.spills)


def again(allocation: Allocation, period: int, inferences: int) -> Allocation:
    """Return the addresses of `inferences` inferences, of which every `period` ones have those of `allocation`."""
    times = -(-inferences // period)

    def repeated(column: IntArray) -> IntArray:
        return np.tile(column, times)[: len(column) // period * inferences]

    users = Users(*(repeated(getattr(allocation.users, column.name)) for column in fields(Users)))
    return replace(allocation, users=users, weights=repeated(allocation.weights))


def _start(plan: Plan, found: Buffers, span: int) -> _Placing:
    """Return the state in which nothing is placed."""
    room = int(plan.chip.scratchpad.size.value) - aligned(plan.caching.bytes, plan.chip)
    nowhere = np.full(len(found), -1, np.int64)
    return _Placing(found, aligned(found.bytes, plan.chip), span, room, nowhere, nowhere.copy())


def _search(plan: Plan, found: Buffers, span: int) -> _Placing | None:
    """Return all buffers placed, None if no order is found in which each finds a hole.

    A buffer that finds none goes first in the next try.
    """
    for order in _orders(found, aligned(found.bytes, plan.chip)):
        for _ in range(TRIES):
            placing = _start(plan, found, span)
            failed = _place(placing, order, 0)
            if failed == len(order):
                return placing
            order[: failed + 1] = np.roll(order[: failed + 1], 1)
    return None


def _orders(found: Buffers, size: IntArray) -> Iterator[IntArray]:
    """Yield the orders in which buffers are placed: activations by size first, all by time, all by size."""
    stays = found.kind == BufferKind.ACTIVATION
    yield np.lexsort((found.begin, -size, ~stays))
    yield np.lexsort((-size, found.begin))
    yield np.lexsort((found.begin, -size))


def _place(placing: _Placing, order: IntArray, start: int) -> int:
    """Place the buffers `order[start:]`; return the place in `order` of the first one without a hole."""
    from armillary.npu.first_fit import NEIGHBOURS, first_fit

    columns = placing.buffers
    failed, placing.placed = first_fit(
        order,
        start,
        placing.size,
        columns.end,
        columns.by_store,
        columns.after_tile,
        columns.after_store,
        placing.span,
        NEIGHBOURS if placing.span else 0,
        placing.room,
        placing.address,
        placing.ascending,
        placing.placed,
    )
    return int(failed)


def _allocation(
    plan: Plan, placing: _Placing, users: Users, fences: frozenset[int], spills: tuple[Spill, ...]
) -> Allocation:
    base = aligned(plan.caching.bytes, plan.chip)
    address = base + placing.address
    of_user = np.append(address, -1)  # users without a buffer have number -1
    cached, each = plan.caching.cached, plan.layers_each
    # Every copy of a plan has the same weights, and so have the stripes of a layer: they count once, at the first.
    origin = plan.striping.origin[:each]
    _, first, layer = np.unique(origin, return_index=True, return_inverse=True)
    sizes = np.zeros(each, np.int64)
    sizes[first] = np.where(cached, plan.shapes.constant_bytes, 0)[:each][first]
    before = (np.cumsum(sizes) - sizes)[first][layer]
    return Allocation(
        buffers=placing.buffers,
        address=address,
        users=Users(*(of_user[getattr(users, column.name)] for column in fields(Users))),
        weights=np.where(cached, np.tile(before, plan.inferences), -1),
        peak_bytes=int((address + placing.size).max(initial=plan.caching.bytes)),
        fences=fences,
        spills=spills,
    )


def _make_room(plan: Plan, placing: _Placing) -> tuple[Evicted, frozenset[int]]:
    """Place activations first, evicting what stands in the way; return them, or layers to be kept apart."""
    order = next(_orders(placing.buffers, placing.size))
    evicted: list[Spill] = []
    start = 0
    while (start := _place(placing, order, start)) < len(order):
        one = int(order[start])
        victim, why = _victim(plan, placing, one)
        if victim < 0:
            return tuple(evicted), _around(plan, placing, one)
        evicted += _spilled(plan, placing.buffers, victim, one, why)
        if victim == one:
            start += 1
        else:
            kept = placing.ascending[: placing.placed]
            placing.ascending[: placing.placed - 1] = kept[kept != victim]
            placing.placed -= 1
            placing.address[victim] = -1
    return tuple(evicted), frozenset()


def _victim(plan: Plan, placing: _Placing, one: int) -> tuple[int, str]:
    """Return the activation that costs least to move of those that keep `one` from a hole, -1: none does."""
    found, need = placing.buffers, int(placing.size[one])
    present = placing.ascending[: placing.placed]
    present = present[_meeting(found, one, present)]
    candidates = present[found.kind[present] == BufferKind.ACTIVATION].tolist()
    holes = {victim: _largest_hole(placing, present[present != victim]) for victim in candidates}
    if found.kind[one] == BufferKind.ACTIVATION:
        candidates.append(one)
        holes[one] = need
    if not candidates:
        return -1, ""
    cost = {victim: int(found.bytes[victim]) * (1 + _readers(plan, int(found.owner[victim]))) for victim in candidates}
    enough = [victim for victim in candidates if holes[victim] >= need]
    # Where one alone does not help, the largest hole is the best beginning.
    victim = min(enough, key=cost.__getitem__) if enough else max(candidates, key=lambda v: (holes[v], -cost[v]))
    hole = _largest_hole(placing, present)
    return victim, f"{need} bytes for {name_of(plan, found, one)}, largest hole {hole}"


def _meeting(found: Buffers, one: int, others: IntArray) -> npt.NDArray[np.bool_]:
    """Mark the buffers that may live at the same time as `one`, shape (others,)."""
    limit = np.where(found.by_store[others], found.after_store[one], found.after_tile[one])
    own = np.where(found.by_store[one], found.after_store[others], found.after_tile[others])
    apart: npt.NDArray[np.bool_] = (found.end[others] <= limit) | (found.end[one] <= own)
    return ~apart


def _largest_hole(placing: _Placing, ascending: IntArray) -> int:
    """Return the most bytes in one piece beside buffers given in ascending address."""
    starts = np.append(placing.address[ascending], placing.room)
    ends = np.maximum.accumulate(np.append(0, placing.address[ascending] + placing.size[ascending]))
    return int((starts - ends).max())


def _readers(plan: Plan, tensor: int) -> int:
    name = plan.residency.names[tensor]
    return sum(name in layer.sources for layer in plan.network.layers)


def _spilled(plan: Plan, found: Buffers, victim: int, one: int, why: str) -> Iterator[Spill]:
    """Yield the tensors of the buffer `victim` that live beside `one`, all of them where that is not known."""
    residency = plan.residency
    mine = [index for index in np.flatnonzero(residency.resident).tolist() if _root(plan, index) == found.owner[victim]]
    first, last = plan.first_tile[residency.first[mine]], plan.last_tile[residency.last[mine]]
    beside = (last >= found.begin[one] - 1) & (first <= found.end[one] + 1)
    chosen = [index for index, near in zip(mine, beside.tolist(), strict=True) if near] or mine
    for index in chosen:
        yield Spill(residency.names[index], int(residency.bytes[index]), why)


def _root(plan: Plan, tensor: int) -> int:
    """Return the tensor whose bytes `tensor` takes over in the end."""
    while plan.residency.in_place_of[tensor] >= 0:
        tensor = int(plan.residency.in_place_of[tensor])
    return tensor


def _around(plan: Plan, placing: _Placing, one: int) -> frozenset[int]:
    """Return the layers to be kept apart so that buffer `one` meets those of its own layer alone."""
    found = placing.buffers
    present = placing.ascending[: placing.placed]
    meets = found.owner[present[_meeting(found, one, present)]]
    own = int(found.owner[one])
    return frozenset({own, *meets[meets > own].tolist()})


def name_of(plan: Plan, found: Buffers, one: int) -> str:
    """Return what buffer `one` holds, for people."""
    kind, owner = BufferKind(int(found.kind[one])), int(found.owner[one])
    if kind == BufferKind.ACTIVATION:
        return f"activation {plan.residency.names[owner]!r}"
    return f"{kind.name.lower()} of {plan.network.layers[owner].name!r}"
