"""Tiles with finite recycled barriers, on `simulate`: the NPU ring in small.

In:  tiles, ticks to load, compute and store one, a number of physical barriers.
Out: a task graph: three in-order queues; a tile holds a barrier from the start of its load to the end of its compute,
so that with two barriers the scratchpad is double buffered.
"""

from __future__ import annotations

from armillary.engine import GraphBuilder, TaskGraph


def tiles(count: int, *, load: int, compute: int, store: int, barriers: int) -> TaskGraph:
    builder = GraphBuilder()
    dma_in, array, dma_out = (builder.server(name) for name in ("dma in", "array", "dma out"))
    pool = builder.pool("barriers", units=barriers)
    for tile in range(count):
        barrier = builder.lease(pool, 1)
        loaded = builder.task(f"load {tile}", duration=load, on=dma_in, leases=[barrier], kind="dma")
        computed = builder.task(f"compute {tile}", duration=compute, on=array, leases=[barrier], after=[loaded])
        builder.task(f"store {tile}", duration=store, on=dma_out, after=[computed], kind="dma")
    for queue in range(3):
        builder.chain(range(queue, 3 * count, 3))
    return builder.build()


def makespan(count: int, *, load: int, compute: int, store: int, barriers: int) -> int:
    """One barrier: load and compute take turns. Two: the slower of them never waits (stores keep up)."""
    assert store <= max(load, compute)
    if barriers == 1:
        return count * (load + compute) + store
    return load + (count - 1) * max(load, compute) + compute + store
