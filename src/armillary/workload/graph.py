"""The operator graph: what every importer and zoo builder produces and every planner consumes.

In:  tensors (shape, dtype, constant or not) and operators in topological order, by name.
Out: a frozen, validated `Graph` with MACs, parameters and bytes per operator.
Layout: feature maps are (batch, channels, height, width), weights of convolutions are
(out_channels, in_channels / groups, kernel_height, kernel_width), of gemm (in_features, out_features).
Weights carry no values: the time of an operator depends on shapes alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import prod

from armillary.errors import InputError

ELEMENT_BYTES: dict[str, float] = {
    "int4": 0.5, "int8": 1, "uint8": 1, "bool": 1, "fp8": 1, "fp16": 2, "bf16": 2, "int16": 2, "fp32": 4, "int32": 4,
    "fp64": 8, "int64": 8, }  # fmt: skip


class OpKind(StrEnum):
    """What an operator computes; importers map their own vocabulary to these."""

    CONV = "conv"
    DEPTHWISE = "depthwise"  # conv with groups == in_channels == out_channels / multiplier
    CONV_TRANSPOSE = "conv_transpose"
    GEMM = "gemm"  # activations (rows, in_features) by constant weights
    MATMUL = "matmul"  # two activations (attention)
    MAX_POOL = "max_pool"
    AVG_POOL = "avg_pool"
    GLOBAL_POOL = "global_pool"
    ADD = "add"
    MUL = "mul"
    ELEMENTWISE = "elementwise"  # other binary or ternary element by element operators (sub, div, pow, where, ...)
    ACTIVATION = "activation"  # unary: `Operator.activation` says which
    BATCH_NORM = "batch_norm"
    NORM = "norm"  # layer, instance, group norm
    SOFTMAX = "softmax"
    REDUCE = "reduce"
    RESIZE = "resize"
    CONCAT = "concat"
    SLICE = "slice"  # slice, split
    TRANSPOSE = "transpose"
    VIEW = "view"  # reshape, flatten, squeeze: no bytes move
    PAD = "pad"
    GATHER = "gather"  # embedding look-up, gather, scatter
    RECURRENT = "recurrent"  # LSTM, GRU, RNN over a sequence
    QUANTIZE = "quantize"  # quantise, dequantise, cast
    UNKNOWN = "unknown"  # costed by the documented fallback and listed


class Activation(StrEnum):
    """Unary functions; the first four are free in the output stage of most arrays."""

    RELU = "relu"
    RELU6 = "relu6"
    LEAKY_RELU = "leaky_relu"
    CLIP = "clip"
    SIGMOID = "sigmoid"
    TANH = "tanh"
    SWISH = "swish"
    HARD_SIGMOID = "hard_sigmoid"
    HARD_SWISH = "hard_swish"
    GELU = "gelu"
    EXP = "exp"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor: shape in elements, dtype of `ELEMENT_BYTES`; constants are weights and biases."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "fp32"
    constant: bool = False

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes, rounded up."""
        return -int(-self.elements * ELEMENT_BYTES[self.dtype] // 1)


@dataclass(frozen=True, slots=True)
class Window:
    """Sliding window of a convolution or pooling, all in elements; pads are (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: inputs and outputs are tensor names, activations first, then weights, then bias."""

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    window: Window | None = None
    groups: int = 1
    activation: Activation | None = None  # of an ACTIVATION, or fused into this operator's output stage
    source_op: str = ""  # the importer's own name ("Conv", "HardSwish"), for messages


@dataclass(frozen=True)
class Graph:
    """A network: operators in topological order over named tensors.

    Raises:
        InputError: an operator reads a tensor that nothing before it wrote, a tensor is written twice, two operators
            share a name, or a name is missing.
    """

    name: str
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        written = set(self.inputs) | {name for name, tensor in self.tensors.items() if tensor.constant}
        named: set[str] = set()
        for op in self.operators:
            if op.name in named:
                raise InputError(f"two operators are named {op.name!r}", where=self.name)
            named.add(op.name)
            for name in (*op.inputs, *op.outputs):
                if name not in self.tensors:
                    raise InputError(
                        f"operator {op.name!r} names tensor {name!r}, which is not in the graph", where=self.name
                    )
            for name in op.inputs:
                if name not in written:
                    raise InputError(
                        f"operator {op.name!r} reads tensor {name!r} before anything wrote it", where=self.name
                    )
            for name in op.outputs:
                if name in written:
                    raise InputError(f"tensor {name!r} is written twice, last by operator {op.name!r}", where=self.name)
                written.add(name)
        for name in self.outputs:
            if name not in written:
                raise InputError(f"output {name!r} is written by no operator", where=self.name)

    @cached_property
    def producer(self) -> dict[str, Operator]:
        """Tensor name -> the operator that writes it."""
        return {name: op for op in self.operators for name in op.outputs}

    @cached_property
    def consumers(self) -> dict[str, tuple[Operator, ...]]:
        """Tensor name -> the operators that read it, in order."""
        readers: dict[str, list[Operator]] = {name: [] for name in self.tensors}
        for op in self.operators:
            for name in dict.fromkeys(op.inputs):
                readers[name].append(op)
        return {name: tuple(ops) for name, ops in readers.items()}

    @cached_property
    def parameters(self) -> int:
        """Elements of all constants that some operator reads as weights or biases."""
        used = {name for op in self.operators for name in op.inputs}
        return sum(tensor.elements for name, tensor in self.tensors.items() if tensor.constant and name in used)

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference of the whole batch."""
        return sum(operator_macs(self, op) for op in self.operators)


def operator_macs(graph: Graph, op: Operator) -> int:
    """Multiply-accumulates of one operator: conv, gemm, matmul and recurrent layers count, the rest is 0.

    conv: out_elements * (in_channels / groups) * kernel_h * kernel_w; gemm, matmul: out_elements * inner dimension;
    recurrent: every step multiplies all weights once.
    """
    out = graph.tensors[op.outputs[0]]
    match op.kind:
        case OpKind.CONV | OpKind.DEPTHWISE:
            return out.elements * prod(graph.tensors[op.inputs[1]].shape[1:])
        case OpKind.CONV_TRANSPOSE:
            return graph.tensors[op.inputs[0]].elements * prod(graph.tensors[op.inputs[1]].shape[1:])
        case OpKind.GEMM:
            return out.elements * graph.tensors[op.inputs[1]].shape[0]
        case OpKind.MATMUL:
            return out.elements * graph.tensors[op.inputs[0]].shape[-1]
        case OpKind.RECURRENT:
            # ONNX order: data (steps, batch, features), W (directions, gates, features), R (directions, gates, hidden).
            steps, batch = graph.tensors[op.inputs[0]].shape[:2]
            return steps * batch * sum(graph.tensors[name].elements for name in op.inputs[1:3])
        case _:
            return 0
