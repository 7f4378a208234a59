"""No cap: nothing is done before the brake (`no_cap`), or nothing at all (`uncapped`, what others are compared with).

In:  readings of the row's power (`contract.SEEN`). Out: commands.
u > brake_at: brake all; released below `release_at`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from armillary.engine.policy import policy
from armillary.power.policies.brake import brake
from armillary.power.policies.contract import COMMAND, SEEN

MIND = np.dtype([(name, np.int64) for name in ("brake_ppm", "release_ppm", "braked_ms")])
DEFAULTS: Final = {"brake_ppm": 1_000_000, "release_ppm": 840_000, "braked_ms": -1}


@policy(state=MIND, seen=SEEN, command=COMMAND, before=brake)
def no_cap(seen: Any, mind: Any, command: Any) -> None:
    """Leave all clocks alone; brake above the budget."""


@policy(state=np.dtype([("asked", np.int64)]), seen=SEEN, command=COMMAND)
def uncapped(seen: Any, mind: Any, command: Any) -> None:
    """Command nothing, whatever happens."""
    mind["asked"] += 1
