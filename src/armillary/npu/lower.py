"""Say what the chip lacks in operators that it has.

In:  a folded `Graph` and a `Chip`. Out: a `Graph` with the same outputs.
A batch norm that no convolution took up is one multiplication and one addition with a constant a channel: where the
vector engine has no batch norm but has these two, it runs them.
"""

from __future__ import annotations

from dataclasses import replace

from armillary.hardware import Chip
from armillary.workload import Graph, Operator, OpKind, Tensor

_IN_PIECES = (OpKind.MUL, OpKind.ADD)


def lower(graph: Graph, chip: Chip) -> Graph:
    """Return `graph` with batch norms in pieces, if `chip` has the pieces alone."""
    engine = chip.vector.operators
    if OpKind.BATCH_NORM.value in engine or not all(kind.value in engine for kind in _IN_PIECES):
        return graph
    operators: list[Operator] = []
    tensors: dict[str, Tensor] = dict(graph.tensors)
    names = {op.name for op in graph.operators}
    for op in graph.operators:
        if op.kind is not OpKind.BATCH_NORM:
            operators.append(op)
            continue
        data, scale, shift = op.inputs[:3]
        product, scaled = _fresh(f"{op.name}/mul", names), _fresh(f"{op.outputs[0]}/mul", tensors)
        names.add(product)
        tensors[scaled] = replace(tensors[op.outputs[0]], name=scaled)
        operators.append(replace(op, name=product, kind=OpKind.MUL, inputs=(data, scale), outputs=(scaled,)))
        operators.append(replace(op, kind=OpKind.ADD, inputs=(scaled, shift)))
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _fresh(name: str, taken: set[str] | dict[str, Tensor]) -> str:
    """Return `name`, lengthened until nothing in `taken` has it."""
    while name in taken:
        name += "'"
    return name
