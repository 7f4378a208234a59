"""The shape and element type of every tensor of a model.

In:  a checked `ModelProto`, and the shapes that the user gives for its inputs.
Out: `Tensors`: type and static shape by name, which tensors are constant, values of the small ones, and the nodes in
an order in which every input precedes its use.
One walk over the nodes: the library's rule for the node (`infer_node_outputs`) gives its shapes, and `values.evaluate`
follows the small integer tensors on which later shapes depend. An operator that the library does not know keeps the
shape that the file declares for its output, else that of its first input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Final

import numpy as np
import onnx
from onnx import (
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
    checker,
    defs,
    helper,
    numpy_helper,
    shape_inference,
)

from armillary.errors import InputError, unknown_name
from armillary.workload.onnx_reader.checks import MAX_TENSOR_BYTES, node_name, printable, shown
from armillary.workload.onnx_reader.elements import element
from armillary.workload.onnx_reader.values import MAX_ELEMENTS, Value, constant_value, evaluate, tensor_value

STANDARD_DOMAINS: Final = ("", "ai.onnx")


@dataclass(frozen=True, slots=True)
class Tensors:
    """What is known of the tensors of one model."""

    where: str
    opsets: dict[str, int]
    types: dict[str, TypeProto] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    constants: set[str] = field(default_factory=set)
    stored: dict[str, int] = field(default_factory=dict)  # element type in which a dequantised constant is stored
    inputs: list[str] = field(default_factory=list)
    nodes: list[tuple[str, NodeProto]] = field(default_factory=list)  # (name, node) in order of execution

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the static shape, or None where it is not known."""
        return _static_shape(self.types[name]) if name in self.types else None

    def data_type(self, name: str) -> int:
        """Return the ONNX element type as the device would hold it."""
        return self.stored.get(name, self.types[name].tensor_type.elem_type)


def infer(model: ModelProto, shapes: Mapping[str, tuple[int, ...]], where: str) -> Tensors:
    """Infer every shape of `model` with its inputs fixed to `shapes`.

    Raises:
        InputError: an open dimension, a shape that contradicts the model, an unknown input, a cycle, or a node that
            rejects its inputs.
    """
    opsets = {"" if opset.domain in STANDARD_DOMAINS else opset.domain: opset.version for opset in model.opset_import}
    tensors = Tensors(where, opsets)
    for initializer in model.graph.initializer:
        _add_constant(tensors, initializer.name, initializer.data_type, list(initializer.dims))
        if (value := tensor_value(initializer)) is not None:
            tensors.values[initializer.name] = value
    for sparse in model.graph.sparse_initializer:
        _add_constant(tensors, sparse.values.name, sparse.values.data_type, list(sparse.dims))
    _add_inputs(tensors, model.graph.input, shapes)
    declared = {info.name: info.type for info in (*model.graph.value_info, *model.graph.output)}
    tensors.nodes.extend(_in_order(model.graph.node, set(tensors.types), where))
    for name, node in tensors.nodes:
        _infer_node(tensors, name, node, declared)
    return tensors


def _add_constant(tensors: Tensors, name: str, data_type: int, dims: list[int]) -> None:
    tensors.types[name] = helper.make_tensor_type_proto(data_type, dims)
    tensors.constants.add(name)


def _add_inputs(tensors: Tensors, inputs: Sequence[ValueInfoProto], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Add the graph inputs that no initializer gives, each with a shape without open dimensions."""
    # Models of the early format list their weights among the inputs.
    real = [info for info in inputs if info.name not in tensors.constants]
    for name in shapes:
        if name not in {info.name for info in real}:
            raise unknown_name("input", name, [printable(info.name) for info in real], where=tensors.where)
    for info in real:
        if not info.type.HasField("tensor_type"):
            raise InputError(f"input {shown(info.name)} is not a tensor", where=tensors.where)
        data_type = info.type.tensor_type.elem_type
        bits = element(data_type, f"input {shown(info.name)}", tensors.where).bits
        sizes = _fixed_sizes(info, shapes.get(info.name), tensors.where)
        if prod(sizes) * bits > MAX_TENSOR_BYTES * 8:
            raise InputError(f"input {shown(info.name)} is larger than 64 GiB: {sizes}", where=tensors.where)
        tensors.types[info.name] = helper.make_tensor_type_proto(data_type, sizes)
        tensors.inputs.append(info.name)


def _fixed_sizes(info: ValueInfoProto, given: tuple[int, ...] | None, where: str) -> list[int]:
    """Return the sizes of an input: the model's own, open dimensions filled from `given`."""
    tensor_type = info.type.tensor_type
    name = shown(info.name)
    if not tensor_type.HasField("shape"):
        if given is None:
            raise InputError(
                f"input {name} has no shape", where=where, hint=f"give it: --shape {printable(info.name)}=SIZES"
            )
        return list(given)
    # Exporters write open dimensions as a name, as nothing, as 0 or as -1.
    own = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor_type.shape.dim]
    words = [
        str(size) if size else printable(dim.dim_param[:24]) or "?"
        for size, dim in zip(own, tensor_type.shape.dim, strict=True)
    ]
    if given is None:
        if None in own:
            sample = [size or (1 if axis == 0 else 224 if len(own) == 4 else 128) for axis, size in enumerate(own)]
            raise InputError(
                f"input {name} leaves dimensions open: ({', '.join(words)})",
                where=where,
                hint=f"give them, for example --shape {printable(info.name)}={','.join(map(str, sample))}",
            )
        return [size for size in own if size is not None]
    if len(given) != len(own) or any(
        size < 1 or (fixed is not None and size != fixed) for size, fixed in zip(given, own, strict=True)
    ):
        raise InputError(f"input {name} is ({', '.join(words)}), the shape given is {given}", where=where)
    return list(given)


def _in_order(nodes: Sequence[NodeProto], available: set[str], where: str) -> list[tuple[str, NodeProto]]:
    """Return nodes with names, sorted so that inputs precede uses; the file's order is kept where it can be.

    Raises:
        InputError: a tensor is written twice, read but never written, or part of a cycle.
    """
    writer: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for output in filter(None, node.output):
            if output in writer or output in available:
                raise InputError(
                    f"tensor {shown(output)} is written twice, last by {shown(node_name(node, index))}", where=where
                )
            writer[output] = index
    before: list[list[int]] = []
    for index, node in enumerate(nodes):
        missing = [name for name in node.input if name and name not in available and name not in writer]
        if missing:
            reader = shown(node_name(node, index))
            raise InputError(f"node {reader} reads {shown(missing[0])}, which nothing writes", where=where)
        before.append([writer[name] for name in node.input if name in writer])
    order: Iterable[int] = range(len(nodes))
    if any(other >= index for index, others in enumerate(before) for other in others):
        try:
            order = tuple(TopologicalSorter(dict(enumerate(before))).static_order())
        except CycleError as error:
            stuck = min(error.args[1])
            name = shown(node_name(nodes[stuck], stuck))
            raise InputError(f"the graph has a cycle through node {name}", where=where) from error
    return [(node_name(nodes[index], index), nodes[index]) for index in order]


def _infer_node(tensors: Tensors, name: str, node: NodeProto, declared: Mapping[str, TypeProto]) -> None:
    """Add the types, and where they matter the values, of one node's outputs."""
    inputs = [tensor for tensor in node.input if tensor]
    inferred = _library_types(tensors, name, node) if all(tensor in tensors.types for tensor in inputs) else {}
    for output in filter(None, node.output):
        known = inferred.get(output)
        if known is None or _static_shape(known) is None:
            known = _fallback_type(tensors, node, declared.get(output), known)
        if known is not None:
            tensors.types[output] = known
    # Shapes are static here, so what depends on nothing but constants and shapes is constant too.
    if node.op_type in ("Shape", "Size") or all(tensor in tensors.constants for tensor in inputs):
        tensors.constants.update(filter(None, node.output))
        if node.op_type == "DequantizeLinear" and inputs and node.output:
            tensors.stored[node.output[0]] = tensors.data_type(inputs[0])
        _add_value(tensors, node, inferred)


def _library_types(tensors: Tensors, name: str, node: NodeProto) -> dict[str, TypeProto]:
    """Return the output types by the library's rule; empty for operators that it does not know."""
    domain = "" if node.domain in STANDARD_DOMAINS else node.domain
    version = tensors.opsets.get(domain)
    if version is None or not defs.has(node.op_type, max_inclusive_version=version, domain=domain):
        return {}
    schema = defs.get_schema(node.op_type, version, domain)
    types = {tensor: tensors.types[tensor] for tensor in node.input if tensor}
    data = {
        tensor: numpy_helper.from_array(tensors.values[tensor], tensor) for tensor in types if tensor in tensors.values
    }
    try:
        return shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid(domain, version)], ir_version=onnx.IR_VERSION
        )
    except (shape_inference.InferenceError, checker.ValidationError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"node {shown(name)} ({shown(node.op_type)}): {reason[0][:200]}", where=tensors.where
        ) from error


def _fallback_type(
    tensors: Tensors, node: NodeProto, declared: TypeProto | None, known: TypeProto | None
) -> TypeProto | None:
    """Return what the file declares, if static; for unknown operators else the first input's type."""
    if declared is not None and _static_shape(declared) is not None:
        return declared
    if known is None and node.input and node.input[0] in tensors.types:
        return tensors.types[node.input[0]]
    return known


def _add_value(tensors: Tensors, node: NodeProto, inferred: Mapping[str, TypeProto]) -> None:
    """Compute the value of a constant output that the library (not the file) says is small."""
    if len(node.output) != 1:
        return
    (output,) = node.output
    shape = _static_shape(inferred[output]) if output in inferred else None
    value: Value | None = None
    if node.op_type == "Constant":
        value = constant_value(node)
    elif node.op_type in ("Shape", "Size"):
        value = _shape_value(tensors, node)
    elif shape is not None and prod(shape) <= MAX_ELEMENTS and all(not t or t in tensors.values for t in node.input):
        value = evaluate(node, [tensors.values[tensor] if tensor else None for tensor in node.input])
    if value is not None:
        tensors.values[output] = value


def _shape_value(tensors: Tensors, node: NodeProto) -> Value | None:
    shape = tensors.shape(node.input[0]) if node.input else None
    if shape is None:
        return None
    if node.op_type == "Size":
        return np.asarray(prod(shape), dtype=np.int64)
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    return np.asarray(shape[attributes.get("start", 0) : attributes.get("end", len(shape))], dtype=np.int64)


def _static_shape(known: TypeProto) -> tuple[int, ...] | None:
    """Return the shape of a tensor type if every dimension is a number."""
    tensor_type = known.tensor_type
    if (
        not known.HasField("tensor_type")
        or tensor_type.elem_type == TensorProto.UNDEFINED
        or not tensor_type.HasField("shape")
    ):
        return None
    sizes = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor_type.shape.dim)
    return None if any(size < 0 for size in sizes) else sizes
