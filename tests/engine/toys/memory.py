"""A memory controller for two traffic classes with tracker entries, on `simulate`: the overlap ring in small.

In:  reads (class 0, urgent) and bulk writes (class 1), a discipline, tracker entries.
Out: a task graph: every request is a train of bytes through one arbiter and holds a tracker entry from start to end.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import Discipline, GraphBuilder, TaskGraph

BYTES_PER_TICK = 32.0
QUANTUM = 64.0


def controller(
    sizes: np.ndarray,
    classes: np.ndarray,
    releases: np.ndarray,
    *,
    discipline: Discipline,
    entries: int,
    threshold: int = 2,
    age_limit: int = 2**61,
    class_cost: tuple[float, float] = (1.0, 1.5),
) -> TaskGraph:
    builder = GraphBuilder(tick_s=1.0)
    memory = builder.arbiter(
        "memory",
        capacity=BYTES_PER_TICK,
        quantum_bytes=QUANTUM,
        depth=4,
        discipline=discipline,
        threshold=threshold,
        age_limit=age_limit,
        class_cost=class_cost,
    )
    tracker = builder.pool("tracker", units=entries)
    for size, kind, release in zip(sizes.tolist(), classes.tolist(), releases.tolist(), strict=True):
        entry = builder.lease(tracker, 1)
        builder.task(bytes=size, crossing=memory, traffic_class=kind, release=release, leases=[entry])
    return builder.build()


def service_ticks(sizes: np.ndarray, classes: np.ndarray, class_cost: tuple[float, float] = (1.0, 1.5)) -> int:
    """Ticks that the quanta of all requests take, one after the other."""
    total = 0
    for size, kind in zip(sizes.tolist(), classes.tolist(), strict=True):
        whole, rest = divmod(size, QUANTUM)
        parts = [QUANTUM] * int(whole) + ([rest] if rest else [])
        total += sum(max(1, int(np.ceil(part * class_cost[kind] / BYTES_PER_TICK))) for part in parts)
    return total
