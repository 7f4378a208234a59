"""SSD-staged layers on a half-duplex link with a prefetch window, on `simulate`: the offload ring in small.

In:  layers, bytes of weights read and gradients written a layer, ticks of compute, layers that may be staged at once.
Out: a task graph: the SSD is one link of capacity 1, of which a byte costs 1 / read rate or 1 / write rate.
A layer holds a place in the window from the start of its read to the end of its compute.
"""

from __future__ import annotations

from armillary.engine import GraphBuilder, TaskGraph

READ, WRITE = 4.0, 2.0  # bytes per tick


def layers(count: int, *, read: float, compute: int, write: float, window: int) -> TaskGraph:
    builder = GraphBuilder(tick_s=1.0)
    ssd, gpu = builder.link("ssd", capacity=1.0), builder.server("gpu")
    staging = builder.pool("window", units=window)
    for layer in range(count):
        place = builder.lease(staging, 1)
        fetched = builder.task(f"read {layer}", bytes=read, crossing=[(ssd, 1 / READ)], leases=[place])
        computed = builder.task(f"compute {layer}", duration=compute, on=gpu, leases=[place], after=[fetched])
        builder.task(f"write {layer}", bytes=write, crossing=[(ssd, 1 / WRITE)], after=[computed])
    for queue in range(3):
        builder.chain(range(queue, 3 * count, 3))
    return builder.build()
