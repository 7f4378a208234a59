"""Twelve small scenarios whose traces are pinned by digest: integer times, and floats that are exact in binary.

`python -m tests.engine.scenarios` prints {name: digest}.
With `--write` it rewrites golden.json, as is due after a change of docs/engine.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from armillary.engine import Discipline, EdgeKind, GraphBuilder, TaskGraph
from armillary.engine.simulate import Simulation
from armillary.testing import Feature, random_graph

GOLDEN = Path(__file__).with_name("golden.json")


def fifo() -> TaskGraph:
    """A layered graph on three servers; durations from an integer hash."""
    builder = GraphBuilder()
    servers = np.array([builder.server(f"s{n}", units=1 + n % 2) for n in range(3)])
    ids = np.arange(60)
    builder.tasks(60, duration=ids * 2654435761 % 97)
    builder.demand(ids, servers[ids * 40503 % 3])
    builder.edge(ids[:-7], ids[7:])
    return builder.build()


def priorities() -> TaskGraph:
    """Ties of readiness broken by priority on one server."""
    builder = GraphBuilder()
    server = builder.server("s")
    ids = np.arange(30)
    builder.tasks(30, duration=1 + ids % 3, priority=ids * 7 % 5, release=ids % 4)
    builder.demand(ids, server)
    return builder.build()


def backfill() -> TaskGraph:
    """Wide and narrow tasks on a server that lets later ones pass."""
    builder = GraphBuilder()
    server = builder.server("s", units=4, backfill=True)
    ids = np.arange(24)
    builder.tasks(24, duration=2 + ids % 5)
    builder.demand(ids, server, 1 + ids * 3 % 4)
    return builder.build()


def starts() -> TaskGraph:
    """START edges, latencies and tasks of no duration."""
    builder = GraphBuilder()
    ids = np.arange(20)
    builder.tasks(20, duration=ids % 3, latency=ids % 4)
    builder.edge(ids[:-1], ids[1:], kind=EdgeKind.START)
    builder.edge(ids[:-5], ids[5:])
    return builder.build()


def leases() -> TaskGraph:
    """A ring of two buffers between a producer and a consumer."""
    builder = GraphBuilder()
    pool, load, compute = builder.pool("buffers", units=2), builder.server("load"), builder.server("compute")
    for step in range(10):
        lease = builder.lease(pool, 1, until_start=step % 3 == 0)
        produced = builder.task(duration=3 + step % 2, on=load, leases=[lease])
        builder.task(duration=5, on=compute, leases=[lease], after=[produced])
    return builder.build()


def simple_link() -> TaskGraph:
    """Weighted flows over one link of one byte a tick."""
    builder = GraphBuilder(tick_s=2.0**-30)
    link = builder.link("wire", capacity=2.0**30)
    ids = np.arange(12)
    builder.tasks(12, bytes=8.0 * (1 + ids), weight=1 + ids % 2, release=16 * ids)
    builder.cross(ids, link)
    return builder.build()


def general_links() -> TaskGraph:
    """Flows over one or two of three links, some capped."""
    builder = GraphBuilder(tick_s=2.0**-30)
    links = [builder.link(f"l{n}", capacity=2.0 ** (30 + n)) for n in range(3)]
    for number in range(9):
        cap = 2.0**28 if number % 4 == 0 else np.inf
        crossing = [links[number % 3], links[(number + 1) % 3]][: 1 + number % 2]
        builder.task(bytes=16.0 * (1 + number), rate_cap=cap, crossing=crossing, release=8 * number)
    return builder.build()


def _arbiter(discipline: Discipline) -> TaskGraph:
    builder = GraphBuilder(tick_s=2.0**-30)
    memory = builder.arbiter(
        "memory",
        capacity=2.0**30,
        quantum_bytes=4.0,
        depth=3,
        discipline=discipline,
        threshold=2,
        age_limit=20,
        class_cost=(1.0, 2.0, 0.5),
    )
    ids = np.arange(12)
    builder.tasks(12, bytes=4.0 * (1 + ids % 5), traffic_class=ids % 3, release=7 * ids)
    builder.cross(ids, memory)
    return builder.build()


def arbiter_fifo() -> TaskGraph:
    """Trains of three classes in order of arrival."""
    return _arbiter(Discipline.FIFO)


def arbiter_round_robin() -> TaskGraph:
    """Trains of three classes in turn."""
    return _arbiter(Discipline.ROUND_ROBIN)


def arbiter_threshold() -> TaskGraph:
    """Trains of three classes, class 0 first, the others by room and age."""
    return _arbiter(Discipline.THRESHOLD)


def rates() -> TaskGraph:
    """Servers slowed and sped up by powers of two."""
    builder = GraphBuilder()
    servers = [builder.server(f"s{n}", units=2) for n in range(2)]
    ids = np.arange(16)
    builder.tasks(16, duration=64 + 8 * ids, sensitivity=np.where(ids % 3 == 0, 0.0, 1.0))
    builder.demand(ids, np.array(servers)[ids % 2])
    for tick, factor in ((40, 0.5), (100, 2.0), (180, 0.25), (260, 1.0)):
        builder.change(tick, servers[tick % 3 % 2], factor)
    return builder.build()


def everything_in_integers() -> TaskGraph:
    """A random graph of all features whose times are sums of integers."""
    return random_graph(np.random.Generator(np.random.PCG64(11)), tasks=60, features=Feature.integers())


SCENARIOS: dict[str, Callable[[], TaskGraph]] = {
    scenario.__name__: scenario
    for scenario in (
        fifo,
        priorities,
        backfill,
        starts,
        leases,
        simple_link,
        general_links,
        arbiter_fifo,
        arbiter_round_robin,
        arbiter_threshold,
        rates,
        everything_in_integers,
    )
}


def digest_of(name: str) -> str:
    """Play a scenario on the kernel and return the digest of its trace."""
    simulation = Simulation(SCENARIOS[name]())
    simulation.advance()
    return simulation.trace().digest()


if __name__ == "__main__":
    digests = {name: digest_of(name) for name in SCENARIOS}
    if "--write" in sys.argv:
        GOLDEN.write_text(json.dumps(digests, indent=2) + "\n")
    print(json.dumps(digests))
