"""Fair sharing of a link by virtual time, for handlers: O(log n) a flow that comes or goes.

In:  `Links` (a record and a heap of flows each); `ps_join`, `ps_leave`, `ps_capacity` as flows come and go.
Out: `ps_next`, the tick at which the next flow ends, for a timer of the model; `ps_leave`, the flows that have ended.
Equations, operations and ties are those of a simple link of `simulate` (docs/engine.md, section 5), to the tick.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import njit, type_of
from armillary.engine.timers import ticks_up
from armillary.errors import InputError
from armillary.units import MAX_TICKS

NEVER: Final = MAX_TICKS
"""What `ps_next` returns for a link on which nothing moves."""

LINK = np.dtype(
    [
        ("virtual", np.float64),  # bytes per unit of weight served since the link was last empty
        ("capacity", np.float64),  # bytes per tick
        ("since", np.int64),  # tick of `virtual`
        ("weight", np.int64),  # sum over present flows
        ("flows", np.int64),  # number of present flows
        ("due", np.int64),  # tick at which its next flow ends
        ("touched", np.int64),  # whether `due` must be set anew
        ("leaving", np.int64),  # tick at which flows left last
        ("first", np.int64),  # its flows stand at first .. first + room - 1
        ("room", np.int64),
    ]
)
FLOW = np.dtype([("finish", np.float64), ("id", np.int64), ("weight", np.int64)])


class Links(NamedTuple):
    """Shared links: records of shape (links,) and the heaps of their flows, shape (sum of rooms,)."""

    links: npt.NDArray[np.void]
    flows: npt.NDArray[np.void]


LINKS = type_of(Links(np.zeros(0, LINK), np.zeros(0, FLOW)))


def new_links(capacities: npt.ArrayLike, room: int) -> Links:
    """Return idle links.

    Args:
        capacities: bytes per tick, shape (links,), not negative.
        room: the most flows that are on one link at once.

    Raises:
        InputError: a capacity that is negative or not finite, or no room.
    """
    values = np.asarray(capacities, np.float64)
    if values.ndim != 1 or room < 1 or not np.all(np.isfinite(values) & (values >= 0)):
        raise InputError("links need finite capacities of at least 0 and room for one flow")
    links = np.zeros(len(values), LINK)
    links["capacity"] = values
    links["due"] = NEVER
    links["leaving"] = -1
    links["first"] = np.arange(len(values)) * room
    links["room"] = room
    return Links(links, np.zeros(len(values) * room, FLOW))


@njit(inline=True, inner=True)
def _advance(link: npt.NDArray[np.void], now: int) -> None:
    if now > link["since"] and link["weight"] > 0:
        link["virtual"] += (now - link["since"]) * link["capacity"] / link["weight"]
    link["since"] = now


@njit(inline=True)
def ps_join(shared: Links, at: int, now: int, flow: int, amount: float, weight: int) -> bool:
    """Let `flow` (an id, at least 0) begin to move `amount` bytes over link `at`; False if there is no room.

    Ask `ps_next` afterwards. The share of a flow is weight / sum of weights.
    """
    link, flows = shared.links[at], shared.flows
    size = link["flows"]
    if size == link["room"]:
        return False
    _advance(link, now)
    finish = link["virtual"] + amount / weight
    link["touched"] = 1
    link["weight"] += weight
    link["flows"] = size + 1
    base = link["first"]
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        above = flows[base + parent]
        if above["finish"] < finish or (above["finish"] == finish and above["id"] <= flow):
            break
        flows[base + hole] = above
        hole = parent
    place = flows[base + hole]
    place["finish"] = finish
    place["id"] = flow
    place["weight"] = weight
    return True


@njit(inline=True)
def ps_next(shared: Links, at: int, now: int) -> int:
    """Tick at which the next flow of link `at` ends; NEVER if none moves. Call it after every change at `now`.

    Without a change it only answers: rounding depends on the flows, never on who asks when.
    """
    link = shared.links[at]
    if link["touched"] == 0:
        return int(link["due"])
    _advance(link, now)
    due = NEVER
    if link["flows"] > 0 and link["capacity"] > 0.0:
        left = (shared.flows[link["first"]]["finish"] - link["virtual"]) * link["weight"] / link["capacity"]
        due = min(now + ticks_up(max(0.0, left)), NEVER)
    link["due"] = due
    link["touched"] = 0
    return due


@njit(inline=True)
def ps_leave(shared: Links, at: int, now: int) -> int:
    """Take off a flow that has ended by `now` and return its id; -1 when there is none (more). Repeat until -1.

    At the tick that `ps_next` gave, the first flow has ended whatever the last bits of its virtual time say.
    """
    link, flows = shared.links[at], shared.flows
    size = link["flows"]
    if size == 0 or (link["due"] > now and link["leaving"] != now):
        return -1
    _advance(link, now)
    base = link["first"]
    first = flows[base]
    if link["due"] > now and first["finish"] > link["virtual"]:
        return -1
    ended = int(first["id"])
    link["leaving"] = now
    link["due"] = NEVER
    link["touched"] = 1
    link["weight"] -= first["weight"]
    size -= 1
    link["flows"] = size
    if size == 0:
        link["virtual"] = 0.0  # keeps rounding from growing with time
        return ended
    finish, flow, weight = flows[base + size]["finish"], flows[base + size]["id"], flows[base + size]["weight"]
    hole = 0
    child = 1
    while child < size:
        right = child + 1
        if right < size:
            one, other = flows[base + child], flows[base + right]
            if other["finish"] < one["finish"] or (other["finish"] == one["finish"] and other["id"] < one["id"]):
                child = right
        below = flows[base + child]
        if finish < below["finish"] or (finish == below["finish"] and flow <= below["id"]):
            break
        flows[base + hole] = below
        hole = child
        child = 2 * hole + 1
    place = flows[base + hole]
    place["finish"] = finish
    place["id"] = flow
    place["weight"] = weight
    return ended


@njit(inline=True)
def ps_capacity(shared: Links, at: int, now: int, capacity: float) -> None:
    """From `now` on link `at` moves `capacity` bytes per tick (0: stands still). Ask `ps_next` afterwards."""
    link = shared.links[at]
    if capacity == link["capacity"]:
        return
    _advance(link, now)
    link["capacity"] = capacity
    link["touched"] = 1
