"""Policies: one function over three records (observation, state, command), in integers.

In:  `@policy(state=DTYPE)` on a function `(seen, state, command) -> None`; undecorated ones run as Python at a stop.
Out: `Policy`, which calls as plain Python and, inside a kernel, as a first-class compiled function (a few ns a call).
The same object drives a simulation and a live controller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from armillary.errors import InputError

# What a policy of a task graph sees of each resource, shape (resources,) (docs/engine.md, section 9).
OBSERVATION = np.dtype(
    [(name, np.int64) for name in ("now", "busy", "units", "queued", "flows", "backlog_bytes", "rate_ppm", "capacity")]
)
# What it may change, shape (resources,); -1 leaves a value as it is.
COMMAND = np.dtype([(name, np.int64) for name in ("rate_ppm", "capacity", "threshold")])

PolicyFunction = Callable[[Any, Any, Any], None]
PolicyRule = Callable[[Any, Any, Any], bool]
"What policies share: it may command, and returns True where nothing more is to be decided."


@dataclass(frozen=True)
class Policy:
    """A policy with its record layouts; `state` is one record, `seen` and `command` are arrays of records.

    Args:
        function: the policy; integers only, no clock, no input or output.
        seen, state, command: record layouts of int64 fields.
        before: a rule that goes first; where it returns True, the function does not run.
    """

    function: PolicyFunction
    seen: np.dtype[Any]
    state: np.dtype[Any]
    command: np.dtype[Any]
    before: PolicyRule | None = None

    def __call__(self, seen: Any, state: Any, command: Any) -> None:
        """Run as plain Python on record arrays (and one state record)."""
        if self.before is None or not self.before(seen, state, command):
            self.function(seen, state, command)

    @property
    def address(self) -> int:
        """Where its compiled code lies: what kernels are handed, and call with the addresses of its records."""
        return int(self._compiled.address)

    @cached_property
    def _compiled(self) -> Any:
        """The compiled function; kept, since its code lives as long as it."""
        import numba

        from armillary.engine._policy_type import POLICY_SIGNATURE

        compiler: Any = numba
        carray = compiler.carray
        body = compiler.njit(self.function)
        rule: Any = None if self.before is None else compiler.njit(self.before)
        seen_type, state_type, command_type = self.seen, self.state, self.command

        def call(seen: Any, rows: Any, state: Any, command: Any) -> None:
            body(carray(seen, rows, seen_type), carray(state, 1, state_type)[0], carray(command, rows, command_type))

        def call_after(seen: Any, rows: Any, state: Any, command: Any) -> None:
            shown, mind = carray(seen, rows, seen_type), carray(state, 1, state_type)[0]
            orders = carray(command, rows, command_type)
            if not rule(shown, mind, orders):
                body(shown, mind, orders)

        return compiler.cfunc(POLICY_SIGNATURE)(call if rule is None else call_after)

    def new_state(self, **values: int) -> Any:
        """Return a state array of one record, zero but for `values`; index it with [0] to read fields.

        Raises:
            InputError: a value for a field that the state does not have.
        """
        state = np.zeros(1, self.state)
        for name, value in values.items():
            if name not in (self.state.names or ()):
                raise InputError(
                    f"the policy's state has no field {name!r}", hint=f"fields: {', '.join(self.state.names or ())}"
                )
            state[name] = value
        return state


def policy(
    *,
    state: np.dtype[Any],
    seen: np.dtype[Any] = OBSERVATION,
    command: np.dtype[Any] = COMMAND,
    before: PolicyRule | None = None,
) -> Callable[[PolicyFunction], Policy]:
    """Declare a function as a policy that compiles.

    Args:
        state: layout of its state record, int64 fields.
        seen: layout of an observation; by default that of task graphs.
        command: layout of a command; by default that of task graphs.
        before: a rule that policies share, asked first.

    Raises:
        InputError: a field that is not int64.
    """
    for layout in (state, seen, command):
        for name in layout.names or ():
            if layout[name] != np.int64:
                raise InputError(
                    f"policy field {name!r} is {layout[name]}",
                    hint="policies see and set int64 only (mW, ms, MHz, bytes)",
                )

    def declare(function: PolicyFunction) -> Policy:
        return Policy(function, seen, state, command, before)

    return declare
