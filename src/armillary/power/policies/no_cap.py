"""No cap: nothing is done before the brake (`no_cap`), or nothing at all (`uncapped`, what others are compared with).

In:  readings of the row's power (`contract.SEEN`). Out: commands.
u > brake_at: brake all; released below `release_at`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from armillary.engine.policy import policy
from armillary.power.policies.contract import BRAKE_OFF, BRAKE_ON, COMMAND, ENGAGE, RELEASE, SEEN

MIND = np.dtype([("brake_ppm", np.int64), ("release_ppm", np.int64)])
DEFAULTS: Final = {"brake_ppm": 1_000_000, "release_ppm": 840_000}


@policy(state=MIND, seen=SEEN, command=COMMAND)
def no_cap(seen: Any, mind: Any, command: Any) -> None:
    """Leave all clocks alone; brake above the budget."""
    now, order = seen[0], command[0]
    if now["lost"] == 1:
        return
    share = now["power_mw"] * 1_000_000 // now["budget_mw"]
    if share > mind["brake_ppm"]:
        if now["brake"] == BRAKE_OFF:
            order["brake"] = ENGAGE
    elif now["brake"] == BRAKE_ON and share < mind["release_ppm"]:
        order["brake"] = RELEASE


@policy(state=np.dtype([("asked", np.int64)]), seen=SEEN, command=COMMAND)
def uncapped(seen: Any, mind: Any, command: Any) -> None:
    """Command nothing, whatever happens."""
    mind["asked"] += 1
