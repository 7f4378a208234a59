"""The kernel's memory: record layouts for every feature of docs/engine.md, and how a graph is laid out in them.

In:  a `TaskGraph`. Out: `State`, a named tuple of record arrays: all that kernels read, write and keep between calls.
What every task needs takes 64 bytes in two records; what only some tasks need stands in records of its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import ResourceKind, TaskGraph
from armillary.engine.policy import COMMAND, OBSERVATION

Array = npt.NDArray[Any]
NEVER = 2**63 - 1


def _layout(**fields: str) -> np.dtype[Any]:
    return np.dtype(list(fields.items()), align=True)


# `status` is engine.trace.Status. Until a task ends, `end` holds the round in which it became ready (-1 before).
# `entry` and `edge` are offsets; the next task's offsets close them.
TASK = _layout(
    duration="i8", start="i8", end="i8", cause="i4", waiting="i4", entry="i4", edge="i4", flow="i4",
    parts="u1", status="u1", simple="u1", swept="u1",
)  # fmt: skip
# What only rates, latencies, leases and bytes need. `speed` is work per tick, `server` governs it (-1: none).
WORK = _layout(
    latency="i8", end="i8", since="i8", left="f8", speed="f8", sensitivity="f8",
    server="i4", before="i4", behind="i4", member="i4",
)  # fmt: skip
# The key of a queued task: `ready` is the round in which it became ready.
KEY = _layout(ready="i8", priority="i4", spare="i4")
# One (task, resource) pair at which the task queues. units == 0 marks a pool: what is needed depends on its leases.
ENTRY = _layout(resource="i4", units="i4", task="i4", next="i4")
RESOURCE = _layout(
    units="i8", used="i8", release_round="i8", start_round="i8", rate="f8", capacity="f8",
    last_release="i4", last_start="i4", head="i4", tail="i4", running="i4", queued="i4", arbiter="i4", blocked="i4",
    dirty="u1", kind="u1", backfill="u1", touched="u1",
)  # fmt: skip
LEASE = _layout(
    units="i8", taken_round="i8", epoch="i8", pool="i4", left="i4", noted="i4", taker="i4", member="i4",
    taken="u1", until_start="u1",
)  # fmt: skip
# A task's bytes. `mode`: 0 simple link, 1 general links, 2 arbiter. `cap` is bytes per tick.
FLOW = _layout(
    bytes="f8", cap="f8", remaining="f8", rate="f8", since="i8", end="i8", task="i4", cross="i4", weight="i4",
    mode="u1", present="u1", open="u1", spare="u1",
)  # fmt: skip
# What a flow through an arbiter needs besides: its number in order of arrival, quanta not issued, size of the last.
TRAIN = _layout(number="i8", quanta="i8", rest="f8", next="i4", traffic_class="i4")
CROSS = _layout(cost="f8", share="f8", link="i4", flow="i4", before="i4", behind="i4")
# A link in progress of sharing, by resource index; `heap` is where its part of `sharing` begins.
LINK = _layout(
    virtual="f8", per_tick="f8", load="f8", used="f8", since="i8", end="i8", weight="i8", flows="i8",
    heap="i4", head="i4", tail="i4", open="i4", place="i4", index="i4", general="u1", mark="u1", swept="u1",
)  # fmt: skip
SHARE = _layout(finish="f8", task="i4", spare="i4")
# An arbiter, by its own index. `first` and `count` describe its ring of issued quanta.
ARBITER = _layout(
    per_tick="f8", quantum="f8", backlog="f8", service_end="i8", due="i8", age_limit="i8", arrivals="i8",
    resource="i4", first="i4", count="i4", depth="i4", discipline="i4", threshold="i4", last_class="i4", trains="i4",
    swept="i4",
)  # fmt: skip
TRAFFIC = _layout(cost="f8", head_since="i8", head="i4", tail="i4")
QUANTUM = _layout(bytes="f8", flow="i4", traffic_class="i4", last="i4", spare="i4")
EVENT = _layout(tick="i8", key="i8")
CHANGE = _layout(tick="i8", value="f8", resource="i4", spare="i4")

# Keys of events: links first, then tasks (4 * task + part), then arbiters.
LINK_KEY = -(2**40)
ARBITER_KEY = 2**40
LAUNCH, WORK_PART, FLOW_PART = 0, 1, 2

# Places in `State.clock`.
(NOW, ROUND, TICK_ROUNDS, LAST_TICK, HEAP, LEFT, ARRIVED, CHANGED, DUE, RESUME, FAILED, EPOCH, FLOWS, STEPS, POLICY_AT,
 PERIOD, MODE, READY, DIRTY, ENDED, STARTED, TOUCHED, RETURNED, TRAINS, WAITING, ARBITERS, CLASSES, DEPTH, ROUND_LIMIT,
 TRACK, FREE, HOLE) = range(32)  # fmt: skip
CLOCK_SIZE = 32

# Values of clock[MODE]: how ready tasks queue.
QUEUE_FIFO, QUEUE_PRIORITY, QUEUE_ORDERED = 0, 1, 2


# Every array of a run, in the order of `State`.
FIELDS: dict[str, Any] = {
    "clock": np.int64, "tick_s": np.float64, "tasks": TASK, "work": WORK, "order": KEY, "entries": ENTRY,
    "rights": np.int32, "waits": np.uint8, "targets": np.int32, "flags": np.uint8, "resources": RESOURCE,
    "memberships": np.int32, "leases": LEASE, "members": np.int32, "flows": FLOW, "train": TRAIN,
    "crosses": CROSS, "links": LINK, "sharing": SHARE, "arbiters": ARBITER, "traffic": TRAFFIC,
    "quanta": QUANTUM, "ticks": np.int64, "keys": np.int64, "arrivals": EVENT, "changes": CHANGE,
    "steps": CHANGE, "ready": np.int32, "dirty": np.int32, "ended": np.int32, "started": np.int32,
    "touched": np.int32, "returned": np.int32, "trains": np.int32, "waiting": np.int32, "some_links": np.int32,
    "some_flows": np.int32, "thetas": np.float64, "spans": np.float64, "seen": OBSERVATION,
    "policy_state": np.int64, "command": COMMAND,
}  # fmt: skip


class State(NamedTuple):
    """All memory of a run, as arrays; the kernels take it whole."""

    clock: Array
    tick_s: Array  # one float
    tasks: Array  # one more than there are tasks: the last holds the end offsets; likewise work
    work: Array
    order: Array  # by task
    entries: Array
    rights: Array  # by entry: the right child, where queues are heaps
    waits: Array  # by entry: 1 while it waits
    targets: Array  # of edges, in order of source
    flags: Array  # EdgeKind + 2 * keep
    resources: Array
    memberships: Array  # leases in order of task
    leases: Array  # one more
    members: Array  # tasks in order of lease
    flows: Array  # one more
    train: Array  # by flow
    crosses: Array
    links: Array  # by resource
    sharing: Array
    arbiters: Array
    traffic: Array  # arbiters x classes
    quanta: Array  # arbiters x depth
    ticks: Array  # the heap of events: (tick, key)
    keys: Array
    arrivals: Array  # tasks (key) with a release, in order
    changes: Array
    steps: Array  # the recorded rate steps
    ready: Array  # scratch lists from here on
    dirty: Array
    ended: Array
    started: Array
    touched: Array
    returned: Array
    trains: Array
    waiting: Array
    some_links: Array
    some_flows: Array
    thetas: Array
    spans: Array
    seen: Array
    policy_state: Array  # words of the policy's state record
    command: Array


def lay_out(graph: TaskGraph) -> State:
    """Return the memory of a run of `graph` that has not begun."""
    count, resources = len(graph), graph.resources
    clock = np.zeros(CLOCK_SIZE, np.int64)
    has_bytes = (graph.bytes > 0) & (np.diff(graph.crossings.offset) > 0)
    entries, entry_offset = _entries(graph)
    tasks = _on_lines(count + 1, TASK)
    tasks["duration"][:count] = graph.duration
    tasks["start"], tasks["end"], tasks["cause"] = -1, -1, -1
    tasks["entry"], tasks["edge"], tasks["flow"] = entry_offset, graph.edges.offset, -1
    tasks["flow"][:count][has_bytes] = np.arange(int(has_bytes.sum()))
    tasks["waiting"][:count] = np.bincount(graph.edges.index, minlength=count) + (graph.release > 0)
    tasks["parts"][:count] = has_bytes.astype(np.uint8) + ((graph.duration > 0) | ~has_bytes)
    tasks["simple"][:count] = ~has_bytes & (graph.latency == 0) & (np.diff(graph.members.offset) == 0)
    flows, crosses, links, sharing = _flows(graph, has_bytes)
    arbiters, traffic, quanta = _arbiters(graph)
    later = np.flatnonzero(graph.release > 0)
    later = later[np.argsort(graph.release[later], kind="stable")]
    arrivals = np.zeros(len(later), EVENT)
    arrivals["tick"], arrivals["key"] = graph.release[later], later
    changes = np.zeros(len(graph.changes.tick), CHANGE)
    changes["tick"], changes["resource"], changes["value"] = (
        graph.changes.tick,
        graph.changes.resource,
        graph.changes.value,
    )
    lease_records, members = _leases(graph)

    # At most two events a task and one a flow, link and arbiter count at a time; one round pushes less than as many
    # again between two sweeps (engine/events.py). Pages that are never touched cost nothing.
    pending = 8 * count + 4 * (len(flows) + len(links) + len(arbiters)) + 64
    clock[LAST_TICK], clock[LEFT], clock[DUE] = -1, count, 1
    clock[ARBITERS], clock[CLASSES], clock[DEPTH] = (
        len(arbiters),
        max(1, resources.class_cost.shape[1]),
        max(1, int(resources.depth.max(initial=1))),
    )
    clock[ROUND_LIMIT] = count + 1000
    clock[MODE] = QUEUE_ORDERED if resources.backfill.any() else QUEUE_PRIORITY if has_priorities(graph) else QUEUE_FIFO
    clock[READY] = _first_ready(tasks, ready := np.zeros(count, np.int32))
    return State(
        clock=clock,
        tick_s=np.array([graph.tick_s]),
        tasks=tasks,
        work=_work(graph),
        order=_order(graph),
        entries=entries,
        rights=np.full(len(entries), -1, np.int32),
        waits=np.zeros(len(entries), np.uint8),
        targets=graph.edges.index.astype(np.int32),
        flags=graph.edges.value.astype(np.uint8),
        resources=_resources(graph),
        memberships=graph.members.index.astype(np.int32),
        leases=lease_records,
        members=members,
        flows=flows,
        train=_trains(graph, has_bytes),
        crosses=crosses,
        links=links,
        sharing=sharing,
        arbiters=arbiters,
        traffic=traffic,
        quanta=quanta,
        ticks=np.zeros(pending, np.int64),
        keys=np.zeros(pending, np.int64),
        arrivals=arrivals,
        changes=changes,
        steps=np.zeros(len(changes) + 4 * len(resources) + 16, CHANGE),
        ready=ready,
        dirty=np.zeros(len(resources) + 1, np.int32),
        ended=np.zeros(count, np.int32),
        started=np.zeros(count, np.int32),
        touched=np.zeros(len(resources) + 1, np.int32),
        returned=np.zeros(len(graph.leases), np.int32),
        trains=np.zeros(count, np.int32),
        waiting=np.zeros(count, np.int32),
        some_links=np.zeros(len(resources), np.int32),
        some_flows=np.zeros(len(flows), np.int32),
        thetas=np.zeros(len(resources)),
        spans=np.zeros(len(flows)),
        seen=np.zeros(len(resources), OBSERVATION),
        policy_state=np.zeros(1, np.int64),
        command=np.zeros(len(resources), COMMAND),
    )


def _on_lines(count: int, dtype: np.dtype[Any]) -> Array:
    """Return zeroed records that begin on a cache line, so that those of 32 and 64 bytes never straddle two."""
    raw = np.zeros(count * dtype.itemsize + 64, np.uint8)
    first = -raw.ctypes.data % 64
    return raw[first : first + count * dtype.itemsize].view(dtype)


def has_priorities(graph: TaskGraph) -> bool:
    """Whether priorities differ; otherwise queues are plain lists."""
    return bool(len(graph) and (graph.priority != graph.priority[0]).any())


def _first_ready(tasks: Array, ready: Array) -> int:
    first = np.flatnonzero(tasks["waiting"][:-1] == 0)
    ready[: len(first)] = first
    return len(first)


def _entries(graph: TaskGraph) -> tuple[Array, Array]:
    """Servers as demanded, then each pool once a task, however many leases it has there."""
    count = len(graph)
    demand_task = np.repeat(np.arange(count), np.diff(graph.demands.offset))
    if len(graph.leases):
        pool_task = np.repeat(np.arange(count), np.diff(graph.members.offset))
        # One number a pair: sorting numbers is far faster than sorting rows.
        pools = len(graph.resources)
        pool_task, pool = np.divmod(np.unique(pool_task * pools + graph.leases.pool[graph.members.index]), pools)
    else:
        pool_task, pool = np.zeros(0, np.int64), np.zeros(0, np.int64)
    task = np.concatenate([demand_task, pool_task])
    order = np.argsort(task, kind="stable") if len(pool) else slice(None)
    entries = _on_lines(len(task), ENTRY)
    entries["task"] = task[order]
    entries["resource"] = np.concatenate([graph.demands.index, pool])[order]
    entries["units"] = np.concatenate([graph.demands.value, np.zeros(len(pool), np.int64)])[order]
    entries["next"] = -1
    offset = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(task, minlength=count), out=offset[1:])
    return entries, offset


def _order(graph: TaskGraph) -> Array:
    order = np.zeros(len(graph) + 1, KEY)
    order["priority"][:-1] = graph.priority
    return order


def _work(graph: TaskGraph) -> Array:
    count = len(graph)
    work = _on_lines(count + 1, WORK)
    work["latency"][:count] = graph.latency
    work["end"] = NEVER
    work["speed"] = 1.0
    work["sensitivity"][:count] = graph.sensitivity
    work["server"], work["before"], work["behind"] = -1, -1, -1
    some = np.diff(graph.demands.offset) > 0
    work["server"][:count][some] = graph.demands.index[graph.demands.offset[:-1][some]]
    work["member"] = graph.members.offset
    return work


def _resources(graph: TaskGraph) -> Array:
    resources = np.zeros(len(graph.resources), RESOURCE)
    for name in ("units", "capacity", "kind", "backfill"):
        resources[name] = getattr(graph.resources, name)
    resources["rate"] = 1.0
    for name in ("head", "tail", "running", "last_release", "last_start", "arbiter"):
        resources[name] = -1
    is_arbiter = graph.resources.kind == ResourceKind.ARBITER
    resources["arbiter"][is_arbiter] = np.arange(int(is_arbiter.sum()))
    for name in ("release_round", "start_round"):
        resources[name] = -1
    return resources


def _leases(graph: TaskGraph) -> tuple[Array, Array]:
    count = len(graph.leases)
    leases = np.zeros(count + 1, LEASE)
    leases["pool"][:count], leases["units"][:count], leases["until_start"][:count] = (
        graph.leases.pool,
        graph.leases.units,
        graph.leases.until_start,
    )
    sizes = np.bincount(graph.members.index, minlength=count)
    leases["left"][:count] = sizes
    leases["noted"], leases["taker"], leases["epoch"], leases["taken_round"] = -1, -1, -1, -1
    np.cumsum(sizes, out=leases["member"][1:])
    order = np.argsort(graph.members.index, kind="stable")
    return leases, np.repeat(np.arange(len(graph)), np.diff(graph.members.offset))[order].astype(np.int32)


def general_links(graph: TaskGraph) -> npt.NDArray[np.bool_]:
    """Mark the links that a task with bytes crosses with another link or a rate cap (docs/engine.md, section 5)."""
    lengths = np.diff(graph.crossings.offset)
    row = np.repeat(np.arange(len(graph)), lengths)
    awkward = (lengths[row] > 1) | np.isfinite(graph.rate_cap[row])
    general = np.zeros(len(graph.resources), np.bool_)
    general[graph.crossings.index[awkward & (graph.bytes[row] > 0)]] = True
    # A task that crosses a general link and a simple one makes both general: it crosses more than one by then.
    marked: npt.NDArray[np.bool_] = general & (graph.resources.kind == ResourceKind.LINK)
    return marked


def _flows(graph: TaskGraph, has_bytes: Array) -> tuple[Array, Array, Array, Array]:
    movers = np.flatnonzero(has_bytes)
    flows = _on_lines(len(movers) + 1, FLOW)
    flows["bytes"][:-1], flows["weight"][:-1], flows["task"][:-1] = graph.bytes[movers], graph.weight[movers], movers
    flows["cap"][:-1] = graph.rate_cap[movers] * graph.tick_s
    flows["end"] = NEVER
    lengths = np.diff(graph.crossings.offset)
    np.cumsum(lengths[movers], out=flows["cross"][1:])
    keep = np.repeat(has_bytes, lengths)
    crosses = _on_lines(int(keep.sum()), CROSS)
    crosses["link"], crosses["cost"] = graph.crossings.index[keep], graph.crossings.value[keep]
    crosses["flow"] = np.repeat(np.arange(len(movers)), lengths[movers])
    crosses["share"] = crosses["cost"] * flows["weight"][crosses["flow"]]
    crosses["before"], crosses["behind"] = -1, -1

    links = np.zeros(len(graph.resources), LINK)
    links["per_tick"] = graph.resources.capacity * graph.tick_s
    links["general"], links["index"] = general_links(graph), np.arange(len(links))
    links["head"], links["tail"], links["end"] = -1, -1, NEVER
    simple = (graph.resources.kind == ResourceKind.LINK) & ~general_links(graph)
    room = np.where(simple, np.bincount(crosses["link"], minlength=len(links)), 0)
    links["heap"] = np.concatenate([[0], np.cumsum(room)[:-1]]) if len(links) else 0
    first = crosses["link"][flows["cross"][:-1]]
    kind = graph.resources.kind[first]
    flows["mode"][:-1] = np.where(kind == ResourceKind.ARBITER, 2, links["general"][first])
    return flows, crosses, links, np.zeros(int(room.sum()), SHARE)


def _trains(graph: TaskGraph, has_bytes: Array) -> Array:
    trains = np.zeros(int(has_bytes.sum()) + 1, TRAIN)
    trains["traffic_class"][:-1], trains["next"] = graph.traffic_class[has_bytes], -1
    return trains


def _arbiters(graph: TaskGraph) -> tuple[Array, Array, Array]:
    resources = graph.resources
    which = np.flatnonzero(resources.kind == ResourceKind.ARBITER)
    arbiters = np.zeros(len(which), ARBITER)
    arbiters["resource"], arbiters["per_tick"] = which, resources.capacity[which] * graph.tick_s
    arbiters["quantum"] = resources.quantum_bytes[which]
    for name in ("age_limit", "depth", "discipline", "threshold"):
        arbiters[name] = getattr(resources, name)[which]
    arbiters["service_end"], arbiters["due"], arbiters["last_class"] = NEVER, NEVER, -1
    classes = max(1, resources.class_cost.shape[1])
    traffic = np.zeros(len(which) * classes, TRAFFIC)
    traffic["cost"] = resources.class_cost[which].reshape(-1)
    traffic["head"], traffic["tail"] = -1, -1
    return arbiters, traffic, np.zeros(len(which) * max(1, int(resources.depth.max(initial=1))), QUANTUM)
