"""Links in the kernel: fair sharing of bytes, by virtual time on simple links and max-min on general ones.

In:  `State`, flows that join and leave. Out: ends of flows. The arithmetic is that of docs/engine.md, section 5.
A simple link keeps its flows in a heap by (finish, task) in its part of `sharing`, a general one in an ascending list.
"""

from __future__ import annotations

import math
from typing import Any

from armillary.engine import records as at
from armillary.engine._jit import njit, wide
from armillary.engine.heap import add_ticks, push
from armillary.engine.steps import end_part, touch

MAX_TICKS = 2**62
STALE = -1.0
"""Stands for a theta that must be worked out anew; true ones may round to a little below 0, never to this."""
SIMPLE, GENERAL, TRAIN = range(3)


@njit(inner=True)
def join_flow(s: Any, task: int, now: int) -> None:
    """The bytes of `task` enter their links now; trains for an arbiter are taken in phase 7."""
    flow = wide(s.tasks[task]["flow"])
    moving = s.flows[flow]
    moving["present"] = 1
    if moving["mode"] == TRAIN:
        s.trains[s.clock[at.TRAINS]] = flow
        s.clock[at.TRAINS] += 1
        return
    s.clock[at.FLOWS] += 1
    if moving["mode"] == SIMPLE:
        cross = s.crosses[moving["cross"]]
        link = s.links[cross["link"]]
        advance_link(link, now)
        finish = link["virtual"] + moving["bytes"] * cross["cost"] / moving["weight"]
        push_share(s.sharing, link, finish, task)
        link["weight"] += moving["weight"]
        touch(s, wide(cross["link"]))
        return
    moving["remaining"], moving["rate"], moving["since"], moving["end"] = moving["bytes"], 0.0, now, at.NEVER
    for index in range(moving["cross"], s.flows[flow + 1]["cross"]):
        cross = s.crosses[index]
        link = s.links[cross["link"]]
        behind, before = -1, link["tail"]
        while before >= 0 and s.crosses[before]["flow"] > flow:
            behind = before
            before = s.crosses[before]["before"]
        cross["before"], cross["behind"] = before, behind
        if before >= 0:
            s.crosses[before]["behind"] = index
        else:
            link["head"] = index
        if behind >= 0:
            s.crosses[behind]["before"] = index
        else:
            link["tail"] = index
        link["flows"] += 1
        touch(s, wide(cross["link"]))


@njit(inner=True)
def leave_flow(s: Any, flow: int, now: int) -> None:
    """A flow leaves its links: all its bytes have moved, or its task is cancelled."""
    moving = s.flows[flow]
    moving["present"] = 0
    moving["end"] = -1
    s.clock[at.FLOWS] -= 1
    if moving["mode"] == SIMPLE:
        cross = s.crosses[moving["cross"]]
        link = s.links[cross["link"]]
        advance_link(link, now)
        remove_share(s.sharing, link, wide(moving["task"]))
        drop_weight(link, moving["weight"])
        touch(s, wide(cross["link"]))
        return
    for index in range(moving["cross"], s.flows[flow + 1]["cross"]):
        cross = s.crosses[index]
        link = s.links[cross["link"]]
        if cross["before"] >= 0:
            s.crosses[cross["before"]]["behind"] = cross["behind"]
        else:
            link["head"] = cross["behind"]
        if cross["behind"] >= 0:
            s.crosses[cross["behind"]]["before"] = cross["before"]
        else:
            link["tail"] = cross["before"]
        link["flows"] -= 1
        touch(s, wide(cross["link"]))


# Simple links: virtual time


@njit(inner=True)
def advance_link(link: Any, now: int) -> None:
    """Bring the virtual time of a simple link to `now`."""
    if now > link["since"] and link["weight"] > 0:
        link["virtual"] += (now - link["since"]) * link["per_tick"] / link["weight"]
    link["since"] = now


@njit(inner=True)
def drop_weight(link: Any, weight: int) -> None:
    """Take a flow's weight away; an idle link starts virtual time anew, which stops drift."""
    link["weight"] -= weight
    if link["weight"] == 0:
        link["virtual"] = 0.0


@njit(inner=True)
def end_link(s: Any, index: int, now: int) -> None:
    """The flow that was to finish first on a simple link leaves, and all others whose bytes have moved by now."""
    link = s.links[index]
    advance_link(link, now)
    virtual = link["virtual"]
    base = link["heap"]
    first = True
    while link["flows"] > 0 and (first or s.sharing[base]["finish"] <= virtual):
        first = False
        task = wide(s.sharing[base]["task"])
        pop_share(s.sharing, link)
        flow = s.tasks[task]["flow"]
        s.flows[flow]["present"], s.flows[flow]["end"] = 0, -1
        s.clock[at.FLOWS] -= 1
        drop_weight(link, s.flows[flow]["weight"])
        end_part(s, task)
    link["end"] = at.NEVER
    touch(s, index)


@njit(inner=True)
def settle_simple(s: Any, index: int, now: int) -> None:
    """Schedule the next end of a simple link that was touched."""
    link = s.links[index]
    link["end"] = at.NEVER
    if link["flows"] == 0 or link["per_tick"] == 0.0:
        return
    ticks = (s.sharing[link["heap"]]["finish"] - link["virtual"]) * link["weight"] / link["per_tick"]
    end = add_ticks(now, max(ticks, 0.0))
    if end > MAX_TICKS:
        s.clock[at.FAILED] = s.sharing[link["heap"]]["task"] + 1
        return
    link["end"] = end
    push(s, end, at.LINK_KEY + wide(index))


@njit(inner=True)
def push_share(sharing: Any, link: Any, finish: float, task: int) -> None:
    """Add (finish, task) to the heap of a simple link."""
    base, place = link["heap"], link["flows"]
    link["flows"] += 1
    while place > 0:
        above = sharing[base + ((place - 1) >> 1)]
        if above["finish"] < finish or (above["finish"] == finish and above["task"] < task):
            break
        sharing[base + place]["finish"], sharing[base + place]["task"] = above["finish"], above["task"]
        place = (place - 1) >> 1
    sharing[base + place]["finish"], sharing[base + place]["task"] = finish, task


@njit(inner=True)
def pop_share(sharing: Any, link: Any) -> None:
    """Remove the first of the heap of a simple link."""
    base = link["heap"]
    link["flows"] -= 1
    size = link["flows"]
    finish, task = sharing[base + size]["finish"], sharing[base + size]["task"]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        below = sharing[base + child]
        if child + 1 < size:
            other = sharing[base + child + 1]
            if other["finish"] < below["finish"] or (
                other["finish"] == below["finish"] and other["task"] < below["task"]
            ):
                child += 1
                below = other
        if finish < below["finish"] or (finish == below["finish"] and task < below["task"]):
            break
        sharing[base + place]["finish"], sharing[base + place]["task"] = below["finish"], below["task"]
        place = child
    sharing[base + place]["finish"], sharing[base + place]["task"] = finish, task


@njit(inner=True)
def remove_share(sharing: Any, link: Any, task: int) -> None:
    """Remove `task` from anywhere in the heap of a simple link (only cancelling does this): rebuild without it."""
    base, size = link["heap"], link["flows"]
    link["flows"] = 0
    for place in range(size):
        finish, other = sharing[base + place]["finish"], sharing[base + place]["task"]
        if other != task:
            push_share(sharing, link, finish, wide(other))


# General links: max-min over the connected component


@njit(inner=True)
def settle_general(s: Any, now: int) -> None:
    """Share every component of general links that was touched anew."""
    links, flows = s.some_links, s.some_flows
    some_links = wide(0)
    for place in range(s.clock[at.TOUCHED]):
        index = s.touched[place]
        if s.links[index]["general"] == 0 or s.links[index]["mark"] != 0:
            continue
        first = some_links
        s.links[index]["mark"] = 1
        links[some_links] = index
        some_links, some_flows, capped = reach(s, links, first, some_links + 1, flows, now)
        if some_flows > 0:
            fill(s, links, first, some_links, flows, some_flows, capped)
            schedule_first(s, flows, some_flows, now)
    for place in range(some_links):
        s.links[links[place]]["mark"] = 0


@njit(inner=True)
def reach(s: Any, links: Any, seen: int, some_links: int, flows: Any, now: int) -> Any:
    """Collect what is connected with the links from `seen` on, flows settled up to now.

    Returns the number of links and flows then, and whether some flow has a rate cap.
    """
    some_flows, capped = 0, False
    while seen < some_links:
        cross = s.links[links[seen]]["head"]
        seen += 1
        while cross >= 0:
            flow = s.crosses[cross]["flow"]
            cross = s.crosses[cross]["behind"]
            moving = s.flows[flow]
            if moving["open"] != 0:
                continue
            moving["open"] = 1
            moving["remaining"] = max(0.0, moving["remaining"] - moving["rate"] * (now - moving["since"]))
            moving["since"] = now
            capped = capped or moving["cap"] < 1e300
            flows[some_flows] = flow
            some_flows += 1
            for index in range(moving["cross"], s.flows[flow + 1]["cross"]):
                link = s.crosses[index]["link"]
                if s.links[link]["mark"] == 0:
                    s.links[link]["mark"] = 1
                    links[some_links] = link
                    some_links += 1
    return some_links, some_flows, capped


@njit(inner=True)
def fill(s: Any, links: Any, first: int, behind: int, flows: Any, some_flows: int, capped: bool) -> None:
    """Give each flow its max-min fair rate, by progressive filling."""
    for place in range(first, behind):
        link = s.links[links[place]]
        load, flows_here = 0.0, 0
        cross = link["head"]
        while cross >= 0:
            load += s.crosses[cross]["share"]
            flows_here += 1
            cross = s.crosses[cross]["behind"]
        link["used"], link["load"], link["open"], link["place"] = 0.0, load, flows_here, place
        s.thetas[place] = STALE
    level, left = 0.0, some_flows
    while left > 0:
        best, theta, behind = tightest(s, links, first, behind, level)
        flow = lowest_cap(s, flows, some_flows, theta) if capped else -1
        if flow >= 0:
            level = max(level, s.flows[flow]["cap"] / s.flows[flow]["weight"])
            fix(s, flow, level)
            left -= 1
            continue
        level = max(level, theta)
        cross = s.links[best]["head"]
        while cross >= 0:
            flow = s.crosses[cross]["flow"]
            if s.flows[flow]["open"] != 0:
                fix(s, wide(flow), level)
                left -= 1
            cross = s.crosses[cross]["behind"]


@njit(inner=True)
def tightest(s: Any, links: Any, place: int, behind: int, level: float) -> Any:
    """Return (link, theta, new end of the list): the open link that fills first; closed ones are moved behind the end.

    `thetas`, by place in the list, are worked out anew where flows were fixed since (STALE).
    """
    best, theta = -1, 0.0
    while place < behind:
        here = s.thetas[place]
        if here == STALE:
            link = s.links[links[place]]
            if link["open"] == 0:
                behind -= 1
                links[place] = links[behind]
                s.thetas[place] = s.thetas[behind]
                s.links[links[place]]["place"] = place
                links[behind] = link["index"]
                continue
            if link["load"] > 0.0:
                here = (link["per_tick"] - link["used"]) / link["load"]
                s.thetas[place] = here
            else:
                here = level  # cancellation has left no load
        if best < 0 or here < theta or (here == theta and links[place] < best):
            best, theta = links[place], here
        place += 1
    return best, theta, behind


@njit(inner=True)
def lowest_cap(s: Any, flows: Any, some_flows: int, theta: float) -> int:
    """Return the open flow whose cap is reached first, if that is no later than `theta`; else -1."""
    best, lowest = -1, 0.0
    for place in range(some_flows):
        moving = s.flows[flows[place]]
        if moving["open"] == 0 or moving["cap"] >= 1e300:
            continue
        here = moving["cap"] / moving["weight"]
        if here <= theta and (best < 0 or here < lowest or (here == lowest and flows[place] < best)):
            best, lowest = flows[place], here
    return wide(best)


@njit(inner=True, inline=True)
def fix(s: Any, flow: int, level: float) -> None:
    """Give a flow its rate and take that from every link it crosses."""
    moving = s.flows[flow]
    rate = min(moving["cap"], moving["weight"] * level)
    moving["open"], moving["rate"] = 0, rate
    for index in range(moving["cross"], s.flows[flow + 1]["cross"]):
        cross = s.crosses[index]
        link = s.links[cross["link"]]
        link["used"] += cross["cost"] * rate
        link["load"] -= cross["share"]
        link["open"] -= 1
        s.thetas[link["place"]] = STALE


@njit(inner=True)
def schedule_first(s: Any, flows: Any, some_flows: int, now: int) -> None:
    """Schedule the flows that end first; when they leave, the others are looked at again, so they need no end yet."""
    spans, least = s.spans, math.inf
    for place in range(some_flows):
        moving = s.flows[flows[place]]
        moving["end"] = at.NEVER
        ticks = math.inf
        if moving["remaining"] == 0.0:
            ticks = 0.0
        elif moving["rate"] > 0.0:
            ticks = moving["remaining"] / moving["rate"]
            if ticks > MAX_TICKS - now:
                s.clock[at.FAILED] = moving["task"] + 1
        spans[place] = ticks
        least = min(least, ticks)
    first = add_ticks(now, least)
    if first == at.NEVER:
        return
    for place in range(some_flows):
        if spans[place] <= first - now:
            moving = s.flows[flows[place]]
            moving["end"] = first
            push(s, first, 4 * wide(moving["task"]) + at.FLOW_PART)
