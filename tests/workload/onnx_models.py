"""Tiny ONNX models, built in memory: in: nodes and shapes; out: a `ModelProto` that the tests write to a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]


def model(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Shape],
    outputs: Sequence[str],
    *,
    weights: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, Sequence[int] | int] | None = None,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> ModelProto:
    """`weights` are float initializers of zeros, `values` are int64 initializers."""
    initializers = [
        numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in (weights or {}).items()
    ]
    initializers += [
        numpy_helper.from_array(np.asarray(value, np.int64), name) for name, value in (values or {}).items()
    ]
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        initializers,
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def write(folder: Path, proto: ModelProto, name: str = "tiny.onnx") -> Path:
    path = folder / name
    path.write_bytes(proto.SerializeToString())
    return path


def convolutional() -> ModelProto:
    """Conv, batch norm, ReLU6 as Clip, depthwise, pools, a residual, and a classifier: one of each."""
    node = helper.make_node
    return model(
        [
            node("Conv", ["x", "w1", "b1"], ["c1"], "stem", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("BatchNormalization", ["c1", "g", "g2", "g3", "g4"], ["n1"], "stem/bn"),
            node("Constant", [], ["low"], value_float=0.0),
            node("Constant", [], ["high"], value_float=6.0),
            node("Clip", ["n1", "low", "high"], ["r1"], "stem/relu6"),
            node("Conv", ["r1", "w2"], ["d1"], "depthwise", group=8, auto_pad="SAME_UPPER"),
            node("Add", ["d1", "r1"], ["a1"], "residual"),
            node("MaxPool", ["a1"], ["p1"], "pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
            node("GlobalAveragePool", ["p1"], ["p2"], "global"),
            node("Flatten", ["p2"], ["f1"], "flatten"),
            node("Gemm", ["f1", "w3", "b3"], ["y"], "classifier", transB=1),
        ],
        {"x": (1, 3, 16, 16)},
        ["y"],
        weights={"w1": (8, 3, 3, 3), "b1": (8,), "w2": (8, 1, 5, 5), "w3": (10, 8), "b3": (10,)}
        | dict.fromkeys(("g", "g2", "g3", "g4"), (8,)),
    )


def shape_computing() -> ModelProto:
    """Reshape to a target that Shape, Gather, arithmetic and Concat compute, as exporters write it."""
    node = helper.make_node
    return model(
        [
            node("Shape", ["x"], ["s"], "shape"),
            node("Gather", ["s", "zero"], ["batch"], "batch"),
            node("Gather", ["s", "two"], ["height"], "height"),
            node("Div", ["height", "two"], ["half"], "half"),
            node("Mul", ["half", "two"], ["even"], "even"),
            node("Unsqueeze", ["batch", "axis"], ["batch1"], "batch1"),
            node("Unsqueeze", ["even", "axis"], ["even1"], "even1"),
            node("Concat", ["batch1", "even1", "rest"], ["target"], "target", axis=0),
            node("Reshape", ["x", "target"], ["r"], "reshape"),
            node("MatMul", ["r", "w"], ["m"], "project"),
            node("LayerNormalization", ["m", "g", "b"], ["n"], "norm"),
            node("Sigmoid", ["n"], ["g1"], "gate"),
            node("Mul", ["n", "g1"], ["y"], "gated"),
        ],
        {"x": ("batch", 3, "height", "width")},
        ["y"],
        weights={"w": (24, 5), "g": (5,), "b": (5,)},
        values={"zero": 0, "two": 2, "axis": [0], "rest": [-1]},
    )


def recurrent() -> ModelProto:
    """One-dimensional convolution, LSTM and a product of two activations."""
    node = helper.make_node
    return model(
        [
            node("Conv", ["x", "wc"], ["c"], "conv1d", pads=[1, 1], strides=[2]),
            node("Transpose", ["c"], ["t"], "transpose", perm=[2, 0, 1]),
            node("LSTM", ["t", "wl", "rl", "bl"], ["", "h"], "lstm", hidden_size=4),
            node("Squeeze", ["h", "axis"], ["q"], "squeeze"),
            node("Transpose", ["q"], ["qt"], "turn", perm=[1, 0]),
            node("MatMul", ["q", "qt"], ["scores"], "scores"),
            node("Softmax", ["scores"], ["y"], "softmax"),
        ],
        {"x": (2, 6, 10)},
        ["y"],
        weights={"wc": (5, 6, 3), "wl": (1, 16, 5), "rl": (1, 16, 4), "bl": (1, 32)},
        values={"axis": [0]},
    )
