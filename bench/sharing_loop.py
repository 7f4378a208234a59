"""A shared link on its own: flows that arrive, share and leave, with `drive`'s primitive and no calendar.

In:  arrival ticks (ascending) and sizes in bytes, shape (flows,). Out: the tick at which each flow leaves.
Compiles at import, like every kernel module: import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import float64, int64, types, void

from armillary.engine._jit import njit
from armillary.engine.sharing import LINKS, NEVER, Links, ps_join, ps_leave, ps_next

INTS, FLOATS = types.Array(int64, 1, "C"), types.Array(float64, 1, "C")


@njit(void(LINKS, INTS, FLOATS, INTS))
def play_flows(shared: Links, arrival: Any, size: Any, left: Any) -> None:
    flow = 0
    due = NEVER
    while flow < len(arrival) or due < NEVER:
        now = due
        if flow < len(arrival) and arrival[flow] < due:
            now = arrival[flow]
        ended = ps_leave(shared, 0, now)
        while ended >= 0:
            left[ended] = now
            ended = ps_leave(shared, 0, now)
        while flow < len(arrival) and arrival[flow] == now:
            ps_join(shared, 0, now, flow, size[flow], 1)
            flow += 1
        due = ps_next(shared, 0, now)
