"""Layers: operators that run as one, and tensors that need no copy.

In:  a folded `Graph` and a `Chip`.
Out: `Network`: layers in order, each with the activations it reads (as the tensors that really exist), its weights and
its outputs. A bias and an activation ride on the convolution or gemm before them, an activation on a binary operator
too. Views never run; concatenations and slices that the chip can address do not either: their readers read the pieces
where they lie.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from armillary.hardware import Chip
from armillary.npu.fold import ABSORBS_NORM
from armillary.workload import Graph, Operator, OpKind

_ADDRESSED = frozenset({OpKind.CONCAT, OpKind.SLICE})
_BINARY = frozenset({OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE})


@dataclass(frozen=True, slots=True)
class Layer:
    """Operators that run as one: the one that does the work, and those that ride on it."""

    op: Operator
    reads: tuple[str, ...]  # activations as the operator names them (their shapes count)
    sources: tuple[str, ...]  # tensors that layers or the caller wrote, of which `reads` are views or pieces
    weights: tuple[str, ...]
    outputs: tuple[str, ...]  # those of the operator, and copies of its rows that are stored besides
    fused: tuple[str, ...] = ()  # names of the operators that ride on it
    source_bytes: tuple[int, ...] = ()  # that it reads of each source, where it reads some rows only; else ()

    @property
    def name(self) -> str:
        """Name of the operator that does the work."""
        return self.op.name


@dataclass(frozen=True, slots=True)
class Network:
    """A graph as layers (output of `fuse`)."""

    graph: Graph
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]  # tensors that layers wrote, of which the graph's outputs are views


def fuse(graph: Graph, chip: Chip) -> Network:
    """Group the operators of `graph` into layers for `chip`."""
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in graph.inputs}
    layers: list[Layer] = []
    writer: dict[str, int] = {}  # tensor -> index of the layer that wrote it
    addressed = {OpKind.VIEW, *(kind for kind in _ADDRESSED if kind.value in chip.vector.operators)}
    for op in graph.operators:
        activations = tuple(name for name in op.inputs if not graph.tensors[name].constant)
        if op.kind in addressed and activations:
            pieces = tuple(dict.fromkeys(piece for name in activations for piece in sources[name]))
            sources.update(dict.fromkeys(op.outputs, pieces))
            continue
        host = writer.get(activations[0]) if activations else None
        if host is not None and _rides(op, layers[host], graph, chip):
            layers[host] = _with_rider(layers[host], op)
            at = host
        else:
            at = len(layers)
            layers.append(
                Layer(
                    op=op,
                    reads=activations,
                    sources=tuple(dict.fromkeys(piece for name in activations for piece in sources[name])),
                    weights=tuple(name for name in op.inputs if graph.tensors[name].constant),
                    outputs=op.outputs,
                )
            )
        for name in op.outputs:
            sources[name] = (name,)
            writer[name] = at
    outputs = tuple(dict.fromkeys(piece for name in graph.outputs for piece in sources.get(name, ())))
    return Network(graph, tuple(layers), graph.inputs, outputs)


def _rides(op: Operator, layer: Layer, graph: Graph, chip: Chip) -> bool:
    """True if `op` can be part of the output stage of `layer`."""
    written, kind = layer.outputs[0], layer.op.kind
    alone = len(graph.consumers[written]) == 1 and written not in graph.outputs
    if not alone or layer.op.activation is not None:
        return False
    on_array = kind in ABSORBS_NORM and kind.value in chip.array.operators
    if op.kind is OpKind.ACTIVATION:
        named = op.activation.value if op.activation is not None else "other"
        on_vector = kind in _BINARY and kind.value in chip.vector.operators
        return (on_array and named in chip.array.activations) or (on_vector and named in chip.vector.activations)
    # A constant added to every output is a bias.
    constants = [name for name in op.inputs if graph.tensors[name].constant]
    return on_array and op.kind is OpKind.ADD and len(constants) == 1 == len(op.inputs) - 1


def _with_rider(layer: Layer, op: Operator) -> Layer:
    bias = op.inputs[1:] if op.kind is OpKind.ADD else ()
    return replace(
        layer,
        op=replace(layer.op, activation=op.activation, outputs=op.outputs),
        weights=(*layer.weights, *bias),
        outputs=op.outputs,
        fused=(*layer.fused, op.name),
    )
