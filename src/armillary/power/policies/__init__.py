"""Row policies: pure functions of whole numbers, the same in a simulated row and on a live one.

In:  a name, a plugin or a file of the user's own. Out: `RowPolicy`; `contract` holds what a policy sees and commands.
"""

from __future__ import annotations

from armillary.power.policies.contract import COMMAND, SEEN
from armillary.power.policies.registry import RowPolicy, load_policy, policy_names

__all__ = ["COMMAND", "SEEN", "RowPolicy", "load_policy", "policy_names"]
