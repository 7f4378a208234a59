"""A large trace without an executor: FIFO servers, each with its tasks back to back, chained by cause."""

from __future__ import annotations

import numpy as np

from armillary.engine.graph import GraphBuilder
from armillary.engine.trace import RateSteps, Reason, Status, Trace


def large_trace(tasks: int, *, servers: int = 8) -> Trace:
    rng = np.random.default_rng(0)
    builder = GraphBuilder()
    engines = [builder.server(f"engine {number}") for number in range(servers)]
    link = builder.link("link", capacity=1e9)
    pool = builder.pool("pad", units=servers)
    duration = rng.integers(1, 100_000, tasks)
    ids = builder.tasks(
        tasks,
        labels=[f"layer {task % 1000}/tile {task}" for task in range(tasks)],
        kind="conv",
        duration=duration,
        bytes=rng.integers(0, 4096, tasks).astype(np.float64),
        energy_fj=rng.integers(0, 10**9, tasks),
    )
    every = np.arange(tasks)
    builder.demand(every, np.array(engines)[every % servers])
    builder.cross(every[::3], link)
    for lease in range(min(tasks, 1000)):
        builder.member(lease, builder.lease(pool, 1))
    builder.chain(ids[::servers])
    start, end = np.zeros(tasks, np.int64), np.zeros(tasks, np.int64)
    for server in range(servers):
        end[server::servers] = np.cumsum(duration[server::servers])
        start[server::servers] = end[server::servers] - duration[server::servers]
    cause = every - servers
    none = np.zeros(0, np.int64)
    return Trace(
        graph=builder.build(),
        reason=Reason.IDLE,
        now=int(end.max()),
        start=start,
        end=end,
        cause=np.maximum(cause, -1).astype(np.int32),
        status=np.full(tasks, Status.DONE, np.uint8),
        rate_steps=RateSteps(none, none.astype(np.int32), none.astype(np.float64)),
    )
