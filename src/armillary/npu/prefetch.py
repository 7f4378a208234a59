"""Load weights earlier where the scratchpad has room, so that layers with many weights wait less for them.

In:  a `Plan` whose loads run one tile ahead (double buffering), of a chip with `control.prefetch` above 1.
Out: per tile, how many tiles before its own its weights may be loaded; 1 where nothing is gained.
In program order each load begins as early as the bytes that leases hold while the tiles between run leave room, and
not before the load that goes ahead of it in the queue. So no lease ever waits, and nothing can block.
Across inferences in flight nothing runs ahead further than double buffering does.
"""

from __future__ import annotations

import numpy as np

from armillary.npu.geometry import IntArray
from armillary.npu.plan import Plan
from armillary.npu.repeat import occupied_bytes


def prefetch(plan: Plan, share: float = 1.0) -> IntArray:
    """Return the tiles by which the weights of each tile of one inference run ahead, shape (tiles,).

    They begin early only where all that is held then stays within `share` of the scratchpad.
    """
    most = plan.chip.control.prefetch
    ahead = np.ones(len(plan.tiles), np.int64)
    held = occupied_bytes(plan).tolist()
    room = plan.scratchpad_bytes - plan.caching.bytes
    room -= int((1.0 - share) * room)
    sizes, queue = plan.tiles.weight_room, 1
    loads = np.flatnonzero(sizes)
    for at, size in zip(loads.tolist(), sizes[loads].tolist(), strict=True):
        # The first two tiles of an inference meet the one before.
        earliest = max(queue, at - most)
        begin = at - 1
        while begin - 1 >= earliest and held[begin - 1] + size <= room:
            begin -= 1
            held[begin] += size
        if begin >= 1:
            ahead[at] = at - begin
            queue = max(queue, begin)
    return ahead
