"""Values of the small integer tensors from which shapes are computed.

In:  a node, the values of its inputs (at most `MAX_ELEMENTS` elements each) and the inferred output size.
Out: the value of its output, or None where it is not known: exporters compute reshape targets by Shape, Gather, Concat
and arithmetic, and shape inference needs the numbers. This is no interpreter: weights and activations have no values.
Semantics: ONNX operator reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

MAX_ELEMENTS: Final = 4096

Value = NDArray[Any]
_Attributes = dict[str, Any]

# Attributes of `Constant` other than a tensor.
_SCALARS: Final = {"value_int": np.int64, "value_ints": np.int64, "value_float": np.float32, "value_floats": np.float32}


def tensor_value(tensor: TensorProto) -> Value | None:
    """Return the value of a small tensor that carries its data, else None."""
    if tensor.data_location == TensorProto.EXTERNAL or tensor.data_type == TensorProto.STRING:
        return None
    try:
        value = np.asarray(numpy_helper.to_array(tensor))
    except ValueError:
        return None  # the payload lies in the field of another type: its shape counts, its value is not known
    return value if value.size <= MAX_ELEMENTS and value.dtype.kind in "biuf" else None


def constant_value(node: NodeProto) -> Value | None:
    """Return the value of a `Constant` node, if it is small and numeric."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if "value" in attributes:
        return tensor_value(attributes["value"].t)
    for name, dtype in _SCALARS.items():
        if name in attributes:
            value = np.asarray(helper.get_attribute_value(attributes[name]), dtype=dtype)
            return value if value.size <= MAX_ELEMENTS else None
    return None


def evaluate(node: NodeProto, inputs: Sequence[Value | None]) -> Value | None:
    """Return the output of a node whose output is known to be small, or None.

    Args:
        node: any node; operators outside the table give None.
        inputs: values in order; None stands for an optional input that is absent.
    """
    function = _FUNCTIONS.get(node.op_type)
    if function is None:
        return None
    try:
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        with np.errstate(all="raise"):
            value = np.asarray(function(attributes, *inputs))
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return None  # malformed arithmetic: the shape that needs this value reports the node
    return value if value.size <= MAX_ELEMENTS else None


def _gather(attributes: _Attributes, data: Value, indices: Value) -> Value:
    return np.take(data, indices.astype(np.int64), axis=attributes.get("axis", 0))


def _axes(attributes: _Attributes, axes: Value | None) -> tuple[int, ...]:
    """Axes as an attribute (old operator sets) or as an input."""
    given = attributes.get("axes", ()) if axes is None else axes.reshape(-1).tolist()
    return tuple(int(axis) for axis in given)


def _squeeze(attributes: _Attributes, data: Value, axes: Value | None = None) -> Value:
    chosen = _axes(attributes, axes)
    return np.squeeze(data, axis=chosen or None)


def _unsqueeze(attributes: _Attributes, data: Value, axes: Value | None = None) -> Value:
    return np.expand_dims(data, _axes(attributes, axes))


def _slice(
    attributes: _Attributes,
    data: Value,
    starts: Value | None = None,
    ends: Value | None = None,
    axes: Value | None = None,
    steps: Value | None = None,
) -> Value:
    first = attributes["starts"] if starts is None else starts.tolist()
    last = attributes["ends"] if ends is None else ends.tolist()
    along = _axes(attributes, axes) or tuple(range(len(first)))
    by = [1] * len(first) if steps is None else steps.tolist()
    window = [slice(None)] * data.ndim
    for axis, start, end, step in zip(along, first, last, by, strict=True):
        # An end at or below -size - 1 with a negative step means "through the first element", as in NumPy's None.
        window[axis] = slice(start, None if step < 0 and end < -data.shape[axis] else end, step)
    return data[tuple(window)]


def _divide(attributes: _Attributes, a: Value, b: Value) -> Value:
    """Division of integers truncates towards zero."""
    if a.dtype.kind == "f":
        return np.divide(a, b)
    quotient = np.abs(a) // np.abs(b) * np.sign(a) * np.sign(b)
    return np.asarray(quotient, dtype=a.dtype)


def _cast(attributes: _Attributes, data: Value) -> Value:
    return data.astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _fill(attributes: _Attributes, shape: Value) -> Value:
    fill = numpy_helper.to_array(attributes["value"]) if "value" in attributes else np.zeros(1, np.float32)
    return np.full(tuple(shape.tolist()), fill.reshape(-1)[0], dtype=fill.dtype)


def _reshape(attributes: _Attributes, data: Value, shape: Value) -> Value:
    sizes = [
        data.shape[axis] if size == 0 and not attributes.get("allowzero") else size
        for axis, size in enumerate(shape.tolist())
    ]
    return data.reshape(sizes)


def _reduce_product(attributes: _Attributes, data: Value, axes: Value | None = None) -> Value:
    return np.asarray(
        np.prod(
            data, axis=_axes(attributes, axes) or None, keepdims=bool(attributes.get("keepdims", 1)), dtype=data.dtype
        )
    )


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "Add": lambda _, a, b: a + b,
    "Cast": _cast,
    "Ceil": lambda _, a: np.ceil(a),
    "Concat": lambda attributes, *parts: np.concatenate(parts, axis=attributes["axis"]),
    "ConstantOfShape": _fill,
    "Div": _divide,
    "Equal": lambda _, a, b: a == b,
    "Expand": lambda _, a, shape: a * np.ones(tuple(shape.tolist()), dtype=a.dtype),
    "Floor": lambda _, a: np.floor(a),
    "Gather": _gather,
    "Greater": lambda _, a, b: a > b,
    "Identity": lambda _, a: a,
    "Less": lambda _, a, b: a < b,
    "Max": lambda _, *parts: reduce(np.maximum, parts),
    "Min": lambda _, *parts: reduce(np.minimum, parts),
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, a: -a,
    "Not": lambda _, a: np.logical_not(a),
    "Range": lambda _, start, limit, step: np.arange(start.item(), limit.item(), step.item(), dtype=start.dtype),
    "ReduceProd": _reduce_product,
    "Reshape": _reshape,
    "Slice": _slice,
    "Sqrt": lambda _, a: np.sqrt(a),
    "Squeeze": _squeeze,
    "Sub": lambda _, a, b: a - b,
    "Transpose": lambda attributes, a: np.transpose(a, attributes.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, condition, a, b: np.where(condition, a, b),
}
