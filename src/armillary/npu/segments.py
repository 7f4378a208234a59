"""Which activations can lie in segments of rows, one a tile of the chip, instead of whole in every tile.

In:  a `Network`, its placements and shapes, the rows that a tile gets where a layer is split over its rows.
Out: `Flows`: every activation that may stay in the scratchpad, who touches it, and the bytes it takes in one tile,
whole and in segments.
Model: a tile holds the rows that it writes and those that it reads, from the first to the last of either (halo rows
beyond its own come from its neighbours). Layers must agree on what a row is: a window reads rows around its own, an
operator element by element and a gemm just their own; what mixes rows (products of matrices, transpositions, resizing,
reductions) needs the whole activation in every tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.npu.fuse import Layer, Network
from armillary.npu.geometry import WINDOWED, Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.workload import Graph, OpKind

# Each output row needs the same rows of inputs of the same shape.
_ROW_BY_ROW = frozenset(
    {
        OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE, OpKind.ACTIVATION, OpKind.BATCH_NORM, OpKind.QUANTIZE,
        OpKind.SOFTMAX, OpKind.NORM,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flows:
    """Activations that may stay; columns have shape (tensors,)."""

    names: tuple[str, ...]
    writer: tuple[int, ...]  # layer, -1: an input of the network
    users: tuple[tuple[int, ...], ...]  # layers that write or read it
    by_rows: npt.NDArray[np.bool_]  # may lie in segments, where all its users are split over rows
    whole_bytes: IntArray
    segment_bytes: IntArray  # of the largest segment, as `whole_bytes` where it cannot


class _Lines(NamedTuple):
    """How output rows map to lines of a tensor: lines `stride * row - pad` up to `+ reach`, within each image."""

    lines: int  # of the tensor
    stride: int = 1
    pad: int = 0
    reach: int = 1
    from_lines: int = 0  # rows of one image of the layer, 0: rows and lines are the same
    to_lines: int = 0  # lines of one image of the tensor


def flows(
    network: Network, placements: tuple[Placement, ...], shapes: Geometry, rows: IntArray, tiles: int, *, dram: bool
) -> Flows:
    """Return the activations that may stay.

    Args:
        network: layers in order.
        placements: where they run; what the host touches does not stay.
        shapes: whole layers.
        rows: output rows of the largest part of each layer that is split over rows, shape (layers,).
        tiles: of the chip.
        dram: True if inputs of the network come through DRAM, where they remain.
    """
    graph, ends = network.graph, frozenset(network.outputs)
    accesses: dict[str, list[tuple[int, _Lines | None]]] = {} if dram else {name: [] for name in network.inputs}
    writer = dict.fromkeys(accesses, -1)
    all_rows = shapes.rows.tolist()
    for index, layer in enumerate(network.layers):
        for name in layer.outputs:
            writer[name] = index
            accesses[name] = [(index, _written(layer, name, graph, all_rows[index]))]
        for name in dict.fromkeys(layer.sources):
            if name in accesses:
                accesses[name].append((index, _read(layer, name, graph, all_rows[index])))
    on_chip = [placement.engine != Engine.HOST for placement in placements]
    names = tuple(
        name for name, users in accesses.items() if name not in ends and users and all(on_chip[at] for at, _ in users)
    )
    by_rows = np.array([_agree([lines for _, lines in accesses[name]]) for name in names], np.bool_)
    whole = np.array([graph.tensors[name].bytes for name in names], np.int64)
    segment = whole.copy()
    chosen = np.flatnonzero(by_rows).tolist()
    if chosen:
        segment[chosen] = _segment_bytes([accesses[names[at]] for at in chosen], whole[chosen], shapes, rows, tiles)
    return Flows(
        names,
        tuple(writer[name] for name in names),
        tuple(tuple(at for at, _ in accesses[name]) for name in names),
        by_rows,
        whole,
        segment,
    )


def _segment_bytes(
    accesses: list[list[tuple[int, _Lines | None]]], whole: IntArray, shapes: Geometry, rows: IntArray, tiles: int
) -> IntArray:
    """Return the bytes of the largest segment of each tensor, shape (tensors,)."""
    flat = [
        (tensor, layer, *lines) for tensor, users in enumerate(accesses) for layer, lines in users if lines is not None
    ]
    table = np.array(flat, np.int64)
    tensor, layer, lines, stride, pad, reach, from_lines, to_lines = (column[:, None] for column in table.T)
    from_lines, to_lines = np.where(from_lines, from_lines, lines), np.where(to_lines, to_lines, lines)
    part, total = rows[layer], shapes.rows[layer]
    first = np.minimum(np.arange(tiles) * part, total)
    end = np.minimum(first + part, total)
    last = np.maximum(end - 1, 0)
    low = first // from_lines * to_lines + np.clip(first % from_lines * stride - pad, 0, to_lines)
    high = last // from_lines * to_lines + np.clip(last % from_lines * stride - pad + reach, 0, to_lines)
    empty = first >= end
    lowest, highest = np.full((len(whole), tiles), np.iinfo(np.int64).max), np.zeros((len(whole), tiles), np.int64)
    np.minimum.at(lowest, tensor[:, 0], np.where(empty, lines, low))
    np.maximum.at(highest, tensor[:, 0], np.where(empty, 0, high))
    longest = np.maximum(highest - lowest, 0).max(axis=1)
    all_lines = np.array([users[0][1].lines if users[0][1] is not None else 1 for users in accesses], np.int64)
    return np.asarray(np.minimum(whole, -(-whole * longest // all_lines)), np.int64)


def _agree(users: list[_Lines | None]) -> bool:
    """True if all layers work row by row on the tensor and count its rows alike."""
    return len({lines.lines if lines is not None else 0 for lines in users} | {0}) == 2 and None not in users


def _written(layer: Layer, name: str, graph: Graph, rows: int) -> _Lines | None:
    """Return the lines of its output `name` that rows of `layer` write, None if a part of them writes no segment."""
    op, shape = layer.op, graph.tensors[name].shape
    lines = _lines(shape, op.kind)
    if op.kind is OpKind.CONV_TRANSPOSE and op.window is not None and len(shape) == 4:
        stride, pads = op.window.stride[0], op.window.pads
        apart = op.window.kernel[0] == stride and pads == (0, 0, 0, 0)  # else neighbouring rows add up
        return _Lines(lines, stride, 0, stride, rows // shape[0], shape[2]) if apart else None
    return _Lines(lines) if lines == rows else None


def _read(layer: Layer, name: str, graph: Graph, rows: int) -> _Lines | None:
    """Return the lines of `name` that rows of `layer` read, None if a part of them may read any."""
    op, out = layer.op, graph.tensors[layer.outputs[0]].shape
    shape, lines = graph.tensors[name].shape, _lines(graph.tensors[name].shape, op.kind)
    # What is no source itself is a view, or pieces of sources put together: of this one too, perhaps.
    views = [graph.tensors[read].shape for read in layer.reads if read == name or read not in layer.sources]
    if not views or not all(view == shape or _same_lines(view, shape, op.kind) for view in views):
        return None
    if op.kind in WINDOWED:
        if op.window is None or len(shape) != 4 or len(out) != 4:
            return None
        reach = (op.window.kernel[0] - 1) * op.window.dilation[0] + 1
        return _Lines(lines, op.window.stride[0], op.window.pads[0], reach, out[2], shape[2])
    alike = op.kind is OpKind.GEMM or op.kind is OpKind.CONV_TRANSPOSE
    # Norms of images take their statistics over all rows.
    alike |= op.kind in _ROW_BY_ROW and all(view == out for view in views) and (op.kind, len(out)) != (OpKind.NORM, 4)
    return _Lines(lines) if alike and lines == rows else None


def _lines(shape: tuple[int, ...], kind: OpKind) -> int:
    """Return the rows of a tensor as layers of this kind count them (`geometry`)."""
    if len(shape) == 4 and kind not in (OpKind.GEMM, OpKind.MATMUL):
        return shape[0] * shape[2]
    return prod(shape[:-1])


def _same_lines(view: tuple[int, ...], shape: tuple[int, ...], kind: OpKind) -> bool:
    """True if a view keeps the rows of `shape` where they are: other channels of the same map, or the same matrix."""
    if len(view) == len(shape) == 4:
        return (view[0], *view[2:]) == (shape[0], *shape[2:]) and view[1] != shape[1]
    return _lines(view, kind) == _lines(shape, kind) and view[-1:] == shape[-1:] and 4 not in (len(view), len(shape))
