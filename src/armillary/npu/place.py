"""Which engine runs each layer; what the chip cannot do goes to the host and cuts the graph.

In:  a `Network` and a `Chip`.
Out: one `Placement` a layer: array, vector or host, with the reason where it is the host.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.fuse import Layer, Network
from armillary.workload import Graph, OpKind

# Element types that run as another one of the same width.
_RUNS_AS = {"uint8": "int8", "bool": "int8"}


class Engine(IntEnum):
    """Where a layer runs."""

    ARRAY = 0
    VECTOR = 1
    HOST = 2


@dataclass(frozen=True, slots=True)
class Placement:
    """The engine of one layer, the element type it computes in, and why the chip refused it ("" if it did not)."""

    engine: Engine
    dtype: str
    reason: str = ""


def place(network: Network, chip: Chip) -> tuple[Placement, ...]:
    """Return the placement of each layer, in order."""
    return tuple(_place_layer(layer, network.graph, chip) for layer in network.layers)


def by_placement(
    placements: tuple[Placement, ...], layer: npt.NDArray[np.int64]
) -> Iterator[tuple[Placement, npt.NDArray[np.int64]]]:
    """Yield each engine and element type in use on the chip with the indices of what it runs, of rows of `layer`."""
    kinds = sorted({(placement.engine, placement.dtype) for placement in placements if placement.engine != Engine.HOST})
    group = np.array(
        [-1 if p.engine == Engine.HOST else kinds.index((p.engine, p.dtype)) for p in placements], np.int64
    )
    for number, (engine, dtype) in enumerate(kinds):
        yield Placement(engine, dtype), np.flatnonzero(group[layer] == number)


def _place_layer(layer: Layer, graph: Graph, chip: Chip) -> Placement:
    first = layer.reads[0] if layer.reads else layer.outputs[0]
    # Quantisations and look-ups read one type and work in the type that they write.
    told_by = layer.outputs[0] if layer.op.kind in (OpKind.QUANTIZE, OpKind.GATHER) else first
    given = graph.tensors[told_by].dtype
    dtype = _RUNS_AS.get(given, given)
    if dtype not in chip.element_types:
        return Placement(Engine.HOST, dtype, f"{chip.name} computes in {', '.join(chip.element_types)}, not {dtype}")
    kind = layer.op.kind
    if kind.value in chip.array.operators:
        return Placement(Engine.ARRAY, dtype)
    if kind is OpKind.ACTIVATION:
        named = layer.op.activation.value if layer.op.activation is not None else "other"
        if kind.value in chip.vector.operators and named in chip.vector.activations:
            return Placement(Engine.VECTOR, dtype)
        return Placement(Engine.HOST, dtype, f"{chip.name} has no {layer.op.source_op or named}")
    if kind.value in chip.vector.operators:
        return Placement(Engine.VECTOR, dtype)
    return Placement(Engine.HOST, dtype, f"{chip.name} has no {layer.op.source_op or kind.value}")
