"""A TFLite file: tensors and operators laid out as a flatbuffer.

In:  `LiteTensor`s and `LiteOperator`s that name them by position. Out: bytes of a model with one sub-graph.
The schema modules are those that Vela brings along, so nothing else need be installed; import inside functions only.
Source: schema version 3 of TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

VERSION = 3


@dataclass(frozen=True, slots=True)
class LiteTensor:
    """A tensor in TFLite's layouts: maps (batch, height, width, channels), int8 or, for biases and shapes, int32.

    `scale` has one value, or one a channel along `axis`; `data` is None for activations.
    """

    name: str
    shape: tuple[int, ...]
    scale: np.ndarray
    zero_point: int = 0
    axis: int = 0
    data: np.ndarray | None = None
    dtype: str = "INT8"


@dataclass(frozen=True, slots=True)
class LiteOperator:
    """One operator: its name in the schema, tensors by position, the table of its options and the values there."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: str
    fields: tuple[tuple[str, int], ...] = ()


def lite_file(
    name: str, tensors: Sequence[LiteTensor], operators: Sequence[LiteOperator], inputs: list[int], outputs: list[int]
) -> bytes:
    """Return the model as the bytes of a `.tflite` file.

    Raises:
        ImportError: Vela is not installed.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    kinds = sorted({operator.code for operator in operators})
    codes = [_code(builder, kind) for kind in kinds]
    buffers = [_buffer(builder, None), *(_buffer(builder, tensor.data) for tensor in tensors)]
    laid_tensors = [_tensor(builder, tensor, place) for place, tensor in enumerate(tensors, start=1)]
    laid_operators = [_operator(builder, operator, kinds.index(operator.code)) for operator in operators]
    graph = _table(
        builder,
        "SubGraph",
        Tensors=_offsets(builder, laid_tensors),
        Inputs=builder.CreateNumpyVector(np.array(inputs, np.int32)),
        Outputs=builder.CreateNumpyVector(np.array(outputs, np.int32)),
        Operators=_offsets(builder, laid_operators),
        Name=builder.CreateString(name),
    )
    model = _table(
        builder,
        "Model",
        Version=VERSION,
        OperatorCodes=_offsets(builder, codes),
        Subgraphs=_offsets(builder, [graph]),
        Buffers=_offsets(builder, buffers),
    )
    builder.Finish(model, file_identifier=b"TFL3")
    return bytes(builder.Output())


def _schema(name: str) -> Any:
    return import_module(f"ethosu.vela.tflite.{name}")


def _enumerator(enumeration: str, name: str) -> int:
    return int(getattr(getattr(_schema(enumeration), enumeration), name))


def _table(builder: Any, kind: str, **fields: int) -> int:
    """Lay out one table of the schema; whatever it refers to is laid out already."""
    module = _schema(kind)
    module.Start(builder)
    for field, value in fields.items():
        getattr(module, f"Add{field}")(builder, value)
    return int(module.End(builder))


def _offsets(builder: Any, offsets: Iterable[int]) -> int:
    """Vector of references; flatbuffers are filled from the back."""
    listed = list(offsets)
    builder.StartVector(4, len(listed), 4)
    for offset in reversed(listed):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _code(builder: Any, kind: str) -> int:
    code = _enumerator("BuiltinOperator", kind)
    return _table(builder, "OperatorCode", DeprecatedBuiltinCode=min(code, 127), Version=1, BuiltinCode=code)


def _buffer(builder: Any, data: np.ndarray | None) -> int:
    """Raw bytes; the first buffer of a model and those of activations are empty."""
    if data is None:
        return _table(builder, "Buffer")
    return _table(builder, "Buffer", Data=builder.CreateNumpyVector(np.frombuffer(data.tobytes(), np.uint8)))


def _tensor(builder: Any, tensor: LiteTensor, buffer: int) -> int:
    quantization = _table(
        builder,
        "QuantizationParameters",
        Scale=builder.CreateNumpyVector(tensor.scale.astype(np.float32)),
        ZeroPoint=builder.CreateNumpyVector(np.full(tensor.scale.size, tensor.zero_point, np.int64)),
        QuantizedDimension=tensor.axis,
    )
    return _table(
        builder,
        "Tensor",
        Shape=builder.CreateNumpyVector(np.array(tensor.shape, np.int32)),
        Type=_enumerator("TensorType", tensor.dtype),
        Buffer=buffer,
        Name=builder.CreateString(tensor.name),
        Quantization=quantization,
    )


def _operator(builder: Any, operator: LiteOperator, code: int) -> int:
    return _table(
        builder,
        "Operator",
        OpcodeIndex=code,
        Inputs=builder.CreateNumpyVector(np.array(operator.inputs, np.int32)),
        Outputs=builder.CreateNumpyVector(np.array(operator.outputs, np.int32)),
        BuiltinOptionsType=_enumerator("BuiltinOptions", operator.options),
        BuiltinOptions=_table(builder, operator.options, **dict(operator.fields)),
    )
