"""The policy that `--policy` names, with its parameters.

In:  a name, parameters of the site. Out: the policy and what it remembers at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.engine.policy import Policy
from armillary.errors import InputError, unknown_name
from armillary.power.policies.contract import COMMAND, SEEN
from armillary.power.policies.polca import DEFAULTS, polca

BUILT_IN: dict[str, tuple[Policy, Mapping[str, int]]] = {"polca": (polca, DEFAULTS)}
ASCENDING = ("t1_ppm", "t2_ppm", "brake_ppm")


def choose(name: str | Policy, parameters: Mapping[str, int], *, dead_man_ms: int) -> tuple[Policy, Any]:
    """Return a policy and its mind, shape (1,).

    Args:
        name: a built-in policy, or a policy.
        parameters: fields of its mind that differ from its defaults.
        dead_man_ms: silence after which low priority is capped, for policies that know of it.

    Raises:
        InputError: no such policy or field, another contract, thresholds out of order.
    """
    if isinstance(name, Policy):
        policy, defaults = name, dict[str, int]()
    elif name in BUILT_IN:
        policy, defaults = BUILT_IN[name][0], dict(BUILT_IN[name][1])
    else:
        raise unknown_name("policy", name, BUILT_IN, where="--policy")
    if policy.seen != SEEN or policy.command != COMMAND:
        raise InputError("the policy is not one of a row", hint="declare it with seen=SEEN, command=COMMAND")
    if "dead_man_ms" in (policy.state.names or ()):
        defaults["dead_man_ms"] = dead_man_ms
    chosen = defaults | dict(parameters)
    thresholds = [chosen[key] for key in ASCENDING if key in chosen]
    if thresholds != sorted(thresholds):
        shown = ", ".join(f"{key} {chosen[key]}" for key in ASCENDING if key in chosen)
        raise InputError(f"thresholds out of order: {shown}", hint="they must rise: t1 < t2 <= brake")
    return policy, policy.new_state(**chosen)
