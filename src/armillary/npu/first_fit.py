"""The lowest address at which each buffer fits beside those that may live at the same time.

In:  buffers as columns, the order in which they are placed. Out: addresses, written in place.
With a `span`, the same buffers live again every `span` tiles (inferences in flight), at the same addresses.
Import this module inside functions only: numba takes 0.3 s.
"""

from __future__ import annotations

from typing import Any

from armillary.engine._jit import njit

NEIGHBOURS = 3  # inferences after one that buffers of it can meet


@njit(inner=True)
def ends_before(end: Any, by_store: Any, after_tile: Any, after_store: Any, one: int, other: int, later: int) -> bool:
    """Whether buffer `one` has ended when buffer `other`, `later` tiles later, begins."""
    limit = after_store[other] if by_store[one] else after_tile[other]
    return bool(end[one] <= limit + later)


@njit(inner=True)
def meets(
    end: Any, by_store: Any, after_tile: Any, after_store: Any, span: int, neighbours: int, one: int, other: int
) -> bool:
    """Whether two buffers may live at the same time."""
    if not (
        ends_before(end, by_store, after_tile, after_store, one, other, 0)
        or ends_before(end, by_store, after_tile, after_store, other, one, 0)
    ):
        return True
    for copy in range(1, neighbours + 1):
        if not (
            ends_before(end, by_store, after_tile, after_store, one, other, copy * span)
            and ends_before(end, by_store, after_tile, after_store, other, one, copy * span)
        ):
            return True
    return False


@njit()
def first_fit(
    order: Any,
    start: int,
    size: Any,
    end: Any,
    by_store: Any,
    after_tile: Any,
    after_store: Any,
    span: int,
    neighbours: int,
    room: int,
    address: Any,
    sorted_buffers: Any,
    placed: int,
) -> tuple[int, int]:
    """Place the buffers `order[start:]` one after the other, each at the lowest address that is free.

    Args:
        order: buffers in the order of placing, shape (buffers,).
        start: place in `order` at which to begin.
        size: bytes, aligned; other columns as in `Buffers`.
        span: tiles after which the same buffers come again.
        neighbours: how often they do, at most `NEIGHBOURS` (0: never).
        room: bytes of the scratchpad.
        address: of the buffers placed so far; written, shape (buffers,).
        sorted_buffers: the buffers placed so far in ascending address; written, shape (buffers,).
        placed: how many they are.

    Returns:
        The place in `order` of the first buffer that found no hole (its length: all did), and how many are placed.
    """
    for place in range(start, len(order)):
        one = order[place]
        hole = 0
        for rank in range(placed):
            other = sorted_buffers[rank]
            if address[other] + size[other] <= hole:
                continue
            if meets(end, by_store, after_tile, after_store, span, neighbours, one, other):
                if address[other] - hole >= size[one]:
                    break
                hole = address[other] + size[other]
        if hole + size[one] > room:
            return place, placed
        address[one] = hole
        rank = placed
        while rank > 0 and address[sorted_buffers[rank - 1]] > hole:
            sorted_buffers[rank] = sorted_buffers[rank - 1]
            rank -= 1
        sorted_buffers[rank] = one
        placed += 1
    return len(order), placed
