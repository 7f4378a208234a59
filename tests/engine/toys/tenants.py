"""Two tenants that sense each other on a shaped link, on `drive` and on `simulate`: the security ring in small.

In:  transfers (tick, bytes, link), links with capacities, shaping (tick, link, capacity) in bytes per tick.
Out: the end of every transfer. A sender is loud in the windows of its 1 bits; a probe of fixed size takes longer then.
With one flow class and random sizes this is M/G/1 processor sharing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from armillary.engine import GraphBuilder, TaskGraph
from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import CALENDAR, CHANGE, COMPLETION, INT64, NO_TIMER, Calendar, Stream, new_calendar
from armillary.engine.drive import drive
from armillary.engine.sharing import NEVER, Links, new_links, ps_capacity, ps_join, ps_leave, ps_next
from armillary.engine.timers import cancel, move, start
from armillary.testing.models import Listing, Model

ENDS, JOINS, SHAPED = 0, 1, 2

TRANSFER = np.dtype([("tick", np.int64), ("link", np.int64), ("bytes", np.float64), ("end", np.int64)])
SHAPE = np.dtype([("link", np.int64), ("capacity", np.float64)])


class Tenants(NamedTuple):
    shared: Links
    timers: Any  # one a link
    transfers: Any
    shapes: Any


TENANTS = type_of(Tenants(new_links([1.0], 1), np.zeros(1, np.int64), np.zeros(1, TRANSFER), np.zeros(1, SHAPE)))


@njit()
def schedule(state: Tenants, calendar: Calendar, link: int, now: int) -> None:
    """Keep the one timer of a link at the end of its next flow."""
    due = ps_next(state.shared, link, now)
    if due == NEVER:
        cancel(calendar, state.timers[link])
    elif not move(calendar, state.timers[link], due):
        state.timers[link] = start(calendar, due, COMPLETION, ENDS, link)


@njit()
def handle(state: Tenants, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    if kind == JOINS:
        transfer = state.transfers[payload]
        ps_join(state.shared, transfer["link"], now, payload, transfer["bytes"], 1)
        schedule(state, calendar, transfer["link"], now)
    elif kind == ENDS:
        ended = ps_leave(state.shared, payload, now)
        while ended >= 0:
            state.transfers[ended]["end"] = now
            ended = ps_leave(state.shared, payload, now)
        schedule(state, calendar, payload, now)
    else:
        shape = state.shapes[payload]
        ps_capacity(state.shared, shape["link"], now, shape["capacity"])
        schedule(state, calendar, shape["link"], now)


@njit(INT64(TENANTS, CALENDAR, INT64))
def advance(state: Tenants, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)


def new_tenants(
    capacities: Any, tick: Any, link: Any, size: Any, shaping: tuple[tuple[int, int, float], ...] = (), room: int = 4096
) -> tuple[Tenants, Calendar]:
    """Transfers may be listed in any order: they are numbered by (tick, link, bytes)."""
    order = np.lexsort((size, link, tick))
    transfers = np.zeros(len(tick), TRANSFER)
    transfers["tick"], transfers["link"], transfers["bytes"], transfers["end"] = (
        tick[order],
        link[order],
        size[order],
        -1,
    )
    shapes = np.array([(at, capacity) for _, at, capacity in shaping], SHAPE)
    state = Tenants(new_links(capacities, room), np.full(len(capacities), NO_TIMER), transfers, shapes)
    changes = Stream(SHAPED, np.array([tick for tick, _, _ in shaping], np.int64), order=CHANGE)
    return state, new_calendar([Stream(JOINS, transfers["tick"]), changes], burst=1)


def as_graph(capacities: Any, transfers: Any, shaping: tuple[tuple[int, int, float], ...]) -> TaskGraph:
    """The same as a task graph with a tick of one second, so that capacities are per tick there too."""
    builder = GraphBuilder(tick_s=1.0)
    links = np.array([builder.link(f"link {at}", capacity=capacity) for at, capacity in enumerate(capacities)])
    tasks = builder.tasks(len(transfers), release=transfers["tick"], bytes=transfers["bytes"])
    builder.cross(tasks, links[transfers["link"]])
    for tick, link, capacity in shaping:
        builder.change(tick, int(links[link]), capacity)
    return builder.build()


def random_case(seed: int, count: int = 300) -> tuple[Any, ...]:
    """Sizes that are awkward as floats, three links, capacities that drop to 0 and come back."""
    rng = np.random.default_rng(seed)
    tick, link = rng.integers(0, 2 * count, count), rng.integers(0, 3, count)
    size = rng.choice([0.1, 0.3, 1.0, 7 / 3, 5.0], count)
    levels = rng.choice([0.0, 0.4, 1.1, 3.0], 30)
    drops = [
        (int(t), int(at), float(c))
        for t, at, c in zip(rng.integers(1, 2 * count, 30), rng.integers(0, 3, 30), levels, strict=True)
    ]
    return [1.0, 0.7, 2.0], tick, link, size, tuple(sorted([*drops, *((3 * count, at, 1.0) for at in range(3))]))


def build(seed: int, listing: Listing) -> tuple[Tenants, Calendar]:
    capacities, tick, link, size, shaping = random_case(seed)
    rows = listing(len(tick))
    return new_tenants(capacities, tick[rows], link[rows], size[rows], shaping)


def broken(state: Tenants) -> list[str]:
    links = state.shared.links
    laws = {
        "flows on a link = sum of their weights": np.array_equal(links["flows"], links["weight"]),
        "virtual time is 0 on an empty link": not np.any(links["virtual"][links["flows"] == 0]),
    }
    return [law for law, holds in laws.items() if not holds]


def outcome(state: Tenants) -> dict[str, Any]:
    return {name: state.transfers[name] for name in ("tick", "link", "bytes", "end")}


MODEL = Model(build, advance, outcome, broken)
