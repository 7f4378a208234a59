"""Grow a `Graph` feature map by feature map, in the words that papers use.

In:  `Network(name).input(...)`, then methods of `Feature`: conv, batch_norm, activation, pools, dense, matmul, add, ...
Out: `network.graph(outputs)`, a validated `Graph`; shapes are computed here and nowhere else, operator names are given
by the caller. Everything is fp32; `precision.with_dtype` turns the whole graph. A convolution, its batch norm and its
activation stay three operators, as importers deliver them: folding them is the compiler's work. Batch norm carries two
constants a channel (scale and shift), the form that an inference needs and the count that published parameter figures
use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from armillary.errors import InputError
from armillary.workload.graph import Activation, Graph, Operator, OpKind, Tensor, Window

Padding = int | str  # elements on every side, or "same" (output = ceil(input / stride), the odd pad at the end)
Kernel = int | tuple[int, int]  # height and width of a window; one number for a square


@dataclass(frozen=True, slots=True)
class Network:
    """A graph under construction: tensors and operators in the order in which they were asked for."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def input(self, name: str, shape: tuple[int, ...], dtype: str = "fp32") -> Feature:
        """Declare an input: an image (batch, channels, height, width), or indices (batch, tokens) of dtype int32."""
        if any(size < 1 for size in shape):
            raise InputError(f"input {name!r} has shape {shape}", where=self.name, hint="every dimension is at least 1")
        self.inputs.append(name)
        self.tensors[name] = Tensor(name, shape, dtype)
        return Feature(self, name)

    def constant(self, name: str, shape: tuple[int, ...]) -> str:
        """Declare a weight or bias of `shape`, return its name."""
        self.tensors[name] = Tensor(name, shape, constant=True)
        return name

    def emit(self, operator: Operator, shape: tuple[int, ...]) -> Feature:
        """Append `operator`, whose one output has `shape`."""
        (output,) = operator.outputs
        assert output not in self.tensors, f"two operators of {self.name} are named {operator.name}"
        self.tensors[output] = Tensor(output, shape)
        self.operators.append(operator)
        return Feature(self, output)

    def graph(self, *outputs: Feature) -> Graph:
        """Return the finished graph with these outputs."""
        names = tuple(output.tensor for output in outputs)
        return Graph(self.name, self.tensors, tuple(self.operators), tuple(self.inputs), names)


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature map of a `Network`; every method appends operators and returns the new feature map.

    Raises:
        InputError: a window does not fit the map, or shapes do not agree; names the operator.
    """

    network: Network
    tensor: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in elements."""
        return self.network.tensors[self.tensor].shape

    @property
    def channels(self) -> int:
        """Size of the channel dimension."""
        return self.shape[1]

    def conv(
        self,
        name: str,
        out_channels: int,
        kernel: Kernel,
        *,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> Feature:
        """Convolution; depthwise when `groups` equals the input channels."""
        net, channels = self.network, self.channels
        if channels % groups or out_channels % groups:
            raise InputError(
                f"{groups} groups do not divide {channels} -> {out_channels} channels", where=f"{net.name}/{name}"
            )
        window, height, width = self._slide(name, kernel, stride, padding, dilation=dilation)
        inputs = [self.tensor, net.constant(f"{name}/weight", (out_channels, channels // groups, *window.kernel))]
        if bias:
            inputs.append(net.constant(f"{name}/bias", (out_channels,)))
        kind = OpKind.DEPTHWISE if groups == channels > 1 else OpKind.CONV
        operator = Operator(name, kind, tuple(inputs), (f"{name}/out",), window, groups)
        return net.emit(operator, (self.shape[0], out_channels, height, width))

    def conv_transpose(self, name: str, out_channels: int, kernel: int, *, stride: int) -> Feature:
        """Transposed convolution with bias and without padding: output (input - 1) stride + kernel."""
        net = self.network
        batch, channels, *sizes = self.shape
        weight = net.constant(f"{name}/weight", (channels, out_channels, kernel, kernel))
        inputs = (self.tensor, weight, net.constant(f"{name}/bias", (out_channels,)))
        window = Window((kernel, kernel), (stride, stride))
        operator = Operator(name, OpKind.CONV_TRANSPOSE, inputs, (f"{name}/out",), window)
        return net.emit(operator, (batch, out_channels, *((size - 1) * stride + kernel for size in sizes)))

    def batch_norm(self, name: str) -> Feature:
        """Scale and shift a channel."""
        constants = [self.network.constant(f"{name}/{part}", (self.channels,)) for part in ("scale", "shift")]
        return self._emit(name, OpKind.BATCH_NORM, (self.tensor, *constants), self.shape)

    def activation(self, name: str, activation: Activation) -> Feature:
        """Unary function of every element."""
        operator = Operator(name, OpKind.ACTIVATION, (self.tensor,), (f"{name}/out",), activation=activation)
        return self.network.emit(operator, self.shape)

    def conv_bn(
        self,
        name: str,
        out_channels: int,
        kernel: Kernel,
        *,
        activation: Activation | None = Activation.RELU,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        dilation: int = 1,
    ) -> Feature:
        """Convolution without bias, batch norm and, unless None, activation: `name`, `name/bn`, `name/<activation>`."""
        x = self.conv(name, out_channels, kernel, stride=stride, padding=padding, groups=groups, dilation=dilation)
        x = x.batch_norm(f"{name}/bn")
        return x if activation is None else x.activation(f"{name}/{activation.value}", activation)

    def max_pool(
        self, name: str, kernel: int, *, stride: int, padding: Padding = "same", ceil: bool = False
    ) -> Feature:
        """Maximum over a square window; with `ceil` a last window may hang over the edge."""
        return self._pool(name, OpKind.MAX_POOL, kernel, stride, padding, ceil)

    def avg_pool(self, name: str, kernel: int, *, stride: int, padding: Padding = "same") -> Feature:
        """Average over a square window."""
        return self._pool(name, OpKind.AVG_POOL, kernel, stride, padding, ceil=False)

    def adaptive_avg_pool(self, name: str, size: int) -> Feature:
        """Average down to `size` x `size` with equal windows: stride floor(n / size), kernel n - (size - 1) stride."""
        height, width = self.shape[2:]
        if height != width or height < size:
            raise InputError(
                f"needs a square map of at least {size} x {size}, got {height} x {width}",
                where=f"{self.network.name}/{name}",
            )
        stride = height // size
        return self._pool(name, OpKind.AVG_POOL, height - (size - 1) * stride, stride, 0, ceil=False)

    def global_pool(self, name: str) -> Feature:
        """Average of each channel: (batch, channels, 1, 1)."""
        return self._emit(name, OpKind.GLOBAL_POOL, (self.tensor,), (*self.shape[:2], 1, 1))

    def resize(self, name: str, height: int, width: int) -> Feature:
        """Interpolate every channel to `height` x `width`."""
        return self._emit(name, OpKind.RESIZE, (self.tensor,), (*self.shape[:2], height, width))

    def flatten(self, name: str) -> Feature:
        """View as (batch, features)."""
        batch = self.shape[0]
        return self.view(name, (batch, self.network.tensors[self.tensor].elements // batch))

    def view(self, name: str, shape: tuple[int, ...]) -> Feature:
        """Read the same elements in another shape."""
        assert prod(shape) == prod(self.shape), f"{self.network.name}/{name}: {self.shape} is not {shape}"
        return self._emit(name, OpKind.VIEW, (self.tensor,), shape)

    def transpose(self, name: str, axes: tuple[int, ...]) -> Feature:
        """Permute the dimensions: dimension i of the result is `axes[i]` of this map."""
        return self._emit(name, OpKind.TRANSPOSE, (self.tensor,), tuple(self.shape[axis] for axis in axes))

    def steps_first(self, name: str) -> Feature:
        """(batch, steps, features) -> (steps, batch, features), for recurrent layers; free where one is 1."""
        batch, steps, features = self.shape
        if batch == 1 or steps == 1:
            return self.view(name, (steps, batch, features))
        return self.transpose(name, (1, 0, 2))

    def slice(self, name: str, shape: tuple[int, ...]) -> Feature:
        """Cut out a block of `shape`."""
        return self._emit(name, OpKind.SLICE, (self.tensor,), shape)

    def dense(self, name: str, out_features: int, *, bias: bool = True) -> Feature:
        """Fully connected layer on (..., features)."""
        weight = self.network.constant(f"{name}/weight", (self.shape[-1], out_features))
        biases = (self.network.constant(f"{name}/bias", (out_features,)),) if bias else ()
        return self.project(name, weight, *biases)

    def project(self, name: str, weight: str, *bias: str) -> Feature:
        """Multiply (..., features) by the constant `weight` of shape (features, outputs)."""
        outputs = self.network.tensors[weight].shape[1]
        return self._emit(name, OpKind.GEMM, (self.tensor, weight, *bias), (*self.shape[:-1], outputs))

    def matmul(self, name: str, other: Feature) -> Feature:
        """Product of two activations, (..., rows, inner) by (..., inner, columns)."""
        if self.shape[:-2] != other.shape[:-2] or self.shape[-1] != other.shape[-2]:
            raise InputError(
                f"cannot multiply shapes {self.shape} and {other.shape}", where=f"{self.network.name}/{name}"
            )
        return self._emit(name, OpKind.MATMUL, (self.tensor, other.tensor), (*self.shape[:-1], other.shape[-1]))

    def softmax(self, name: str) -> Feature:
        """Softmax along the last dimension."""
        return self._emit(name, OpKind.SOFTMAX, (self.tensor,), self.shape)

    def norm(self, name: str, *, shift: bool = True) -> Feature:
        """Layer norm over the last dimension; without `shift` there is a scale alone, as in RMS norm."""
        parts = ("scale", "shift") if shift else ("scale",)
        constants = [self.network.constant(f"{name}/{part}", self.shape[-1:]) for part in parts]
        return self._emit(name, OpKind.NORM, (self.tensor, *constants), self.shape)

    def look_up(self, name: str, table: str, features: int) -> Feature:
        """Rows of `features` from the constant `table`, one an index: (...) -> (..., features)."""
        return self._emit(name, OpKind.GATHER, (self.tensor, table), (*self.shape, features))

    def lstm(self, name: str, hidden: int) -> Feature:
        """LSTM layer on (steps, batch, features), all steps returned: (steps, batch, hidden)."""
        constant, gates = self.network.constant, 4 * hidden
        steps, batch, features = self.shape
        weights = (
            constant(f"{name}/input_weight", (1, gates, features)),
            constant(f"{name}/hidden_weight", (1, gates, hidden)),
            constant(f"{name}/bias", (1, 2 * gates)),
        )
        return self._emit(name, OpKind.RECURRENT, (self.tensor, *weights), (steps, batch, hidden))

    def elementwise(self, name: str, *others: Feature) -> Feature:
        """Any function of each element of this map and of those at its place in `others`."""
        return self._emit(name, OpKind.ELEMENTWISE, (self.tensor, *(m.tensor for m in others)), self.shape)

    def add(self, name: str, other: Feature) -> Feature:
        """Sum with a map of the same shape, or of a shape that is repeated along dimensions of size 1."""
        return self._joined(name, OpKind.ADD, "add", other)

    def mul(self, name: str, other: Feature) -> Feature:
        """Product with a map of the same shape, or of a shape that is repeated along dimensions of size 1."""
        return self._joined(name, OpKind.MUL, "multiply", other)

    def concat(self, name: str, *others: Feature, axis: int = 1) -> Feature:
        """Join maps along `axis`, the channels unless told."""
        maps = (self, *others)
        if len({(*m.shape[:axis], *m.shape[axis + 1 :]) for m in maps}) > 1:
            raise InputError(f"cannot join shapes {[m.shape for m in maps]}", where=f"{self.network.name}/{name}")
        shape = (*self.shape[:axis], sum(m.shape[axis] for m in maps), *self.shape[axis + 1 :])
        return self._emit(name, OpKind.CONCAT, tuple(m.tensor for m in maps), shape)

    def _emit(self, name: str, kind: OpKind, inputs: tuple[str, ...], shape: tuple[int, ...]) -> Feature:
        return self.network.emit(Operator(name, kind, inputs, (f"{name}/out",)), shape)

    def _joined(self, name: str, kind: OpKind, verb: str, other: Feature) -> Feature:
        one, two = self.shape, other.shape
        if len(one) != len(two) or any(b not in (1, a) for a, b in zip(one, two, strict=True)):
            raise InputError(f"cannot {verb} shapes {one} and {two}", where=f"{self.network.name}/{name}")
        return self._emit(name, kind, (self.tensor, other.tensor), one)

    def _pool(self, name: str, kind: OpKind, kernel: int, stride: int, padding: Padding, ceil: bool) -> Feature:
        window, height, width = self._slide(name, kernel, stride, padding, ceil=ceil)
        operator = Operator(name, kind, (self.tensor,), (f"{name}/out",), window)
        return self.network.emit(operator, (*self.shape[:2], height, width))

    def _slide(
        self, name: str, kernel: Kernel, stride: int, padding: Padding, *, dilation: int = 1, ceil: bool = False
    ) -> tuple[Window, int, int]:
        """Return the window and the output height and width."""
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        (top, bottom, height), (left, right, width) = (
            _axis(size, (side - 1) * dilation + 1, stride, padding, ceil)
            for size, side in zip(self.shape[2:], sides, strict=True)
        )
        if height < 1 or width < 1:
            size = " x ".join(map(str, self.shape[2:]))
            raise InputError(
                f"window of {kernel} does not fit a map of {size}",
                where=f"{self.network.name}/{name}",
                hint="use a larger resolution",
            )
        window = Window(sides, (stride, stride), (top, left, bottom, right), (dilation, dilation))
        return window, height, width


def _axis(size: int, kernel: int, stride: int, padding: Padding, ceil: bool) -> tuple[int, int, int]:
    """Return the pad before, the pad after and the output size along one axis."""
    if padding == "same":
        out = -(-size // stride)
        total = max((out - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2, out
    pad = int(padding)
    span = size + 2 * pad - kernel
    if span < 0:
        return pad, pad, 0
    out = span // stride + 1
    if not ceil or span % stride == 0:
        return pad, pad, out
    # The window that hangs over the edge is kept; the missing rows count as padding.
    return pad, pad + stride - span % stride, out + 1
