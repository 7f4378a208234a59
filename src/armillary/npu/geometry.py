"""The shape of every layer as columns: what tiling and cost functions need, one row a layer.

In:  a `Network` and its placements.
Out: `Geometry`, arrays of shape (layers,): rows that can be split, positions a row, products summed, output channels,
bytes of activations and weights, and the window's reach over input rows.
A row is a line of the output (all images of the batch below each other), or one row of a matrix; the matrices of a
batched product (heads of attention) lie below each other too, and each is a product of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.npu.fuse import Layer, Network
from armillary.npu.place import Placement
from armillary.workload import Activation, Graph, OpKind, Window, operator_macs

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MILLION: Final = 1_000_000
KINDS: Final = tuple(OpKind)
"What the column `kind` counts."
FUNCTIONS: Final = ("", *(activation.value for activation in Activation))
"What the column `function` counts."

# Passes over the elements that one operator makes: softmax finds the maximum, sums exponentials, divides;
# a norm finds mean, variance, then scales.
_PASSES = {OpKind.SOFTMAX: 3, OpKind.NORM: 3}
WINDOWED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.MAX_POOL, OpKind.AVG_POOL})
_BINARY = frozenset({OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE})
_MAPS = WINDOWED | {OpKind.CONV_TRANSPOSE, OpKind.GLOBAL_POOL}
# Channels do not mix: a tile of output channels needs only the same channels of the input.
_BY_CHANNEL = frozenset(
    {
        OpKind.DEPTHWISE, OpKind.MAX_POOL, OpKind.AVG_POOL, OpKind.GLOBAL_POOL, OpKind.ADD, OpKind.MUL,
        OpKind.ELEMENTWISE, OpKind.ACTIVATION, OpKind.BATCH_NORM, OpKind.QUANTIZE,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Geometry:
    """Shapes of all layers; every array has shape (layers,), elements unless the name says bytes."""

    rows: IntArray  # output rows that tiles may split
    positions: IntArray  # output positions of one row
    outputs: IntArray  # output channels that tiles may split
    reduction: IntArray  # products summed for one output (0: not an array operator)
    window: IntArray  # products among them that each input channel has, else 1
    depth: IntArray  # input channels among them, over which sums may be split; 1 where they may not
    group_outputs: IntArray  # output channels that share their inputs (grouped convolutions), else `outputs`
    widening: IntArray  # array outputs per output channel and position (transposed convolutions: kernel area), else 1
    each: IntArray  # output positions that share their weights (one matrix of a batched product), else all
    repeats: IntArray  # times that the whole product is done one after the other (steps of a recurrent layer), else 1
    taps: IntArray  # elements that one output of a pool or depthwise reads a channel, else 1
    passes: IntArray  # passes of the vector engine over its elements
    macs: IntArray
    in_elements: IntArray
    out_elements: IntArray
    in_bytes: IntArray
    out_bytes: IntArray
    weight_bytes: IntArray  # constants that every inference reads whole
    table_bytes: IntArray  # constants read by rows: tables to look up, learned positions added to every row
    row_bytes: IntArray  # bytes of the rows that an inference reads of them
    in_rows: IntArray  # rows of the input that `rows` cover
    reach: IntArray  # input rows that one output row reads
    stride: IntArray  # input rows between output rows
    maps: IntArray  # 1 where rows and positions are those of feature maps, 0 where of matrices
    by_channel: IntArray  # 1 where a tile of output channels needs the same input channels only
    kind: IntArray  # index into KINDS
    function: IntArray  # index into FUNCTIONS of an activation that runs alone, else 0
    padded: IntArray  # millionths of all pairs (output position, tap of its window) that meet padding, not the input

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def constant_bytes(self) -> IntArray:
        """Bytes of all constants of each layer, as they lie in memory."""
        return self.weight_bytes + self.table_bytes


def geometry(network: Network, placements: tuple[Placement, ...]) -> Geometry:
    """Return the shapes of all layers of `network`."""
    rows = [_shape(layer, network.graph) for layer in network.layers]
    columns = zip(*rows, strict=True) if rows else [()] * len(fields(Geometry))
    return Geometry(*(np.array(column, np.int64) for column in columns))


def input_rows(shapes: Geometry, index: int | IntArray, rows: IntArray) -> IntArray:
    """Return the input rows that `rows` output rows of layer `index` read."""
    read = (rows - 1) * shapes.stride[index] + shapes.reach[index]
    return np.minimum(read, shapes.in_rows[index])


def _shape(layer: Layer, graph: Graph) -> tuple[int, ...]:
    """Return the fields of `Geometry` for one layer."""
    op, kind = layer.op, layer.op.kind
    tensors = graph.tensors
    out = tensors[layer.outputs[0]].shape
    ins = [tensors[name] for name in layer.reads]
    first = ins[0].shape if ins else out
    rows, positions, outputs = _split(out, matrix=kind in (OpKind.GEMM, OpKind.MATMUL))
    each = rows * positions
    reduction, window, depth, widening, repeats, taps = 0, 1, 1, 1, 1, 1
    in_rows, reach, stride = rows, 1, 1
    group_outputs = outputs
    macs = operator_macs(graph, op)
    match kind:
        case OpKind.CONV:
            weights = tensors[op.inputs[1]].shape
            reduction, window, depth = prod(weights[1:]), prod(weights[2:]), weights[1]
            group_outputs = outputs // op.groups
        case OpKind.DEPTHWISE:
            taps = prod(tensors[op.inputs[1]].shape[1:])
        case OpKind.CONV_TRANSPOSE:
            weights = tensors[op.inputs[1]].shape
            rows, positions, _ = _split(first)
            each = rows * positions
            reduction, depth, widening, in_rows = weights[0], weights[0], prod(weights[2:]), rows
        case OpKind.GEMM:
            reduction = depth = tensors[op.inputs[1]].shape[0]
        case OpKind.MATMUL:
            reduction, each = tensors[op.inputs[0]].shape[-1], out[-2] if len(out) > 1 else 1
            depth = reduction
        case OpKind.RECURRENT:
            # ONNX order: data (steps, batch, features), W (directions, gates, features), R (directions, gates, hidden).
            w, r = (tensors[name].shape for name in op.inputs[1:3])
            reduction, outputs, repeats = w[-1] + r[-1], w[1], first[0] * w[0]
            rows, positions, group_outputs, in_rows, each = 1, first[1], w[1], 1, first[1]
        case OpKind.GLOBAL_POOL:
            taps = max(1, prod(first) // prod(out))
        case OpKind.MAX_POOL | OpKind.AVG_POOL if op.window is not None:
            taps = prod(op.window.kernel)
        case _:
            pass
    if kind in WINDOWED and op.window is not None and len(first) == 4:
        reach, stride, in_rows = _reach(op.window), op.window.stride[0], first[0] * first[2]
    padded = _padded(op.window, first, out) if kind in WINDOWED and op.window is not None else 0
    by_channel = kind in _BY_CHANNEL and len(out) == 4 and first[:2] == out[:2]
    if reduction == 0 and not by_channel:
        outputs = group_outputs = 1
        positions = max(1, prod(out) // rows)
    constants, table, row = sum(tensors[name].bytes for name in layer.weights), 0, 0
    follows = kind in _BINARY and not by_channel and _one_a_place(layer, graph)
    if (kind is OpKind.GATHER and layer.reads) or follows:
        # Which rows a look-up takes is known at run time only: together they are as large as what is written.
        constants, table = 0, constants
        row = min(table, sum(tensors[name].bytes for name in layer.outputs))
    return (
        rows, positions, outputs, reduction, window, max(1, depth), group_outputs, widening, each, repeats, taps,
        _PASSES.get(kind, 1), macs,
        sum(tensor.elements for tensor in ins), sum(tensors[name].elements for name in op.outputs),
        sum(tensor.bytes for tensor in ins), sum(tensors[name].bytes for name in op.outputs),
        constants, table, row, in_rows, reach, stride, int(kind in _MAPS and len(out) == 4), int(by_channel),
        KINDS.index(kind), _function(layer), padded,
    )  # fmt: skip


def _one_a_place(layer: Layer, graph: Graph) -> bool:
    """True if the constants of `layer` have an element for every place of one item of its output."""
    out = graph.tensors[layer.outputs[0]]
    return bool(layer.weights) and all(
        graph.tensors[name].elements * out.shape[0] >= out.elements for name in layer.weights
    )


def _split(shape: tuple[int, ...], *, matrix: bool = False) -> tuple[int, int, int]:
    """Return (rows, positions of a row, channels) of a feature map, or of matrices below each other."""
    if len(shape) == 4 and not matrix:
        batch, channels, height, width = shape
        return batch * height, width, channels
    if len(shape) >= 2:
        return prod(shape[:-1]), 1, shape[-1]
    return 1, 1, prod(shape)


def _function(layer: Layer) -> int:
    """Return what a layer that is nothing but an activation computes, 0 for others."""
    if layer.op.kind is not OpKind.ACTIVATION:
        return 0
    return FUNCTIONS.index((layer.op.activation or Activation.OTHER).value)


def _padded(window: Window, read: tuple[int, ...], written: tuple[int, ...]) -> int:
    """Return the millionths of all pairs (output position, tap) that meet padding."""
    pairs = prod((*written[2:], *window.kernel))
    if not any(window.pads) or len(read) != 4 or len(written) != 4 or pairs <= 0:
        return 0
    inside = 1
    for side in (0, 1):
        stride, pad, step = window.stride[side], window.pads[side], window.dilation[side]
        size, outputs = read[2 + side], written[2 + side]
        meets = 0
        for tap in range(window.kernel[side]):
            # Output x reads input x * stride - pad + tap * step.
            offset = tap * step - pad
            meets += max(0, min(outputs - 1, (size - 1 - offset) // stride) - max(0, -(offset // stride)) + 1)
        inside *= meets
    return MILLION - MILLION * inside // pairs


def _reach(window: Window) -> int:
    return (window.kernel[0] - 1) * window.dilation[0] + 1
