"""How a model of `drive` asks a policy: a compiled one within the handler (a few ns), a Python one at a stop.

In:  a `Policy`; the model fills `seen` and calls `ask`.
Out: `Decider`, a part of the model's state, whose `command` is filled after the event that asked. A model acts on it in
an event of a later round or tick, so that it does not matter where the policy ran.
One compiled model takes any policy: the call goes to its address.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import JIT, njit
from armillary.engine._policy_type import address, call_policy
from armillary.engine.calendar import Calendar
from armillary.engine.policy import Policy
from armillary.engine.timers import stop
from armillary.engine.trace import Reason

RecordArray = npt.NDArray[np.void]
LEAVE: Final = -1
"""What every field of a command holds before the policy runs: leave that value as it is."""
_POLICY: Final = int(Reason.POLICY)


class Decider(NamedTuple):
    """A policy with its records. Policies of one model share the layouts of `seen` and `command`, not of `mind`."""

    seen: RecordArray
    mind: npt.NDArray[np.int64]  # what the policy remembers: the fields of its state
    command: RecordArray
    policy: npt.NDArray[np.int64]  # shape (1,): address of the compiled policy, 0 for one that runs in Python


def new_decider(policy: Policy, *, seen: int = 1, commands: int = 1, compiled: bool = True, **mind: int) -> Decider:
    """Return the records of a policy.

    Args:
        policy: the policy and its layouts.
        seen, commands: rows of what it sees and may set.
        compiled: whether it runs within the handler; otherwise in Python, at a stop (about 1 us and its own time).
        mind: fields of what it remembers that do not begin with 0.

    Raises:
        InputError: a field that the policy's state does not have.
    """
    command = np.full((commands, policy.command.itemsize // 8), LEAVE).view(policy.command)[:, 0]
    return Decider(
        np.zeros(seen, policy.seen),
        policy.new_state(**mind).view(np.int64),
        command,
        np.array([policy.address if compiled and JIT else 0]),
    )


def decide(policy: Policy, decider: Decider) -> None:
    """Run `policy` in Python, at a POLICY stop; what `Run` is given as `decide`, with the model's decider."""
    policy(decider.seen, decider.mind.view(policy.state)[0], decider.command)


@njit(inline=True)
def ask(calendar: Calendar, decider: Decider) -> None:
    """Let the policy decide on what stands in `seen`: now if it is compiled, else at a stop after this event."""
    if JIT and decider.policy[0] != 0:
        seen, mind, command = address(decider.seen), address(decider.mind), address(decider.command)
        call_policy(decider.policy[0], seen, decider.seen.shape[0], mind, command)
    else:
        stop(calendar, _POLICY)
