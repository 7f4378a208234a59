"""An operator graph as an int8 TFLite network with drawn weights.

In:  a `Graph` of the zoo, a distribution of `WEIGHTS`, a seed. Out: bytes of a `.tflite` file with the same layers;
batch norms are folded, an activation behind a layer is part of it, as TFLite's own converter does.
Vela stores weights compressed, so their distribution matters: each output channel (each layer, if dense) is scaled so
that its largest weight is 127. Uniform weights do not compress at all, equal ones to almost nothing; trained ones lie
between. Biases are uniform in 16 bits, the scale of activations is 1/16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from armillary.errors import InputError
from armillary.npu.fold import fold
from armillary.workload import Activation, Graph, Operator, OpKind, Window
from bench.peers.tflite_file import LiteOperator, LiteTensor, lite_file

ACTIVATION_SCALE = np.array([1 / 16])
# ActivationFunctionType of the schema.
FUSED = {None: 0, Activation.RELU: 1, Activation.RELU6: 3}
TAKES_ACTIVATION = (OpKind.CONV, OpKind.DEPTHWISE, OpKind.GEMM, OpKind.ADD)
SAME, VALID = 0, 1

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
WEIGHTS: Mapping[str, Draw] = {
    "equal": lambda draw, shape: np.ones(shape),
    "laplace": lambda draw, shape: draw.laplace(size=shape),
    "normal": lambda draw, shape: draw.normal(size=shape),
    "uniform": lambda draw, shape: draw.uniform(-1.0, 1.0, shape),
}


def tflite_of(graph: Graph, *, weights: str, seed: int, softmax: bool = False) -> bytes:
    """Return `graph` as a TFLite model; with `softmax` behind its output, as the files of MLPerf Tiny have it.

    Raises:
        InputError: the graph holds an operator or an activation that this writer does not know.
        ImportError: Vela, which brings the schema, is not installed.
    """
    folded = _with_activations_fused(fold(graph))
    network = _Network(folded, np.random.default_rng(seed), WEIGHTS[weights])
    inputs = [network.activation(name) for name in folded.inputs]
    for op in folded.operators:
        network.append(op)
    outputs = [network.activation(name) for name in folded.outputs]
    if softmax:
        outputs = [network.softmax(place) for place in outputs]
    return lite_file(graph.name, network.tensors, network.operators, inputs, outputs)


def _with_activations_fused(graph: Graph) -> Graph:
    """Make each ReLU or ReLU6 part of the layer before it, if nothing else reads that layer's output."""
    kept: list[Operator] = []
    place: dict[str, int] = {}  # tensor -> position of its writer in `kept`
    for op in graph.operators:
        before = kept[place[op.inputs[0]]] if op.inputs[0] in place else None
        if (
            op.kind is OpKind.ACTIVATION
            and op.activation in FUSED
            and before is not None
            and before.kind in TAKES_ACTIVATION
            and before.activation is None
            and len(graph.consumers[op.inputs[0]]) == 1
            and op.inputs[0] not in graph.outputs
        ):
            kept[place[op.inputs[0]]] = replace(before, activation=op.activation, outputs=op.outputs)
            place[op.outputs[0]] = place[op.inputs[0]]
        else:
            place[op.outputs[0]] = len(kept)
            kept.append(op)
    return replace(graph, operators=tuple(kept))


def _lite_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Channels last."""
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def padding_of(window: Window, size: tuple[int, ...]) -> int | None:
    """SAME or VALID, whichever pads as `window` does on a map of `size`; None if neither does."""
    if window.pads == (0, 0, 0, 0):
        return VALID
    reach = [(kernel - 1) * dilation + 1 for kernel, dilation in zip(window.kernel, window.dilation, strict=True)]
    total = [
        max((-(-size[axis] // window.stride[axis]) - 1) * window.stride[axis] + reach[axis] - size[axis], 0)
        for axis in (0, 1)
    ]
    same = (total[0] // 2, total[1] // 2, total[0] - total[0] // 2, total[1] - total[1] // 2)
    return SAME if window.pads == same else None


@dataclass(frozen=True, slots=True)
class _Network:
    """A TFLite network under construction."""

    graph: Graph
    generator: np.random.Generator
    draw: Draw
    tensors: list[LiteTensor] = field(default_factory=list)
    operators: list[LiteOperator] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def activation(self, name: str) -> int:
        """Position of the activation `name`, which is declared on first use."""
        if name not in self.places:
            shape = _lite_shape(self.graph.tensors[name].shape)
            self.places[name] = self._declare(LiteTensor(name, shape, ACTIVATION_SCALE))
        return self.places[name]

    def append(self, op: Operator) -> None:
        """Append one operator of the graph."""
        if op.activation not in FUSED:
            raise InputError(f"no TFLite form of {op.activation} is known here", where=op.name)
        out = self.activation(op.outputs[0])
        data = self.activation(op.inputs[0])
        fused = ("FusedActivationFunction", FUSED[op.activation])
        match op.kind:
            case OpKind.CONV | OpKind.DEPTHWISE:
                self._convolution(op, data, out, fused)
            case OpKind.GEMM:
                features, units = self.graph.tensors[op.inputs[1]].shape
                constants = self._constants(op, (units, features), units)
                self._emit("FULLY_CONNECTED", (data, *constants), out, "FullyConnectedOptions", fused)
            case OpKind.ADD:
                self._emit("ADD", (data, self.activation(op.inputs[1])), out, "AddOptions", fused)
            case OpKind.GLOBAL_POOL | OpKind.AVG_POOL | OpKind.MAX_POOL:
                self._pool(op, data, out)
            case OpKind.CONCAT:
                maps = tuple(self.activation(name) for name in op.inputs)
                # Channels, the second dimension of ours, are the last one of TFLite's.
                axis = len(self.tensors[out].shape) - 1
                self._emit("CONCATENATION", maps, out, "ConcatenationOptions", ("Axis", axis), fused)
            case OpKind.VIEW:
                shape = np.array(self.tensors[out].shape, np.int32)
                wanted = LiteTensor(f"{op.name}/shape", shape.shape, np.ones(1), data=shape, dtype="INT32")
                self._emit("RESHAPE", (data, self._declare(wanted)), out, "ReshapeOptions")
            case _:
                raise InputError(f"no TFLite form of {op.kind.value} is known here", where=op.name)

    def softmax(self, source: int) -> int:
        """Append a softmax, whose results are multiples of 1/256 from 0."""
        out = self._declare(LiteTensor("softmax", self.tensors[source].shape, np.array([1 / 256]), -128))
        self._emit("SOFTMAX", (source,), out, "SoftmaxOptions", ("Beta", 1))
        return out

    def _convolution(self, op: Operator, data: int, out: int, fused: tuple[str, int]) -> None:
        assert op.window is not None
        window, deep = op.window, op.kind is OpKind.DEPTHWISE
        channels, depth, *kernel = self.graph.tensors[op.inputs[1]].shape
        if not deep and op.groups != 1:
            raise InputError(f"{op.groups} groups: only depthwise convolutions are known here", where=op.name)
        constants = self._constants(op, (1, *kernel, channels) if deep else (channels, *kernel, depth), channels)
        data, padding = self._padded(op, window, data)
        code, options = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions") if deep else ("CONV_2D", "Conv2DOptions")
        self._emit(
            code,
            (data, *constants),
            out,
            options,
            *((("DepthMultiplier", 1),) if deep else ()),
            ("Padding", padding),
            ("StrideH", window.stride[0]),
            ("StrideW", window.stride[1]),
            ("DilationHFactor", window.dilation[0]),
            ("DilationWFactor", window.dilation[1]),
            fused,
        )

    def _pool(self, op: Operator, data: int, out: int) -> None:
        size = self.graph.tensors[op.inputs[0]].shape[2:]
        window = Window((size[0], size[1])) if op.window is None else op.window
        data, padding = self._padded(op, window, data)
        self._emit(
            "MAX_POOL_2D" if op.kind is OpKind.MAX_POOL else "AVERAGE_POOL_2D",
            (data,),
            out,
            "Pool2DOptions",
            ("Padding", padding),
            ("StrideH", window.stride[0]),
            ("StrideW", window.stride[1]),
            ("FilterHeight", window.kernel[0]),
            ("FilterWidth", window.kernel[1]),
        )

    def _padded(self, op: Operator, window: Window, data: int) -> tuple[int, int]:
        """Return what a window slides over and how it pads; an operator in front pads where TFLite knows no other way.

        Zeros around a map; a pool of maxima sees them as it would see nothing, since a ReLU came before.
        """
        padding = padding_of(window, self.graph.tensors[op.inputs[0]].shape[2:])
        if padding is not None:
            return data, padding
        top, left, bottom, right = window.pads
        pads = np.array([(0, 0), (top, bottom), (left, right), (0, 0)], np.int32)
        before = self.tensors[data]
        shape = tuple(size + int(pads[axis].sum()) for axis, size in enumerate(before.shape))
        out = self._declare(LiteTensor(f"{op.name}/padded", shape, before.scale))
        amounts = LiteTensor(f"{op.name}/pads", pads.shape, np.ones(1), data=pads, dtype="INT32")
        self._emit("PAD", (data, self._declare(amounts)), out, "PadOptions")
        return out, VALID

    def _constants(self, op: Operator, shape: tuple[int, ...], channels: int) -> tuple[int, int]:
        """Draw weights of `shape` and biases; dense layers share one scale, convolutions have one a channel."""
        axis = 0 if shape[0] == channels else len(shape) - 1
        drawn = self.draw(self.generator, shape)
        across = None if op.kind is OpKind.GEMM else tuple(i for i in range(len(shape)) if i != axis)
        largest = np.abs(drawn).max(axis=across, keepdims=True)
        weights = np.rint(127 * drawn / largest).astype(np.int8)
        scale = largest.ravel() / 127
        bias = self.generator.integers(-(1 << 15), 1 << 15, channels, dtype=np.int32)
        return (
            self._declare(
                LiteTensor(f"{op.name}/weight", shape, scale, axis=axis if scale.size > 1 else 0, data=weights)
            ),
            self._declare(
                LiteTensor(f"{op.name}/bias", bias.shape, scale * ACTIVATION_SCALE, data=bias, dtype="INT32")
            ),
        )

    def _declare(self, tensor: LiteTensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _emit(self, code: str, inputs: tuple[int, ...], output: int, options: str, *fields: tuple[str, int]) -> None:
        self.operators.append(LiteOperator(code, inputs, (output,), options, fields))
