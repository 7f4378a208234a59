"""The policy that `--policy` names, with its parameters.

In:  a name, parameters of the site. Out: the policy and what it remembers at the start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.engine.policy import Policy
from armillary.errors import InputError
from armillary.power.policies.contract import COMMAND, SEEN
from armillary.power.policies.registry import load_policy


def choose(name: str | Policy, parameters: Mapping[str, int], *, dead_man_ms: int) -> tuple[Policy, Any]:
    """Return a policy and its mind, shape (1,).

    Args:
        name: a policy, or the name of one as `power simulate` takes it.
        parameters: fields of its mind that differ from its defaults.
        dead_man_ms: silence after which low priority is capped, for policies that know of it.

    Raises:
        InputError: no such policy or field, another contract, thresholds out of order.
    """
    if isinstance(name, str):
        found = load_policy(name, {"dead_man_ms": dead_man_ms}, parameters)
        return found.policy, found.policy.new_state(**found.parameters)
    if name.seen != SEEN or name.command != COMMAND:
        raise InputError("the policy is not one of a row", hint="declare it with seen=SEEN, command=COMMAND")
    known = {"dead_man_ms": dead_man_ms} if "dead_man_ms" in (name.state.names or ()) else {}
    return name, name.new_state(**(known | dict(parameters)))
