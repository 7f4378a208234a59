"""Turn a graph to another element type, as quantisation or half precision would.

In:  a `Graph` and a dtype of `ELEMENT_BYTES`.
Out: the same graph whose floating tensors have that dtype. With 8 bits or fewer, biases and batch-norm constants
become int32: they are added to int32 accumulators. Integer tensors (indices, tensors that the file already quantised)
stay as they are.
"""

from __future__ import annotations

from dataclasses import replace

from armillary.errors import unknown_name
from armillary.workload.graph import ELEMENT_BYTES, Graph, OpKind

_FLOATING = frozenset({"fp16", "bf16", "fp32", "fp64", "fp8"})
_ACCUMULATED_IN_INT32 = frozenset({"int4", "int8", "uint8"})
_BIASED = frozenset({OpKind.CONV, OpKind.DEPTHWISE, OpKind.CONV_TRANSPOSE, OpKind.GEMM})


def with_dtype(graph: Graph, dtype: str) -> Graph:
    """Return `graph` with every floating tensor turned to `dtype`.

    Raises:
        InputError: the dtype is not one of `ELEMENT_BYTES`.
    """
    if dtype not in ELEMENT_BYTES:
        raise unknown_name("dtype", dtype, ELEMENT_BYTES)
    wide = _accumulator_constants(graph) if dtype in _ACCUMULATED_IN_INT32 else frozenset()
    tensors = {
        name: replace(tensor, dtype="int32" if name in wide else dtype) if tensor.dtype in _FLOATING else tensor
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def _accumulator_constants(graph: Graph) -> frozenset[str]:
    """Return biases of convolutions and gemms, and the constants of batch norms."""
    names: set[str] = set()
    for op in graph.operators:
        if op.kind in _BIASED:
            names.update(op.inputs[2:3])
        elif op.kind is OpKind.BATCH_NORM:
            names.update(op.inputs[1:])
    return frozenset(name for name in names if graph.tensors[name].constant)
