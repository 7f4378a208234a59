# mypy: disable-error-code="no-untyped-call, untyped-decorator, override"
"""How a kernel calls a policy: by its address, with the addresses of its records.

In:  the address of a compiled policy (`Policy.address`), record arrays.
Out: `POLICY_SIGNATURE`, `address`, `call_policy`.
Arrays instead of addresses would make a call cost 50 ns instead of 3, a function object 50 us a crossing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

POLICY_SIGNATURE = types.void(types.voidptr, types.int64, types.voidptr, types.voidptr)


@intrinsic
def _address(typing_context: Any, column: Any) -> Any:
    """Return the address of the first element of an array or a column of the state, for kernels only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = cgutils.create_struct_proxy(signature.args[0])(context, builder, value=arguments[0]).data
        return builder.bitcast(data, cgutils.voidptr_t)

    return types.voidptr(column), generate


@intrinsic
def _call(typing_context: Any, policy: Any, seen: Any, rows: Any, state: Any, command: Any) -> Any:
    """Call the policy at address `policy` on `rows` observations, for kernels only."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer, word = cgutils.voidptr_t, ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, pointer, pointer])
        builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, types.voidptr, types.int64, types.voidptr, types.voidptr), generate


address: Any = _address
call_policy: Any = _call
