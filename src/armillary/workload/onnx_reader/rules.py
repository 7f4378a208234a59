"""How each ONNX operator maps to the vocabulary of `workload.graph`.

In:  operator type of the standard domain (and the few of Microsoft's that exporters emit).
Out: a `Rule`: kind, the inputs that carry data or weights (others hold shapes, scales and options), activation.
Operators without a rule become `OpKind.UNKNOWN`: kept, costed by the documented fallback, listed in results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from armillary.workload.graph import Activation, OpKind

_FIRST: Final = (0,)


@dataclass(frozen=True, slots=True)
class Rule:
    """Target of one operator type; `inputs` are positions in the node, None for all."""

    kind: OpKind
    inputs: tuple[int, ...] | None = None
    activation: Activation | None = None


def _all(kind: OpKind, *op_types: str) -> dict[str, Rule]:
    return {op_type: Rule(kind) for op_type in op_types}


def _first(kind: OpKind, *op_types: str) -> dict[str, Rule]:
    return {op_type: Rule(kind, _FIRST) for op_type in op_types}


def _unary(activation: Activation, *op_types: str) -> dict[str, Rule]:
    return {op_type: Rule(OpKind.ACTIVATION, _FIRST, activation) for op_type in op_types}


RULES: Final[dict[str, Rule]] = {
    "Conv": Rule(OpKind.CONV, (0, 1, 2)),
    "ConvInteger": Rule(OpKind.CONV, (0, 1)),
    "QLinearConv": Rule(OpKind.CONV, (0, 3, 8)),
    "ConvTranspose": Rule(OpKind.CONV_TRANSPOSE, (0, 1, 2)),
    "Gemm": Rule(OpKind.GEMM, (0, 1, 2)),
    "MatMul": Rule(OpKind.MATMUL, (0, 1)),
    "MatMulInteger": Rule(OpKind.MATMUL, (0, 1)),
    "QLinearMatMul": Rule(OpKind.MATMUL, (0, 3)),
    "BatchNormalization": Rule(OpKind.BATCH_NORM, (0, 1, 2)),  # scale and shift; mean and variance fold into them
    "PRelu": Rule(OpKind.ACTIVATION, (0, 1), Activation.LEAKY_RELU),
    "LSTM": Rule(OpKind.RECURRENT, (0, 1, 2, 3, 5, 6)),
    "GRU": Rule(OpKind.RECURRENT, (0, 1, 2, 3, 5)),
    "RNN": Rule(OpKind.RECURRENT, (0, 1, 2, 3, 5)),
    "DynamicQuantizeLSTM": Rule(OpKind.RECURRENT, (0, 1, 2, 3, 5, 6)),
    "GatherElements": Rule(OpKind.GATHER, (0, 1)),
    "GatherND": Rule(OpKind.GATHER, (0, 1)),
    **_all(OpKind.GATHER, "Gather", "ScatterElements", "ScatterND"),
    **_first(OpKind.MAX_POOL, "MaxPool"),
    **_first(OpKind.AVG_POOL, "AveragePool", "LpPool"),
    **_first(OpKind.GLOBAL_POOL, "GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"),
    **_all(OpKind.ADD, "Add", "Sum"),
    **_all(OpKind.MUL, "Mul"),
    **_all(
        OpKind.ELEMENTWISE, "Sub", "Div", "Pow", "Min", "Max", "Mean", "Mod", "Where", "And", "Or", "Xor", "BitShift"
    ),
    **_all(OpKind.ELEMENTWISE, "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
    **_unary(Activation.RELU, "Relu"),
    **_unary(Activation.LEAKY_RELU, "LeakyRelu"),
    **_unary(Activation.CLIP, "Clip"),
    **_unary(Activation.SIGMOID, "Sigmoid"),
    **_unary(Activation.TANH, "Tanh"),
    **_unary(Activation.SWISH, "Swish"),
    **_unary(Activation.HARD_SIGMOID, "HardSigmoid"),
    **_unary(Activation.HARD_SWISH, "HardSwish"),
    **_unary(Activation.GELU, "Gelu", "FastGelu", "QuickGelu"),
    **_unary(Activation.EXP, "Exp"),
    **_unary(
        Activation.OTHER, "Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Floor", "Log", "Mish", "Neg", "Not", "Reciprocal"
    ),
    **_unary(Activation.OTHER, "Round", "Selu", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "ThresholdedRelu"),
    **_all(OpKind.NORM, "LayerNormalization", "InstanceNormalization", "GroupNormalization", "RMSNormalization"),
    **_first(OpKind.NORM, "LRN", "LpNormalization", "MeanVarianceNormalization"),
    **_first(OpKind.SOFTMAX, "Softmax", "LogSoftmax", "Hardmax"),
    **_first(OpKind.REDUCE, "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2"),
    **_first(OpKind.REDUCE, "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ArgMax", "ArgMin", "CumSum"),
    **_first(OpKind.RESIZE, "Resize", "Upsample", "Expand", "Tile"),
    **_all(OpKind.CONCAT, "Concat"),
    **_first(OpKind.SLICE, "Slice", "Split"),
    **_first(OpKind.TRANSPOSE, "Transpose", "DepthToSpace", "SpaceToDepth"),
    **_first(OpKind.VIEW, "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"),
    **_first(OpKind.PAD, "Pad"),
    **_first(OpKind.QUANTIZE, "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Cast", "CastLike"),
}

DOMAINS: Final = frozenset({"", "ai.onnx", "com.microsoft"})
