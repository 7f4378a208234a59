"""A clock for every load: proportional-integral control of both priorities, low priority first (our own).

In:  readings of the row's power (`contract.SEEN`). Out: commands.
e = u - setpoint; `depth`, in kHz below the highest clock, moves by gain x e (+ rate x (e - last e)) a reading while no
lock is in flight, from 0 to what both priorities can give. Low priority gives up to top - low2, high priority what is
left, up to top - high2. A lock is sent only when it differs by at least `step_mhz` from the one that holds, and an
unlock only at depth 0. The brake works as in the other policies.
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
            "setpoint_ppm", "gain", "rate", "top_mhz", "step_mhz", "low2_mhz", "high2_mhz", "brake_ppm", "release_ppm",
            "depth_khz", "last_ppm", "asked",
            "braked_ms",
        )
    ]
)  # fmt: skip
DEFAULTS: Final = {
    "setpoint_ppm": 850_000,
    "gain": 500,  # Hz a reading for each ppm over the setpoint: 15 MHz for 3 %
    "rate": 2000,  # Hz for each ppm that the error has risen
    "top_mhz": 1410,
    "step_mhz": 15,
    "low2_mhz": 1110,
    "high2_mhz": 1305,
    "brake_ppm": 1_000_000,
    "release_ppm": 840_000,
    "braked_ms": -1,
}


@policy(state=MIND, seen=SEEN, command=COMMAND, before=brake)
def pid(seen: Any, mind: Any, command: Any) -> None:
    """Lower clocks step by step while the row is over the setpoint, raise them while it is below."""
    now, order = seen[0], command[0]
    if now["lost"] == 1:
        return
    share = now["power_mw"] * 1_000_000 // now["budget_mw"]
    error = share - mind["setpoint_ppm"]
    rise = error - mind["last_ppm"] if mind["asked"] == 1 else 0
    mind["last_ppm"] = error
    mind["asked"] = 1
    if now["low_target_mhz"] >= 0 or now["high_target_mhz"] >= 0:
        return
    top = mind["top_mhz"]
    low_room, high_room = top - mind["low2_mhz"], top - mind["high2_mhz"]
    depth = mind["depth_khz"] + (mind["gain"] * error + mind["rate"] * rise) // 1000
    depth = min(max(depth, 0), (low_room + high_room) * 1000)
    mind["depth_khz"] = depth
    steps = depth // 1000 // mind["step_mhz"] * mind["step_mhz"]
    low_depth = min(steps, low_room)
    high_depth = min(steps - low_depth, high_room)
    low = top - low_depth if low_depth > 0 else 0
    high = top - high_depth if high_depth > 0 else 0
    if now["low_mhz"] != low:
        order["low_mhz"] = low
    if now["high_mhz"] != high:
        order["high_mhz"] = high
