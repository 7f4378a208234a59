# mypy: disable-error-code="no-untyped-call, untyped-decorator, override"
"""How a kernel calls a policy: its numba type, the address of a record array, and the policy that does nothing.

In:  record arrays. Out: `POLICY`, `POLICY_SIGNATURE`, `address`, `no_policy()`.
Addresses instead of arrays make a call cost 3 ns instead of 50.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from armillary.engine._jit import njit

POLICY_SIGNATURE = types.void(types.voidptr, types.int64, types.voidptr, types.voidptr)
POLICY = types.FunctionType(POLICY_SIGNATURE)


@intrinsic
def _address(typing_context: Any, column: Any) -> Any:
    """Return the address of the first element of an array or a column of the state, for kernels only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=arguments[0]).data
        return builder.bitcast(data, cgutils.voidptr_t)

    return types.voidptr(column), generate


address: Any = _address


@njit(POLICY_SIGNATURE)
def no_policy(seen: Any, rows: Any, state: Any, command: Any) -> None:
    """Do nothing: stands where a kernel wants a policy and there is none."""
