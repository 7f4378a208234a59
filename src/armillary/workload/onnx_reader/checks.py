"""Refuse what cannot or must not be read, before anything is inferred from it.

In:  a parsed `ModelProto` without large payloads (`wire.read_skeleton`).
Out: nothing, or an `InputError` that names the node or tensor: control flow, nested graphs, local functions, tensors
that carry other than what they declare, external data outside the model's folder, sizes beyond the caps.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from armillary.errors import InputError
from armillary.workload.onnx_reader.elements import element
from armillary.workload.onnx_reader.wire import ELIDED_RAW, ELIDED_TYPED

MAX_NODES: Final = 1_000_000
MAX_TENSOR_BYTES: Final = 64 * 1024**3

_CONTROL_FLOW: Final = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_STRING: Final = TensorProto.STRING
# Least bytes of one element in the typed payload fields; the others are varints of at least one byte.
_TYPED_BYTES: Final[dict[int, float]] = {
    TensorProto.FLOAT: 4,
    TensorProto.DOUBLE: 8,
    TensorProto.COMPLEX64: 8,
    TensorProto.COMPLEX128: 16,
}


def printable(name: str) -> str:
    """Return a name as the user would type it, quoted only where it cannot be typed."""
    return name if name.isprintable() and len(name) <= 80 else shown(name)


def check_model(model: ModelProto, where: str) -> None:
    """Refuse a model that holds what cannot be modelled or is malformed.

    Raises:
        InputError: see the module.
    """
    graph: GraphProto = model.graph
    if not graph.node:
        raise InputError("holds no graph", where=where, hint="is it an ONNX model?")
    if len(graph.node) > MAX_NODES:
        raise InputError(f"has {len(graph.node):,} nodes, more than {MAX_NODES:,}", where=where)
    _check_names(model, where)
    if model.functions:
        name = shown(model.functions[0].name)
        raise InputError(f"defines the local function {name}", where=where, hint="inline it with onnx.inliner first")
    for tensor in graph.initializer:
        check_tensor(tensor, f"initializer {shown(tensor.name)}", where)
    for sparse in graph.sparse_initializer:
        check_tensor(sparse.values, f"initializer {shown(sparse.values.name)}", where)
    for index, node in enumerate(graph.node):
        _check_node(node, node_name(node, index), where)


def check_tensor(tensor: TensorProto, what: str, where: str) -> None:
    """Refuse a tensor whose declared size is absurd or is not what the file carries.

    Raises:
        InputError: negative dimension, unknown element type, more than 64 GiB, payload of another size, external data
            outside the model's folder.
    """
    dims = list(tensor.dims)
    if any(size < 0 for size in dims):
        raise InputError(f"{what} has a negative dimension in {dims[:8]}", where=where)
    if tensor.data_type == _STRING:
        return  # never on the data path that is modelled; refused there by its type
    elements = prod(dims)
    bits = elements * element(tensor.data_type, what, where).bits
    declared = -(-bits // 8)
    if declared > MAX_TENSOR_BYTES:
        raise InputError(f"{what} declares {declared:,} bytes, more than 64 GiB", where=where)
    external = {entry.key: entry.value for entry in tensor.external_data}
    raw, typed = (_elided(external.get(key, "0")) for key in (ELIDED_RAW, ELIDED_TYPED))
    if tensor.data_location == TensorProto.EXTERNAL and not raw and not typed:
        _check_location(external.get("location", ""), what, where)
        return
    raw += len(tensor.raw_data)
    typed += 4 * len(tensor.float_data) + 8 * len(tensor.double_data)
    typed += len(tensor.int32_data) + len(tensor.int64_data) + len(tensor.uint64_data)
    if (raw and raw != declared) or (not raw and typed < elements * _TYPED_BYTES.get(tensor.data_type, 0.5)):
        raise InputError(
            f"{what} declares {declared:,} bytes and carries {raw or typed:,}",
            where=where,
            hint="weights that are left out must be marked as external data",
        )


def node_name(node: NodeProto, index: int) -> str:
    """Return the node's name, or its type and position if it has none."""
    return node.name or f"{node.op_type}_{index}"


def shown(name: str) -> str:
    """Quote a name from a file: on one line, at most 80 characters."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _check_names(model: ModelProto, where: str) -> None:
    """Refuse a name that is not UTF-8: protobuf hands such names on as bytes."""
    for name in _names(model):
        if isinstance(name, bytes):
            raise InputError(f"holds a name that is not UTF-8: {name[:40]!r}", where=where)


def _names(model: ModelProto) -> Iterator[object]:
    """Yield every string that later stages read."""
    graph: GraphProto = model.graph
    for opset in model.opset_import:
        yield opset.domain
    for function in model.functions:
        yield function.name
    for info in (*graph.input, *graph.output, *graph.value_info):
        yield info.name
        yield from (dim.dim_param for dim in info.type.tensor_type.shape.dim)
    for tensor in (*graph.initializer, *(sparse.values for sparse in graph.sparse_initializer)):
        yield from _tensor_names(tensor)
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield attribute.name
            for tensor in (attribute.t, *attribute.tensors):
                yield from _tensor_names(tensor)


def _tensor_names(tensor: TensorProto) -> Iterator[object]:
    yield tensor.name
    for entry in tensor.external_data:
        yield from (entry.key, entry.value)


def _check_node(node: NodeProto, name: str, where: str) -> None:
    if node.op_type in _CONTROL_FLOW:
        raise InputError(
            f"node {shown(name)} is control flow ({node.op_type}): which branch runs depends on data",
            where=where,
            hint="export the model without it, or simplify it with fixed inputs",
        )
    for attribute in node.attribute:
        if (
            attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS)
            or attribute.HasField("g")
            or attribute.graphs
        ):
            raise InputError(f"node {shown(name)} ({shown(node.op_type)}) holds a nested graph", where=where)
        for tensor in (*((attribute.t,) if attribute.HasField("t") else ()), *attribute.tensors):
            check_tensor(tensor, f"attribute {shown(attribute.name)} of node {shown(name)}", where)


def _elided(text: str) -> int:
    """Return the size that the skeleton reader noted; a file that imitates the note gains nothing by it."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0


def _check_location(location: str, what: str, where: str) -> None:
    """Refuse a path that leaves the model's folder; no such file is ever opened, whatever it is."""
    for path in (PurePosixPath(location), PureWindowsPath(location)):
        if path.is_absolute() or path.drive or ".." in path.parts:
            raise InputError(f"{what} lies outside the model's folder: {shown(location)}", where=where)
