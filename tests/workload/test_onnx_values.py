"""Shape arithmetic agrees with ONNX's reference implementation, and refuses to guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from armillary.workload.onnx_reader.values import MAX_ELEMENTS, constant_value, evaluate, tensor_value

I64 = np.int64


def ints(*values: int) -> np.ndarray[Any, Any]:
    return np.asarray(values, I64)


def scalar(value: float, dtype: Any = I64) -> np.ndarray[Any, Any]:
    return np.asarray(value, dtype)


SEVEN, MIXED = ints(7), ints(-7, 7, -8, 0, 5)
GRID = np.arange(24, dtype=I64).reshape(2, 3, 4)

CASES: list[tuple[str, list[np.ndarray[Any, Any]], dict[str, Any]]] = [
    ("Add", [MIXED, SEVEN], {}),
    ("Cast", [np.asarray([1.9, -1.9], np.float32)], {"to": TensorProto.INT64}),
    ("Ceil", [np.asarray([1.2, -1.2], np.float32)], {}),
    ("Concat", [ints(1, 2), ints(3)], {"axis": 0}),
    ("Concat", [GRID, GRID], {"axis": -1}),
    ("ConstantOfShape", [ints(2, 3)], {}),
    ("ConstantOfShape", [ints(2)], {"value": numpy_helper.from_array(ints(9))}),
    ("Div", [ints(7, 8, 9), ints(2, 2, 2)], {}),
    ("Div", [np.asarray([7.0], np.float32), np.asarray([2.0], np.float32)], {}),
    ("Equal", [MIXED, SEVEN], {}),
    ("Expand", [ints(1, 2, 3), ints(2, 3)], {}),
    ("Expand", [GRID[:, :1], ints(3, 4)], {}),
    ("Floor", [np.asarray([1.8, -1.2], np.float32)], {}),
    ("Gather", [GRID, ints(1, 0, -1)], {"axis": 1}),
    ("Gather", [ints(4, 5, 6), scalar(-1)], {}),
    ("Greater", [MIXED, SEVEN], {}),
    ("Identity", [GRID], {}),
    ("Less", [MIXED, SEVEN], {}),
    ("Max", [MIXED, SEVEN], {}),
    ("Min", [MIXED, SEVEN, ints(1)], {}),
    ("Mul", [MIXED, SEVEN], {}),
    ("Neg", [MIXED], {}),
    ("Not", [np.asarray([True, False])], {}),
    ("Range", [scalar(2), scalar(11), scalar(3)], {}),
    ("ReduceProd", [GRID, ints(1)], {"keepdims": 0}),
    ("ReduceProd", [ints(2, 3, 4)], {}),
    ("Reshape", [GRID, ints(4, -1)], {}),
    ("Reshape", [GRID, ints(0, -1)], {}),
    ("Slice", [GRID, ints(1), ints(3), ints(1), ints(1)], {}),
    ("Slice", [GRID, ints(-1), ints(-100), ints(2), ints(-1)], {}),
    ("Slice", [ints(1, 2, 3, 4), ints(-2), ints(2**62)], {}),
    ("Sqrt", [np.asarray([4.0], np.float32)], {}),
    ("Squeeze", [GRID[None], ints(0)], {}),
    ("Squeeze", [ints(5)], {}),
    ("Sub", [MIXED, SEVEN], {}),
    ("Transpose", [GRID], {}),
    ("Transpose", [GRID], {"perm": [1, 0, 2]}),
    ("Unsqueeze", [GRID, ints(0, -1)], {}),
    ("Where", [np.asarray([True, False]), ints(1, 2), ints(3, 4)], {}),
]


def build(op_type: str, inputs: list[np.ndarray[Any, Any]], attributes: dict[str, Any]) -> NodeProto:
    return helper.make_node(op_type, [f"i{index}" for index in range(len(inputs))], ["y"], **attributes)


@pytest.mark.parametrize(("op_type", "inputs", "attributes"), CASES)
def test_value_equals_the_reference_implementation(
    op_type: str, inputs: list[np.ndarray[Any, Any]], attributes: dict[str, Any]
) -> None:
    node = build(op_type, inputs, attributes)
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in zip(node.input, inputs, strict=True)
    ]
    graph = helper.make_graph([node], "one", infos, [helper.make_empty_tensor_value_info("y")])
    reference = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))
    (expected,) = map(np.asarray, reference.run(None, dict(zip(node.input, inputs, strict=True))))
    value = evaluate(node, inputs)
    assert value is not None
    assert value.dtype == expected.dtype
    np.testing.assert_array_equal(value, expected)


def test_integer_division_truncates_towards_zero() -> None:
    """As the operator's definition says (and C does), where NumPy rounds down."""
    value = evaluate(build("Div", [], {}), [ints(-7, 7, -7), ints(2, -2, -2)])
    assert value is not None
    assert value.tolist() == [-3, -3, 3]


@pytest.mark.parametrize(
    ("op_type", "inputs"),
    [
        ("Div", [ints(1), ints(0)]),
        ("Gather", [ints(1), ints(5)]),
        ("Reshape", [GRID, ints(5, 5)]),
        ("Concat", [ints(1)]),
        ("Slice", [ints(1)]),
        ("Squeeze", [ints(1, 2), ints(0)]),
        ("Add", [ints(1)]),
        ("Relu", [ints(1)]),
    ],
)
def test_what_cannot_be_computed_has_no_value(op_type: str, inputs: list[np.ndarray[Any, Any]]) -> None:
    assert evaluate(build(op_type, inputs, {}), inputs) is None


def test_axes_of_old_operator_sets_are_attributes() -> None:
    value = evaluate(build("Unsqueeze", [], {"axes": [0]}), [ints(3, 4)])
    assert value is not None
    assert value.shape == (1, 2)
    sliced = evaluate(build("Slice", [], {"starts": [1], "ends": [3], "axes": [0]}), [ints(1, 2, 3, 4)])
    assert sliced is not None
    assert sliced.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"value_int": 3}, 3),
        ({"value_ints": [3, 4]}, [3, 4]),
        ({"value_float": 0.5}, 0.5),
        ({"value_floats": [0.5]}, [0.5]),
    ],
)
def test_constants_have_the_value_of_their_attribute(attributes: dict[str, Any], expected: object) -> None:
    value = constant_value(helper.make_node("Constant", [], ["y"], **attributes))
    assert value is not None
    assert value.tolist() == expected


def test_large_and_textual_constants_have_no_value() -> None:
    big = numpy_helper.from_array(np.zeros(MAX_ELEMENTS + 1, np.float32))
    assert tensor_value(big) is None
    assert constant_value(helper.make_node("Constant", [], ["y"], value=big)) is None
    assert constant_value(helper.make_node("Constant", [], ["y"], value_string="text")) is None
    assert tensor_value(TensorProto(data_type=TensorProto.FLOAT, dims=[2], int64_data=[1, 2])) is None
