"""`State` inside kernels: one pointer to a table of (address, length), instead of thirty arrays passed by value.

In:  `State` (named tuple of arrays). Out: `table_of(state)` for the caller, `as_state(table)` for an entry point;
kernels then write `s.tasks` as they do in plain Python. Passing the arrays themselves makes compiling ten times slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.extending import register_model
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic
from numba.np.arrayobj import populate_array

from armillary.engine._jit import JIT
from armillary.engine.records import FIELDS, Array, State

TABLE = types.Array(types.int64, 1, "C")
_FIELD_NAMES = tuple(FIELDS)


class StateType(types.Type):
    """The numba type of `State`."""

    def __init__(self) -> None:
        super().__init__(name="armillary.engine.State")


STATE = StateType()


@register_model(StateType)
class StateModel(models.PrimitiveModel):  # type: ignore[misc]
    """A pointer to the table."""

    def __init__(self, manager: Any, kind: StateType) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@infer_getattr
class StateAttributes(AttributeTemplate):  # type: ignore[misc]
    """Every field is a contiguous array of its record."""

    key = StateType

    def generic_resolve(self, kind: StateType, name: str) -> Any:  # noqa: ARG002 - numba's calling convention
        return types.Array(from_dtype(np.dtype(FIELDS[name])), 1, "C") if name in FIELDS else None


@lower_getattr_generic(StateType)
def _field(context: Any, builder: Any, kind: StateType, table: Any, name: str) -> Any:
    """Make an array of a field's address and length; it owns nothing, the caller keeps the memory alive."""
    array_type = types.Array(from_dtype(np.dtype(FIELDS[name])), 1, "C")
    place = 2 * _FIELD_NAMES.index(name)
    address, length = (builder.load(cgutils.gep_inbounds(builder, table, place + step)) for step in (0, 1))
    array = context.make_array(array_type)(context, builder)
    itemsize = context.get_constant(types.intp, np.dtype(FIELDS[name]).itemsize)
    populate_array(
        array,
        data=builder.inttoptr(address, array.data.type),
        shape=cgutils.pack_array(builder, [length]),
        strides=cgutils.pack_array(builder, [itemsize]),
        itemsize=itemsize,
        meminfo=None,
    )
    return array._getvalue()


@intrinsic
def _table_to_state(typing_context: Any, table: Any) -> Any:  # noqa: ARG001 - numba's calling convention
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, arguments[0]).data

    return STATE(table), generate


def _unchanged(state: State) -> State:
    return state


as_state: Any = _table_to_state if JIT else _unchanged
"""In an entry point: the state of a table. With the JIT off, entry points are given the state itself."""


def table_of(state: State) -> Any:
    """Return what entry points take: addresses and lengths of all fields, or the state itself with the JIT off.

    The caller must keep `state` alive while the table is in use.
    """
    if not JIT:
        return state
    return np.array([(_checked(name, array).ctypes.data, len(array)) for name, array in state._asdict().items()], np.int64).reshape(-1)


def _checked(name: str, array: Array) -> Array:
    """Kernels trust the table blindly, so a wrong layout must not get that far."""
    if array.dtype != FIELDS[name] or array.ndim != 1 or not (array.flags.c_contiguous and array.flags.writeable):
        raise TypeError(f"state field {name!r} has a layout that kernels do not take: {array.dtype}, shape {array.shape}")
    return array
