"""The compiled entry point for any graph: an explicit signature, so that importing this module compiles or loads it.

In:  the table of a `State` (engine/_state_type.py). Out: `advance_general` (reason codes).
Import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from armillary.engine._jit import njit
from armillary.engine._state_type import TABLE, as_state
from armillary.engine.kernel import play


@njit(int64(TABLE, int64, int64, int64))
def advance_general(table: Any, until: int, policy: int, policy_kind: int) -> int:
    """Play any graph."""
    return play(as_state(table), until, policy, policy_kind, True, True)
