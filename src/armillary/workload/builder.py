"""Grow a `Graph` feature map by feature map, in the words that papers use.

In:  `Network(name).input(...)`, then methods of `Feature`: conv, batch_norm, activation, pools, dense, add, concat.
Out: `network.graph(outputs)`, a validated `Graph`; shapes are computed here and nowhere else, operator names are given
by the caller. Everything is fp32; `precision.with_dtype` turns the whole graph. A convolution, its batch norm and its
activation stay three operators, as importers deliver them: folding them is the compiler's work. Batch norm carries two
constants a channel (scale and shift), the form that an inference needs and the count that published parameter figures
use.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from armillary.errors import InputError
from armillary.workload.graph import Activation, Graph, Operator, OpKind, Tensor, Window

Padding = int | str  # elements on every side, or "same" (output = ceil(input / stride), the odd pad at the end)


@dataclass(frozen=True, slots=True)
class Network:
    """A graph under construction: tensors and operators in the order in which they were asked for."""

    name: str
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)

    def input(self, name: str, shape: tuple[int, ...]) -> Feature:
        """Declare an input of `shape` (batch, channels, height, width)."""
        if any(size < 1 for size in shape):
            raise InputError(f"input {name!r} has shape {shape}", where=self.name, hint="every dimension is at least 1")
        self.inputs.append(name)
        self.tensors[name] = Tensor(name, shape)
        return Feature(self, name)

    def constant(self, name: str, shape: tuple[int, ...]) -> str:
        """Declare a weight or bias of `shape`, return its name."""
        self.tensors[name] = Tensor(name, shape, constant=True)
        return name

    def emit(self, operator: Operator, shape: tuple[int, ...]) -> Feature:
        """Append `operator`, whose one output has `shape`."""
        (output,) = operator.outputs
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
        kernel: int,
        *,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
        bias: bool = False,
    ) -> Feature:
        """Square convolution; depthwise when `groups` equals the input channels."""
        net, channels = self.network, self.channels
        if channels % groups or out_channels % groups:
            raise InputError(
                f"{groups} groups do not divide {channels} -> {out_channels} channels", where=f"{net.name}/{name}"
            )
        window, height, width = self._slide(name, kernel, stride, padding)
        inputs = [self.tensor, net.constant(f"{name}/weight", (out_channels, channels // groups, kernel, kernel))]
        if bias:
            inputs.append(net.constant(f"{name}/bias", (out_channels,)))
        kind = OpKind.DEPTHWISE if groups == channels > 1 else OpKind.CONV
        operator = Operator(name, kind, tuple(inputs), (f"{name}/out",), window, groups)
        return net.emit(operator, (self.shape[0], out_channels, height, width))

    def batch_norm(self, name: str) -> Feature:
        """Scale and shift a channel."""
        constants = [self.network.constant(f"{name}/{part}", (self.channels,)) for part in ("scale", "shift")]
        return self.network.emit(
            Operator(name, OpKind.BATCH_NORM, (self.tensor, *constants), (f"{name}/out",)), self.shape
        )

    def activation(self, name: str, activation: Activation) -> Feature:
        """Unary function of every element."""
        operator = Operator(name, OpKind.ACTIVATION, (self.tensor,), (f"{name}/out",), activation=activation)
        return self.network.emit(operator, self.shape)

    def conv_bn(
        self,
        name: str,
        out_channels: int,
        kernel: int,
        *,
        activation: Activation | None = Activation.RELU,
        stride: int = 1,
        padding: Padding = "same",
        groups: int = 1,
    ) -> Feature:
        """Convolution without bias, batch norm and, unless None, activation: `name`, `name/bn`, `name/<activation>`."""
        x = self.conv(name, out_channels, kernel, stride=stride, padding=padding, groups=groups).batch_norm(
            f"{name}/bn"
        )
        return x if activation is None else x.activation(f"{name}/{activation.value}", activation)

    def max_pool(
        self, name: str, kernel: int, *, stride: int, padding: Padding = "same", ceil: bool = False
    ) -> Feature:
        """Maximum over a square window; with `ceil` a last window may hang over the edge."""
        return self._pool(name, OpKind.MAX_POOL, kernel, stride, padding, ceil)

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
        return self.network.emit(
            Operator(name, OpKind.GLOBAL_POOL, (self.tensor,), (f"{name}/out",)), (*self.shape[:2], 1, 1)
        )

    def flatten(self, name: str) -> Feature:
        """View as (batch, features)."""
        batch = self.shape[0]
        features = self.network.tensors[self.tensor].elements // batch
        return self.network.emit(Operator(name, OpKind.VIEW, (self.tensor,), (f"{name}/out",)), (batch, features))

    def dense(self, name: str, out_features: int) -> Feature:
        """Fully connected layer with bias on (batch, features)."""
        batch, features = self.shape
        weight = self.network.constant(f"{name}/weight", (features, out_features))
        bias = self.network.constant(f"{name}/bias", (out_features,))
        operator = Operator(name, OpKind.GEMM, (self.tensor, weight, bias), (f"{name}/out",))
        return self.network.emit(operator, (batch, out_features))

    def add(self, name: str, other: Feature) -> Feature:
        """Sum of two maps of the same shape."""
        if self.shape != other.shape:
            raise InputError(f"cannot add shapes {self.shape} and {other.shape}", where=f"{self.network.name}/{name}")
        return self.network.emit(Operator(name, OpKind.ADD, (self.tensor, other.tensor), (f"{name}/out",)), self.shape)

    def concat(self, name: str, *others: Feature) -> Feature:
        """Join maps along the channels."""
        maps = (self, *others)
        if len({(m.shape[0], *m.shape[2:]) for m in maps}) > 1:
            raise InputError(f"cannot join shapes {[m.shape for m in maps]}", where=f"{self.network.name}/{name}")
        shape = (self.shape[0], sum(m.channels for m in maps), *self.shape[2:])
        return self.network.emit(Operator(name, OpKind.CONCAT, tuple(m.tensor for m in maps), (f"{name}/out",)), shape)

    def _pool(self, name: str, kind: OpKind, kernel: int, stride: int, padding: Padding, ceil: bool) -> Feature:
        window, height, width = self._slide(name, kernel, stride, padding, ceil=ceil)
        operator = Operator(name, kind, (self.tensor,), (f"{name}/out",), window)
        return self.network.emit(operator, (*self.shape[:2], height, width))

    def _slide(
        self, name: str, kernel: int, stride: int, padding: Padding, *, ceil: bool = False
    ) -> tuple[Window, int, int]:
        """Return the window and the output height and width."""
        (top, bottom, height), (left, right, width) = (_axis(n, kernel, stride, padding, ceil) for n in self.shape[2:])
        if height < 1 or width < 1:
            size = " x ".join(map(str, self.shape[2:]))
            raise InputError(
                f"window of {kernel} does not fit a map of {size}",
                where=f"{self.network.name}/{name}",
                hint="use a larger resolution",
            )
        return Window((kernel, kernel), (stride, stride), (top, left, bottom, right)), height, width


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
