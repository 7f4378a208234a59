"""Fold what costs nothing at run time into what does: constants, batch norms, quantise pairs, explicit pads.

In:  a `Graph` as importers deliver it.
Out: a `Graph` with the same outputs: operators over constants are gone, a batch norm behind a convolution or gemm is
part of its weights and bias, quantisations that change nothing or undo each other are gone, pads are part of windows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from armillary.workload import Graph, Operator, OpKind

ABSORBS_NORM = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.CONV_TRANSPOSE, OpKind.GEMM})
_PADDED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.MAX_POOL, OpKind.AVG_POOL})


def fold(network: Graph) -> Graph:
    """Return `network` without the operators that a compiler evaluates or merges before run time."""
    return fold_pads(fold_batch_norms(fold_quantise_pairs(fold_constants(network))))


def fold_constants(graph: Graph) -> Graph:
    """Turn the outputs of operators that read constants only into constants."""
    tensors = dict(graph.tensors)
    kept: list[Operator] = []
    for op in graph.operators:
        evaluated = bool(op.inputs) and all(tensors[name].constant for name in op.inputs)
        if evaluated and not set(op.outputs) & set(graph.outputs):
            for name in op.outputs:
                tensors[name] = replace(tensors[name], constant=True)
        else:
            kept.append(op)
    return replace(graph, tensors=tensors, operators=tuple(kept))


def fold_quantise_pairs(graph: Graph) -> Graph:
    """Drop quantisations that keep the element type, and pairs of which the second undoes the first."""
    source: dict[str, str] = {}
    for op in graph.operators:
        if op.kind is not OpKind.QUANTIZE:
            continue
        read, written = source.get(op.inputs[0], op.inputs[0]), op.outputs[0]
        if graph.tensors[read].dtype == graph.tensors[written].dtype:
            source[written] = read
            continue
        before = graph.producer.get(read)
        if before is not None and before.kind is OpKind.QUANTIZE:
            origin = source.get(before.inputs[0], before.inputs[0])
            if graph.tensors[origin].dtype == graph.tensors[written].dtype:
                source[written] = origin
    return _without_unread(_reading(graph, source))


def fold_batch_norms(graph: Graph) -> Graph:
    """Merge each batch norm into the convolution or gemm before it, if nothing else reads that one's output.

    The scale goes into the weights; the shift is the bias (an existing bias takes the shift up).
    """
    replaced: dict[str, Operator | None] = {}
    for op in graph.operators:
        if op.kind is not OpKind.BATCH_NORM:
            continue
        before = graph.producer.get(op.inputs[0])
        if before is None or before.kind not in ABSORBS_NORM or not _only_reader(graph, op.inputs[0]):
            continue
        bias = before.inputs[2:3] or op.inputs[2:3]
        replaced[before.name] = replace(before, inputs=(*before.inputs[:2], *bias), outputs=op.outputs)
        replaced[op.name] = None
    return _replacing(graph, replaced)


def fold_pads(graph: Graph) -> Graph:
    """Merge each pad of height and width into the window of its only reader, half on either side."""
    replaced: dict[str, Operator | None] = {}
    for op in graph.operators:
        if op.kind is not OpKind.PAD or not _only_reader(graph, op.outputs[0]):
            continue
        (reader,) = graph.consumers[op.outputs[0]]
        before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
        images = (
            len(before) == len(after) == 4
            and before[:2] == after[:2]
            and min(after[2] - before[2], after[3] - before[3]) >= 0
        )
        if reader.kind not in _PADDED or reader.window is None or reader.name in replaced or not images:
            continue
        high, wide = after[2] - before[2], after[3] - before[3]
        top, left, bottom, right = reader.window.pads
        pads = (top + high // 2, left + wide // 2, bottom + high - high // 2, right + wide - wide // 2)
        inputs = tuple(op.inputs[0] if name == op.outputs[0] else name for name in reader.inputs)
        replaced[reader.name] = replace(reader, inputs=inputs, window=replace(reader.window, pads=pads))
        replaced[op.name] = None
    return _replacing(graph, replaced)


def _only_reader(graph: Graph, tensor: str) -> bool:
    return len(graph.consumers[tensor]) == 1 and tensor not in graph.outputs


def _replacing(graph: Graph, replaced: Mapping[str, Operator | None]) -> Graph:
    """Return `graph` with operators replaced by name (None: dropped)."""
    operators: Iterable[Operator | None] = (replaced.get(op.name, op) for op in graph.operators)
    return replace(graph, operators=tuple(op for op in operators if op is not None))


def _reading(graph: Graph, source: Mapping[str, str]) -> Graph:
    """Return `graph` in which every reader of a tensor in `source` reads what stands for it."""
    if not source:
        return graph
    operators = tuple(replace(op, inputs=tuple(source.get(name, name) for name in op.inputs)) for op in graph.operators)
    return replace(graph, operators=operators, outputs=tuple(source.get(name, name) for name in graph.outputs))


def _without_unread(graph: Graph) -> Graph:
    """Drop quantisations whose output nothing reads any more."""
    unread = {
        op.name: None
        for op in graph.operators
        if op.kind is OpKind.QUANTIZE and not graph.consumers[op.outputs[0]] and op.outputs[0] not in graph.outputs
    }
    return _without_unread(_replacing(graph, unread)) if unread else graph
