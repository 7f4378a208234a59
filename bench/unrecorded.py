"""The plain kernel without recording start, end and cause: what recording costs is measured against it.

In:  a `Simulation` of a plain graph that has not begun. Out: nothing; its tasks have ended.
Compiles at import (some seconds, once), like every kernel module: import inside functions only.
"""

from __future__ import annotations

from typing import Any

from numba import int64

from armillary.engine import Reason
from armillary.engine._jit import njit
from armillary.engine._state_type import TABLE, as_state, table_of
from armillary.engine.kernel import play
from armillary.engine.records import NEVER
from armillary.engine.simulate import Simulation


@njit(int64(TABLE, int64, int64, int64))
def advance_unrecorded(table: Any, until: int, policy: int, policy_kind: int) -> int:
    return play(as_state(table), until, policy, 0, None, False)


def play_plain(run: Simulation) -> None:
    reason = advance_unrecorded(table_of(run._state), NEVER, 0, 0)
    assert reason == Reason.IDLE
    assert run._state.tasks["start"][0] == -1, "the kernel records start although it was told not to"
