"""What a row policy sees, and what it may command: two records of whole numbers (mW, ms, MHz).

In:  nothing. Out: `SEEN` and `COMMAND`, the layouts that every row policy shares, and the values of their fields.
A policy is a pure function `(seen, mind, command)` under `@policy(state=..., seen=SEEN, command=COMMAND)`. It is asked
once a reading of the meter, whether a reading came or not. What it wants and what it has is told apart: a lock is
commanded, travels (in flight), lands. While a command to one actuator is in flight, no other is accepted there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

SEEN = np.dtype(
    [
        ("now_ms", np.int64),
        ("power_mw", np.int64),  # of the row, as the newest reading that has arrived says
        ("budget_mw", np.int64),
        ("age_ms", np.int64),  # of that reading
        ("lost", np.int64),  # 1: no reading came this time
        ("low_mhz", np.int64),  # clock lock that holds on servers of low priority, 0: none
        ("low_target_mhz", np.int64),  # lock in flight to them, -1: none
        ("high_mhz", np.int64),  # the same for servers of high priority
        ("high_target_mhz", np.int64),
        ("brake", np.int64),  # of BRAKE_*
    ]
)
COMMAND = np.dtype([("low_mhz", np.int64), ("high_mhz", np.int64), ("brake", np.int64)])

UNLOCK: Final = 0
"A clock command that lifts the lock."
RELEASE: Final = 0
ENGAGE: Final = 1
BRAKE_OFF: Final = 0
BRAKE_ENGAGING: Final = 1
BRAKE_ON: Final = 2
BRAKE_RELEASING: Final = 3
NOTHING_IN_FLIGHT: Final = -1
DECISION = np.dtype([("seen", SEEN), ("command", COMMAND)])
"One decision as it is logged: the same telemetry gives the same bytes, whatever asked the policy."
