"""The words that a chip file may use for operators, activations and element types.

In:  nothing.
Out: three tuples of names, equal to those of `workload`; a test keeps them equal (this room imports none of it).
"""

from __future__ import annotations

from typing import Final

OPERATORS: Final = (
    "conv", "depthwise", "conv_transpose", "gemm", "matmul", "max_pool", "avg_pool", "global_pool", "add", "mul",
    "elementwise", "activation", "batch_norm", "norm", "softmax", "reduce", "resize", "concat", "slice", "transpose",
    "view", "pad", "gather", "recurrent", "quantize", "unknown",
)  # fmt: skip
ACTIVATIONS: Final = (
    "relu", "relu6", "leaky_relu", "clip", "sigmoid", "tanh", "swish", "hard_sigmoid", "hard_swish", "gelu", "exp",
    "other",
)  # fmt: skip
ELEMENT_TYPES: Final = (
    "int4", "int8", "uint8", "bool", "fp8", "fp16", "bf16", "int16", "fp32", "int32", "fp64", "int64",
)  # fmt: skip
