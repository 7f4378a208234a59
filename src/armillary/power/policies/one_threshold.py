"""One threshold: above it, low priority (or everybody) is locked to a lower clock; with hysteresis and the brake.

In:  readings of the row's power (`contract.SEEN`). Out: commands.
u > t2: lock; u < t2 - hysteresis: unlock. u > brake_at: brake all, released below `release_at`.
`one_threshold_low` locks low priority alone, `one_threshold_all` both at once.
Source: baselines of POLCA, ASPLOS 2024; their threshold and clocks are from memory, so they are parameters.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from armillary.engine.policy import policy
from armillary.power.policies.brake import brake
from armillary.power.policies.contract import COMMAND, SEEN

MIND = np.dtype(
    [
        (name, np.int64)
        for name in (
            "t2_ppm", "hysteresis_ppm", "brake_ppm", "release_ppm", "low2_mhz", "high2_mhz", "capped", "braked_ms",
        )
    ]
)  # fmt: skip
DEFAULTS: Final = {
    "t2_ppm": 890_000,
    "hysteresis_ppm": 50_000,
    "brake_ppm": 1_000_000,
    "release_ppm": 840_000,
    "braked_ms": -1,
    "low2_mhz": 1110,
    "high2_mhz": 1305,
}


@policy(state=MIND, seen=SEEN, command=COMMAND, before=brake)
def one_threshold_low(seen: Any, mind: Any, command: Any) -> None:
    """Lock low priority above the threshold."""
    now, order = seen[0], command[0]
    if now["lost"] == 1:
        return
    share = now["power_mw"] * 1_000_000 // now["budget_mw"]
    if share > mind["t2_ppm"]:
        mind["capped"] = 1
    elif share < mind["t2_ppm"] - mind["hysteresis_ppm"]:
        mind["capped"] = 0
    low = mind["capped"] * mind["low2_mhz"]
    if now["low_target_mhz"] < 0 and now["low_mhz"] != low:
        order["low_mhz"] = low


@policy(state=MIND, seen=SEEN, command=COMMAND, before=brake)
def one_threshold_all(seen: Any, mind: Any, command: Any) -> None:
    """Lock both priorities above the threshold, each to its clock."""
    now, order = seen[0], command[0]
    if now["lost"] == 1:
        return
    share = now["power_mw"] * 1_000_000 // now["budget_mw"]
    if share > mind["t2_ppm"]:
        mind["capped"] = 1
    elif share < mind["t2_ppm"] - mind["hysteresis_ppm"]:
        mind["capped"] = 0
    low, high = mind["capped"] * mind["low2_mhz"], mind["capped"] * mind["high2_mhz"]
    if now["low_target_mhz"] < 0 and now["low_mhz"] != low:
        order["low_mhz"] = low
    if now["high_target_mhz"] < 0 and now["high_mhz"] != high:
        order["high_mhz"] = high
