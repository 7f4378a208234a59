# mypy: disable-error-code="no-untyped-call, untyped-decorator, override"
"""A state inside kernels: one pointer to a table of (address, length), and columns that are indexed without any ado.

In:  a named tuple of arrays and the layout of its fields: `State` of task graphs, or that of a model of `drive`.
Out: `table_of(state)` for the caller, `as_state(table)` (`caster(kind)` for a model's own) for an entry point;
kernels then write `s.tasks[task]["start"]` as they do in plain Python.
Passing thirty numba arrays by value makes compiling ten times slower; indexing them checks for negative indices and
reads a length, which doubles the work of the loop. A `Column` has neither: indices must lie in 0 .. length - 1.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.extending import register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import infer_getattr, intrinsic, lower_getattr, lower_getattr_generic

from armillary.engine._jit import JIT
from armillary.engine.records import FIELDS, Array, State

TABLE = types.Array(types.int64, 1, "C")


class StateType(types.Type):
    """The numba type of a state: a pointer to the table. `fields`: record layout of each field, in order."""

    def __init__(self, name: str, fields: Mapping[str, np.dtype[Any]]) -> None:
        self.fields = {field: np.dtype(layout) for field, layout in fields.items()}
        self.places = {field: place for place, field in enumerate(fields)}
        super().__init__(name=name)


class Column(types.Type):
    """The numba type of one field of `State`: an address and a length. It owns nothing: the caller keeps the memory."""

    def __init__(self, element: Any) -> None:
        self.element = element
        super().__init__(name=f"armillary.engine.Column({element})")


STATE = StateType("armillary.engine.State", FIELDS)


@register_model(StateType)
class StateModel(models.PrimitiveModel):
    """How a state is kept: a pointer."""

    def __init__(self, manager: Any, kind: StateType) -> None:
        super().__init__(manager, kind, ir.IntType(64).as_pointer())


@register_model(Column)
class ColumnModel(models.StructModel):
    """How a column is kept: address and length."""

    def __init__(self, manager: Any, kind: Column) -> None:
        super().__init__(manager, kind, [("data", types.voidptr), ("length", types.int64)])


@infer_getattr
class StateAttributes(AttributeTemplate):
    """Every field is a column of its record."""

    key = StateType

    def generic_resolve(self, kind: StateType, name: str) -> Any:
        return Column(from_dtype(kind.fields[name])) if name in kind.fields else None


@infer_getattr
class ColumnAttributes(AttributeTemplate):
    """A column has a shape, as an array has."""

    key = Column

    def resolve_shape(self, kind: Column) -> Any:
        return types.UniTuple(types.int64, 1)


@infer_global(operator.getitem)
class ColumnItem(AbstractTemplate):
    """`column[index]` is a record (by reference) or a number."""

    def generic(self, arguments: Any, keywords: Any) -> Any:
        column, index = arguments
        if isinstance(column, Column) and isinstance(index, types.Integer):
            return signature(column.element, column, types.int64)
        return None


@infer_global(operator.setitem)
class ColumnStore(AbstractTemplate):
    """`column[index] = number`."""

    def generic(self, arguments: Any, keywords: Any) -> Any:
        column, index, _ = arguments
        if (
            isinstance(column, Column)
            and isinstance(index, types.Integer)
            and not isinstance(column.element, types.Record)
        ):
            return signature(types.none, column, types.int64, column.element)
        return None


@lower_getattr_generic(StateType)
def _field(context: Any, builder: Any, kind: StateType, table: Any, name: str) -> Any:
    """Read a field's address and length from the table."""
    column = cgutils.create_struct_proxy(Column(from_dtype(kind.fields[name])))(context, builder)
    place = 2 * kind.places[name]
    words = [builder.load(cgutils.gep_inbounds(builder, table, place + step)) for step in (0, 1)]
    for word in words:  # the table never changes while a kernel runs: LLVM may keep what it has read
        word.set_metadata("invariant.load", builder.module.add_metadata([]))
    column.data, column.length = builder.inttoptr(words[0], cgutils.voidptr_t), words[1]
    return column._getvalue()


@lower_getattr(Column, "shape")
def _shape(context: Any, builder: Any, kind: Column, value: Any) -> Any:
    return context.make_tuple(
        builder,
        types.UniTuple(types.int64, 1),
        [cgutils.create_struct_proxy(kind)(context, builder, value=value).length],
    )


def _address(context: Any, builder: Any, kind: Column, value: Any, index: Any) -> Any:
    """Return the address of an element, as a pointer to bytes."""
    data = cgutils.create_struct_proxy(kind)(context, builder, value=value).data
    size = context.get_abi_sizeof(context.get_data_type(kind.element))
    return builder.gep(data, [builder.mul(index, context.get_constant(types.int64, size))])


@lower_builtin(operator.getitem, Column, types.Integer)
def _get(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    kind = call.args[0]
    pointer = _address(context, builder, kind, *arguments)
    if isinstance(kind.element, types.Record):
        return builder.bitcast(pointer, context.get_value_type(kind.element))
    return context.unpack_value(
        builder, kind.element, builder.bitcast(pointer, context.get_data_type(kind.element).as_pointer())
    )


@lower_builtin(operator.setitem, Column, types.Integer, types.Any)
def _set(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
    kind = call.args[0]
    pointer = _address(context, builder, kind, *arguments[:2])
    context.pack_value(
        builder, kind.element, arguments[2], builder.bitcast(pointer, context.get_data_type(kind.element).as_pointer())
    )
    return context.get_dummy_value()


def caster(kind: StateType) -> Any:
    """Return what an entry point calls on its table to get the state of type `kind`; for compiled code only."""

    @intrinsic
    def table_to_state(typing_context: Any, table: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return context.make_array(signature.args[0])(context, builder, arguments[0]).data

        return kind(table), generate

    return table_to_state


@intrinsic
def _prefetch(typing_context: Any, column: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, call: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, call.args[0], *arguments)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, *[ir.IntType(32)] * 3])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, *[ir.Constant(ir.IntType(32), word) for word in (1, 3, 1)]])
        return context.get_dummy_value()

    return types.void(column, types.int64), generate


def _ignored(column: Any, index: Any) -> None:
    pass


prefetch: Any = _prefetch if JIT else _ignored
"""Ask for the cache line of `column[index]`, to be written soon."""


def _unchanged(state: State) -> State:
    return state


as_state: Any = caster(STATE) if JIT else _unchanged
"""In an entry point: the state of a table. With the JIT off, entry points are given the state itself."""


def table_of(state: Any, kind: StateType = STATE) -> Any:
    """Return what entry points take: addresses and lengths of all fields, or the state itself with the JIT off.

    The caller must keep `state` alive while the table is in use.
    """
    if not JIT:
        return state
    return np.array(
        [(_checked(name, kind.fields[name], array).ctypes.data, len(array)) for name, array in state._asdict().items()],
        np.int64,
    ).reshape(-1)


def _checked(name: str, layout: np.dtype[Any], array: Array) -> Array:
    """Kernels trust the table blindly, so a wrong layout must not get that far."""
    if array.dtype != layout or array.ndim != 1 or not (array.flags.c_contiguous and array.flags.writeable):
        raise TypeError(
            f"state field {name!r} has a layout that kernels do not take: {array.dtype}, shape {array.shape}"
        )
    return array
