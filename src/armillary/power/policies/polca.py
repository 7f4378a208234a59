"""POLCA's dual threshold with priorities and hysteresis, as the state machine of the paper.

In:  readings of the row's power, what holds and what is in flight (`contract.SEEN`).
Out: commands. u = power / budget.
u > brake_at: brake all. u > T2: lock low priority to f_low2; once that has landed and u is still > T2, high priority to
f_high2. u > T1: lock low priority to f_low1. Released at T2 - hysteresis (high priority unlocked first, low back to
f_low1), and at T1 - hysteresis (low unlocked). The brake is released below `release_at`.
Source: POLCA, arXiv 2308.12908, ASPLOS 2024; the release of the brake is not published.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from armillary.engine.policy import policy
from armillary.power.policies.brake import brake
from armillary.power.policies.contract import COMMAND, SEEN, UNLOCK

PPM: Final = 1_000_000
OFF, FIRST, SECOND = range(3)  # level that the policy is at

MIND = np.dtype(
    [
        (name, np.int64)
        for name in (
            "t1_ppm", "t2_ppm", "hysteresis_ppm", "brake_ppm", "release_ppm", "low1_mhz", "low2_mhz", "high2_mhz",
            "dead_man_ms", "level", "braked_ms",
        )
    ]
)  # fmt: skip
DEFAULTS: Final = {
    "t1_ppm": 800_000,
    "t2_ppm": 890_000,
    "hysteresis_ppm": 50_000,
    "brake_ppm": 1_000_000,
    "release_ppm": 840_000,
    "low1_mhz": 1275,
    "low2_mhz": 1110,
    "high2_mhz": 1305,
    "dead_man_ms": 20_000,
    "braked_ms": -1,
}


@policy(state=MIND, seen=SEEN, command=COMMAND, before=brake)
def polca(seen: Any, mind: Any, command: Any) -> None:
    """Decide once a reading; without readings for `dead_man_ms`, low priority goes to its lower clock."""
    now, order = seen[0], command[0]
    # Without a reading there is nothing to decide on, but silence must not hide an overload.
    if now["lost"] == 1:
        if now["age_ms"] > mind["dead_man_ms"]:
            mind["level"] = SECOND
            # Not by the level alone: it may be there while the lock is not (under the brake, or refused in flight).
            if now["low_target_mhz"] < 0 and (now["low_mhz"] == UNLOCK or now["low_mhz"] > mind["low2_mhz"]):
                order["low_mhz"] = mind["low2_mhz"]
        return
    share = now["power_mw"] * PPM // now["budget_mw"]
    if share > mind["t2_ppm"]:
        mind["level"] = SECOND
    elif share > mind["t1_ppm"] and mind["level"] < FIRST:  # noqa: SIM114 - rising and falling are told apart
        mind["level"] = FIRST
    elif mind["level"] == SECOND and share < mind["t2_ppm"] - mind["hysteresis_ppm"]:
        mind["level"] = FIRST
    elif mind["level"] == FIRST and share < mind["t1_ppm"] - mind["hysteresis_ppm"]:
        mind["level"] = OFF
    low, high = UNLOCK, UNLOCK
    if mind["level"] == SECOND:
        low = mind["low2_mhz"]
        # High priority only where low priority alone was not enough; what it has, it keeps until the level falls.
        high = now["high_mhz"]
        if share > mind["t2_ppm"] and now["low_mhz"] == low:
            high = mind["high2_mhz"]
    elif mind["level"] == FIRST:
        # High priority is let go first.
        low = mind["low1_mhz"] if now["high_mhz"] == UNLOCK else now["low_mhz"]
    if now["low_target_mhz"] < 0 and now["low_mhz"] != low:
        order["low_mhz"] = low
    if now["high_target_mhz"] < 0 and now["high_mhz"] != high:
        order["high_mhz"] = high
