"""Which rows of its inputs a layer needs for some rows of its output.

In:  a `Layer` of a graph; ranges of rows [low, high) of its output, as arrays.
Out: ranges of rows of each tensor it reads (from the first to the last row under its window; one row more on either
side for a resize), or the word that the layer cannot be cut by rows. A row is a line of a feature map (1, channels,
height, width).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from armillary.npu.fuse import Layer
from armillary.npu.geometry import IntArray
from armillary.workload import Graph, OpKind, Tensor, Window

_WINDOWED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.MAX_POOL, OpKind.AVG_POOL})
_LINE_BY_LINE = frozenset(
    {OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE, OpKind.ACTIVATION, OpKind.BATCH_NORM, OpKind.QUANTIZE}
)
_ONE_DATA_INPUT = _WINDOWED | {OpKind.CONV_TRANSPOSE, OpKind.RESIZE}

Ranges = tuple[IntArray, IntArray]  # low and high, each of one shape


@dataclass(frozen=True, slots=True)
class Read:
    """One input of a layer that is cut by rows."""

    name: str  # as the operator names it
    leaves: tuple[str, ...]  # tensors that lie in memory, of which it is made; each has the same rows
    whole: bool  # every stripe needs all of it: one row that is repeated for all


def reads_by_rows(layer: Layer, graph: Graph, real: frozenset[str] | set[str]) -> tuple[Read, ...] | None:
    """Return what `layer` reads when it is cut by rows, None where it cannot be.

    Args:
        layer: a layer of `graph`.
        graph: shapes, and the operators that views and concatenations come from.
        real: tensors that layers or the caller wrote; the others are views of them.
    """
    kind, tensors = layer.op.kind, graph.tensors
    if len(layer.outputs) != 1 or not layer.reads or not _is_map(tensors[layer.outputs[0]]):
        return None
    if kind not in _ONE_DATA_INPUT and kind not in _LINE_BY_LINE:
        return None
    if kind in _ONE_DATA_INPUT and len(layer.reads) != 1:
        return None
    if kind in (_WINDOWED | {OpKind.CONV_TRANSPOSE}) and layer.op.window is None:
        return None
    height = tensors[layer.outputs[0]].shape[2]
    if kind in _LINE_BY_LINE and any(_has_rows(tensors[name]) for name in layer.weights):
        return None  # a constant with rows of its own
    found = []
    for name in layer.reads:
        if not _is_map(tensors[name]):
            return None
        rows = tensors[name].shape[2]
        if kind in _LINE_BY_LINE and rows not in (1, height):
            return None
        leaves = _leaves(name, graph, real)
        if leaves is None or not set(leaves) <= set(layer.sources):
            return None
        found.append(Read(name, leaves, whole=kind in _LINE_BY_LINE and rows != height))
    return tuple(found)


def input_ranges(layer: Layer, graph: Graph, low: IntArray, high: IntArray) -> Ranges:
    """Return the rows of the data that rows [`low`, `high`) of the output of `layer` need, shape as given.

    Window over data: [low * stride - pad, (high - 1) * stride - pad + reach), with reach = (kernel - 1) * dilation + 1,
    less what lies outside of the data. Transposed: the rows i with low <= i * stride - pad + tap < high for a tap of
    the kernel. Rows are counted from 0; a range is never empty, since a layer reads something.
    """
    kind, window = layer.op.kind, layer.op.window
    rows = graph.tensors[layer.reads[0]].shape[2]
    if kind in _WINDOWED and window is not None:
        start = low * window.stride[0] - window.pads[0]
        end = (high - 1) * window.stride[0] - window.pads[0] + reach(window)
    elif kind is OpKind.CONV_TRANSPOSE and window is not None:
        start = -((reach(window) - 1 - low - window.pads[0]) // window.stride[0])
        end = (high - 1 + window.pads[0]) // window.stride[0] + 1
    elif kind is OpKind.RESIZE:
        out_rows = graph.tensors[layer.outputs[0]].shape[2]
        start, end = low * rows // out_rows - 1, -(-high * rows // out_rows) + 1
    else:
        start, end = low, high
    start = np.clip(start, 0, rows - 1)
    return start, np.clip(end, start + 1, rows)


def stripe_window(layer: Layer, graph: Graph, out: tuple[int, int], data: tuple[int, int]) -> Window | None:
    """Return the window of a stripe of `layer` that writes rows `out` from rows `data`: pads where it needs them."""
    window = layer.op.window
    if window is None or layer.op.kind not in _ONE_DATA_INPUT - {OpKind.RESIZE}:
        return window
    stride, left, right = window.stride[0], window.pads[1], window.pads[3]
    if layer.op.kind is OpKind.CONV_TRANSPOSE:
        # What the rows make beyond the stripe is cut off, as pads of a transposed window do.
        top = out[0] - (data[0] * stride - window.pads[0])
        bottom = (data[1] - 1) * stride - window.pads[0] + reach(window) - out[1]
    else:
        top = data[0] - (out[0] * stride - window.pads[0])
        bottom = (out[1] - 1) * stride - window.pads[0] + reach(window) - data[1]
    return replace(window, pads=(max(0, top), left, max(0, bottom), right))


def reach(window: Window) -> int:
    """Return the rows from the first to the last that one position of `window` covers."""
    return (window.kernel[0] - 1) * window.dilation[0] + 1


def row_bytes(tensor: Tensor) -> float:
    """Return the bytes of one row of a feature map."""
    return tensor.bytes / tensor.shape[2]


def _leaves(name: str, graph: Graph, real: frozenset[str] | set[str]) -> tuple[str, ...] | None:
    """Return the tensors in memory of which `name` is made row by row, None where rows are moved about."""
    if name in real:
        return (name,)
    op = graph.producer.get(name)
    if op is None or op.kind not in (OpKind.CONCAT, OpKind.SLICE):
        return None
    data = [each for each in op.inputs if not graph.tensors[each].constant]
    shape = graph.tensors[name].shape
    parts: list[str] = []
    for each in data:
        tensor = graph.tensors[each]
        if not _is_map(tensor) or (tensor.shape[0], *tensor.shape[2:]) != (shape[0], *shape[2:]):
            return None
        leaves = _leaves(each, graph, real)
        if leaves is None:
            return None
        parts += leaves
    return tuple(dict.fromkeys(parts)) or None


def _is_map(tensor: Tensor) -> bool:
    """True for the feature map of one item; the rows of several items do not follow each other."""
    return len(tensor.shape) == 4 and tensor.shape[0] == 1


def _has_rows(tensor: Tensor) -> bool:
    return len(tensor.shape) >= 2 and tensor.shape[-2] > 1
