"""The brake, the same under every policy: engage above the budget, release below, and believe nothing read under it.

In:  a reading of the row's power (`contract.SEEN`), a mind with `brake_ppm`, `release_ppm` and `braked_ms` (first -1).
Out: the brake's command; True where the policy has nothing more to decide.
It overrides both groups while it is engaged or on its way. What was read under it says nothing of the row without it:
caps lifted on that would bring the overload back.
"""

from __future__ import annotations

from typing import Any

from armillary.power.policies.contract import BRAKE_OFF, BRAKE_ON, ENGAGE, RELEASE


def brake(seen: Any, mind: Any, command: Any) -> bool:
    """Decide on the brake; without a reading there is nothing to decide on."""
    now, order = seen[0], command[0]
    if now["lost"] == 1:
        return False
    share = now["power_mw"] * 1_000_000 // now["budget_mw"]
    if share > mind["brake_ppm"]:
        if now["brake"] == BRAKE_OFF:
            order["brake"] = ENGAGE
    elif now["brake"] == BRAKE_ON and share < mind["release_ppm"]:
        order["brake"] = RELEASE
    if now["brake"] != BRAKE_OFF:
        mind["braked_ms"] = now["now_ms"]
        return True
    return bool(now["now_ms"] - now["age_ms"] <= mind["braked_ms"])
