"""What a policy sees of a task graph's resources (docs/engine.md, section 9).

In:  `State`. Out: `State.seen` filled, `State.command` set to -1, which leaves everything as it is.
"""

from __future__ import annotations

import math
from typing import Any

from armillary.engine._jit import njit, wide
from armillary.engine.arbiters import catch_up

SERVER, POOL, LINK, ARBITER = range(4)


@njit(inner=True)
def observe(s: Any, now: int) -> None:
    """Fill one observation a resource."""
    for index in range(s.resources.shape[0]):
        resource, seen, command = s.resources[index], s.seen[index], s.command[index]
        command["rate_ppm"], command["capacity"], command["threshold"] = -1, -1, -1
        seen["now"], seen["busy"], seen["units"], seen["queued"] = (
            now,
            resource["used"],
            resource["units"],
            resource["queued"],
        )
        seen["flows"], seen["backlog_bytes"], seen["rate_ppm"], seen["capacity"] = 0, 0, 0, 0
        if resource["kind"] == SERVER:
            seen["rate_ppm"] = math.floor(resource["rate"] * 1e6)
        elif resource["kind"] != POOL:
            seen["capacity"] = math.floor(resource["capacity"])
        if resource["kind"] == LINK:
            seen["flows"] = s.links[index]["flows"]
        elif resource["kind"] == ARBITER:
            catch_up(s, wide(resource["arbiter"]), now)
            arbiter = s.arbiters[resource["arbiter"]]
            seen["busy"], seen["flows"] = arbiter["count"], arbiter["trains"]
            seen["backlog_bytes"] = math.floor(arbiter["backlog"])
