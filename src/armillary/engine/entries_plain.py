"""The compiled entry point for plain graphs, on its own because most of the kernel is left out of it.

In:  the table of a `State` (engine/_state_type.py). Out: `advance_plain` (reason codes). Import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from armillary.engine._jit import njit
from armillary.engine._state_type import TABLE, as_state
from armillary.engine.kernel import play


@njit(int64(TABLE, int64, int64, int64))
def advance_plain(table: Any, until: int, policy: int, policy_kind: int) -> int:
    """Play a graph of tasks on servers: no bytes, leases, latencies, releases, priorities, changes or START edges."""
    return play(as_state(table), until, policy, policy_kind, None, True)
