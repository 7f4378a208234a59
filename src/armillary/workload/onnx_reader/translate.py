"""From typed ONNX nodes to operators of `workload.graph`.

In:  `Tensors` (types, constants, nodes in order). Out: a `Graph`.
Nodes that only compute shapes or constants vanish. One-dimensional convolutions and pools become two-dimensional ones
of height 1 between free views; weights of `Gemm` are turned to (in_features, out_features).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from onnx import NodeProto

from armillary.errors import InputError
from armillary.workload.graph import Activation, Graph, Operator, OpKind, Tensor, Window
from armillary.workload.onnx_reader.attributes import integer, integers, real, window
from armillary.workload.onnx_reader.checks import MAX_TENSOR_BYTES, shown
from armillary.workload.onnx_reader.elements import element
from armillary.workload.onnx_reader.rules import DOMAINS, RULES, Rule
from armillary.workload.onnx_reader.shapes import Tensors

_UNKNOWN = Rule(OpKind.UNKNOWN)
_WINDOWED = frozenset({OpKind.CONV, OpKind.CONV_TRANSPOSE, OpKind.MAX_POOL, OpKind.AVG_POOL})
_WEIGHTED = frozenset({OpKind.CONV, OpKind.CONV_TRANSPOSE})


def translate(source: Tensors, outputs: list[str], name: str) -> Graph:
    """Return the graph that computes `outputs`.

    Raises:
        InputError: a tensor that is needed has no static shape or no numeric type, weights and activations do not fit,
            or nothing depends on an input.
    """
    draft = _Draft(source)
    read = Counter(tensor for _, node in source.nodes for tensor in node.input) + Counter(outputs)
    for node_name, node in source.nodes:
        if not all(tensor in source.constants for tensor in node.output if tensor):
            _translate_node(draft, node_name, node, read)
    if not draft.operators:
        raise InputError("computes nothing from its inputs", where=source.where)
    for tensor in (*source.inputs, *outputs):
        draft.need(tensor, "the graph")
    return Graph(name, draft.tensors, tuple(draft.operators), tuple(source.inputs), tuple(dict.fromkeys(outputs)))


@dataclass(frozen=True, slots=True)
class _Draft:
    """The graph under construction."""

    source: Tensors
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)

    def need(self, name: str, reader: str) -> Tensor:
        """Return the tensor `name`, adding it to the graph; `reader` is named if its shape is not known."""
        if name not in self.tensors:
            shape = self.source.shape(name)
            if shape is None:
                raise InputError(
                    f"the shape of {shown(name)}, needed by {reader}, cannot be inferred",
                    where=self.source.where,
                    hint="it depends on data, or on an operator without declared output shape",
                )
            dtype = element(self.source.data_type(name), shown(name), self.source.where).dtype
            self.add(Tensor(name, shape, dtype, name in self.source.constants))
        return self.tensors[name]

    def add(self, tensor: Tensor) -> str:
        """Add a tensor and return its name."""
        if tensor.bytes > MAX_TENSOR_BYTES:
            raise InputError(
                f"tensor {shown(tensor.name)} is larger than 64 GiB: {tensor.shape}", where=self.source.where
            )
        self.tensors[tensor.name] = tensor
        return tensor.name

    def emit(self, operator: Operator) -> None:
        """Append an operator under a name that is unique in the graph."""
        name = operator.name
        while name in self.names:
            self.names[operator.name] += 1
            name = f"{operator.name}#{self.names[operator.name]}"
        self.names[name] = 1
        self.operators.append(replace(operator, name=name))

    def view(self, name: str, tensor: Tensor, shape: tuple[int, ...]) -> str:
        """Emit a free view of `tensor` with another shape; a constant is simply declared in that shape."""
        if tensor.constant:
            return self.add(Tensor(f"{tensor.name}:2d", shape, tensor.dtype, constant=True))
        viewed = self.add(Tensor(f"{tensor.name}:{name}", shape, tensor.dtype))
        self.emit(Operator(f"{name}/unsqueeze", OpKind.VIEW, (tensor.name,), (viewed,)))
        return viewed


def _translate_node(draft: _Draft, name: str, node: NodeProto, read: Counter[str]) -> None:
    rule = RULES.get(node.op_type, _UNKNOWN) if node.domain in DOMAINS else _UNKNOWN
    label = f"node {shown(name)} ({shown(node.op_type)})"
    positions = range(len(node.input)) if rule.inputs is None else [i for i in rule.inputs if i < len(node.input)]
    inputs = [draft.need(node.input[i], label) for i in positions if node.input[i]]
    # Further outputs that nobody reads (masks, indices, states) need no shape.
    outputs = [tensor for i, tensor in enumerate(node.output) if tensor and (i == 0 or read[tensor])]
    if not inputs or not outputs:
        raise InputError(f"{label} lacks an input or output", where=draft.source.where)
    results = [draft.need(tensor, label) for tensor in outputs]
    if rule.kind in _WINDOWED:
        _translate_windowed(draft, name, node, rule, inputs, results[0], label)
    elif rule.kind in (OpKind.GEMM, OpKind.MATMUL):
        _translate_product(draft, name, node, inputs, results[0], label)
    else:
        kind, activation = _refined(draft.source, node, rule, inputs[0])
        if kind is OpKind.RECURRENT and len(inputs) < 3:
            raise InputError(f"{label} lacks its weights", where=draft.source.where)
        ordered = _activations_first(kind, inputs)
        names = tuple(tensor.name for tensor in results)
        draft.emit(Operator(name, kind, ordered, names, activation=activation, source_op=node.op_type))


def _activations_first(kind: OpKind, inputs: list[Tensor]) -> tuple[str, ...]:
    """Return names, activations before constants; a recurrent layer keeps data, weights, bias, states."""
    if kind is OpKind.RECURRENT:
        return tuple(tensor.name for tensor in inputs)
    return tuple(tensor.name for tensor in sorted(inputs, key=lambda tensor: tensor.constant))


def _refined(source: Tensors, node: NodeProto, rule: Rule, data: Tensor) -> tuple[OpKind, Activation | None]:
    """Return kind and activation where they depend on attributes or constant inputs."""
    if node.op_type == "Clip":
        return rule.kind, _clip(source, node)
    if (
        node.op_type == "ReduceMean"
        and len(data.shape) == 4
        and _axes(source, node) in ((2, 3), (-2, -1), (-1, -2), (3, 2))
    ):
        return OpKind.GLOBAL_POOL, None
    return rule.kind, rule.activation


def _clip(source: Tensors, node: NodeProto) -> Activation:
    """Clip to 0..6 and to 0..infinity have names of their own."""
    bounds = [real(node, "min"), real(node, "max")]
    for position, tensor in enumerate(node.input[1:3]):
        value = source.values.get(tensor)
        bounds[position] = float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
    match bounds:
        case [0.0, 6.0]:
            return Activation.RELU6
        case [0.0, None] if len(node.input) < 3 or not node.input[2]:
            return Activation.RELU
        case _:
            return Activation.CLIP


def _axes(source: Tensors, node: NodeProto) -> tuple[int, ...]:
    """Axes of a reduction, as an attribute (old operator sets) or as a constant input."""
    value = source.values.get(node.input[1]) if len(node.input) > 1 else None
    return integers(node, "axes") if value is None else tuple(np.asarray(value).reshape(-1).astype(int).tolist())


def _translate_windowed(
    draft: _Draft, name: str, node: NodeProto, rule: Rule, inputs: list[Tensor], result: Tensor, label: str
) -> None:
    """Emit a convolution or pool; over one axis as height 1, over three or more as unknown."""
    data, weights = inputs[0], inputs[1:]
    axes = len(data.shape) - 2
    kernel = weights[0].shape[2:] if rule.kind in _WEIGHTED and weights else integers(node, "kernel_shape")
    _check_window(node, rule.kind, inputs, result, kernel, label, draft.source.where)
    if axes > 2:
        names = tuple(tensor.name for tensor in inputs)
        draft.emit(Operator(name, OpKind.UNKNOWN, names, (result.name,), source_op=node.op_type))
        return
    groups = integer(node, "group", 1)
    kind = rule.kind
    if kind is OpKind.CONV and groups == data.shape[1] > 1:
        kind = OpKind.DEPTHWISE
    if kind is OpKind.CONV_TRANSPOSE:
        slid = _transposed_window(node, kernel)
    else:
        slid = window(node, kernel, data.shape[2:], result.shape[2:])
    flat = axes == 1
    source = draft.view(name, data, _raised(data.shape)) if flat else data.name
    shaped = [
        draft.view(name, weight, _raised(weight.shape)) if flat and len(weight.shape) == 3 else weight.name
        for weight in weights
    ]
    target = draft.add(Tensor(f"{result.name}:{name}", _raised(result.shape), result.dtype)) if flat else result.name
    draft.emit(Operator(name, kind, (source, *shaped), (target,), slid, groups, source_op=node.op_type))
    if flat:
        draft.emit(Operator(f"{name}/squeeze", OpKind.VIEW, (target,), (result.name,)))


def _raised(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(batch, channels, length) -> (batch, channels, 1, length)."""
    return (*shape[:2], 1, *shape[2:])


def _check_window(
    node: NodeProto, kind: OpKind, inputs: list[Tensor], result: Tensor, kernel: tuple[int, ...], label: str, where: str
) -> None:
    """Refuse windows and weights that do not fit the data: shape inference lets some pass."""
    data = inputs[0]
    axes = len(data.shape) - 2
    options = [integers(node, option) for option in ("strides", "dilations")]
    fits = axes >= 1 and len(kernel) == axes and len(result.shape) == axes + 2 and min(kernel) > 0
    fits = fits and all(not option or (len(option) == axes and min(option) > 0) for option in options)
    fits = fits and len(integers(node, "pads")) in (0, 2 * axes)
    if not fits:
        raise InputError(f"{label}: window {kernel} does not fit data of shape {data.shape}", where=where)
    if kind not in _WEIGHTED:
        return
    groups = integer(node, "group", 1)
    weight = inputs[1].shape if len(inputs) > 1 else ()
    wanted = data.shape[1] if kind is OpKind.CONV_TRANSPOSE else data.shape[1] // groups if groups > 0 else -1
    given = (weight[0] if kind is OpKind.CONV_TRANSPOSE else weight[1]) if len(weight) == axes + 2 else -1
    if groups < 1 or data.shape[1] % groups or wanted != given:
        raise InputError(
            f"{label}: weights {weight} in {groups} groups do not fit data of shape {data.shape}", where=where
        )


def _transposed_window(node: NodeProto, kernel: tuple[int, ...]) -> Window:
    """Return the window of a transposed convolution, whose pads crop the output."""
    axes = len(kernel)
    ones, lead = (1,) * axes, (1,) * (2 - axes)
    strides, dilations = integers(node, "strides") or ones, integers(node, "dilations") or ones
    pads = integers(node, "pads") or (0,) * (2 * axes)
    before, after = (0,) * (2 - axes) + pads[:axes], (0,) * (2 - axes) + pads[axes:]
    height, width = (*lead, *kernel)
    return Window(
        (height, width), ((*lead, *strides)[0], (*lead, *strides)[1]), (before[0], before[1], after[0], after[1]),
        ((*lead, *dilations)[0], (*lead, *dilations)[1]),
    )  # fmt: skip


def _translate_product(
    draft: _Draft, name: str, node: NodeProto, inputs: list[Tensor], result: Tensor, label: str
) -> None:
    """Emit a matrix product: GEMM with constant weights on the right, else MATMUL."""
    if len(inputs) < 2:
        raise InputError(f"{label} lacks its second matrix", where=draft.source.where)
    a = _oriented(draft, name, inputs[0], transposed=bool(integer(node, "transA", 0)))
    b = _oriented(draft, name, inputs[1], transposed=bool(integer(node, "transB", 0)))
    inner = b.shape[-2] if len(b.shape) > 1 else prod(b.shape)
    if not a.shape or not b.shape or a.shape[-1] != inner:
        raise InputError(f"{label}: cannot multiply shapes {a.shape} and {b.shape}", where=draft.source.where)
    if not b.constant or len(b.shape) > 2:
        kind, weight = OpKind.MATMUL, b.name
    else:
        kind, weight = OpKind.GEMM, b.name if len(b.shape) == 2 else draft.view(name, b, (inner, 1))
    bias = inputs[2] if len(inputs) > 2 else None
    if bias is None or bias.constant:
        extra = () if bias is None else (bias.name,)
        draft.emit(Operator(name, kind, (a.name, weight, *extra), (result.name,), source_op=node.op_type))
        return
    product = draft.add(Tensor(f"{result.name}:{name}", result.shape, result.dtype))
    draft.emit(Operator(name, kind, (a.name, weight), (product,), source_op=node.op_type))
    draft.emit(Operator(f"{name}/add", OpKind.ADD, (product, bias.name), (result.name,), source_op=node.op_type))


def _oriented(draft: _Draft, name: str, tensor: Tensor, *, transposed: bool) -> Tensor:
    """Return the matrix as it enters the product; a constant is declared turned, an activation gets an operator."""
    if not transposed:
        return tensor
    shape = tensor.shape[::-1]
    if tensor.constant:
        turned = Tensor(f"{tensor.name}^T", shape, tensor.dtype, constant=True)
    else:
        turned = Tensor(f"{tensor.name}^T:{name}", shape, tensor.dtype)
        draft.emit(Operator(f"{name}/transpose", OpKind.TRANSPOSE, (tensor.name,), (turned.name,)))
    draft.add(turned)
    return turned
