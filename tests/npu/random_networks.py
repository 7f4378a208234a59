"""Random networks of every kind of operator, for laws that hold whatever the network.

In:  hypothesis. Out: `networks()`, a strategy of `Graph`.
A network grows by moves: each takes maps that are there and adds one or a few. There are images (convolutions of every
sort, pools, residuals, concatenations, squeeze and excite), tokens (dense layers, attention, norms, recurrent layers,
look-ups) and what no chip has (custom operators); one to three inputs, one to four outputs, sizes that fill no granule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from armillary.workload import Activation, Graph, Operator, OpKind, with_dtype
from armillary.workload.builder import Feature, Network

Draw = Callable[[Any], Any]
CHANNELS = st.sampled_from([1, 3, 8, 16, 24, 33, 48, 96])
SIDES = st.sampled_from([1, 2, 5, 9, 13, 16, 28])
FREE_AND_NOT = (Activation.RELU, Activation.RELU6, Activation.SWISH, Activation.GELU, Activation.OTHER)
FREE = (OpKind.CONCAT, OpKind.SLICE, OpKind.VIEW)  # a network of these alone is refused: there is nothing to run
MAX_ELEMENTS = 2**17  # of a map that another transposed convolution or resize may take


@st.composite
def networks(draw: Draw, *, most: int = 9) -> Graph:
    """Return a network of one to `most` moves, in int8 or fp16."""
    net = Network("random")
    images = [_image(draw, net, number) for number in range(draw(st.integers(1, 2)))]
    tokens: list[Feature] = []
    if draw(st.integers(0, 3)) == 0:
        tokens.append(_looked_up(draw, net))
    for number in range(draw(st.integers(1, most))):
        if tokens and draw(st.integers(0, 2)) == 0:
            tokens.append(draw(st.sampled_from(TOKEN_MOVES))(draw, draw(st.sampled_from(tokens[-2:])), f"t{number}"))
        elif draw(st.integers(0, 11)) == 0:
            tokens.append(_tokens_of(draw(st.sampled_from(images)), f"t{number}"))
        else:
            images.append(draw(st.sampled_from(IMAGE_MOVES))(draw, _recent(draw, images), images, f"m{number}"))
    if all(operator.kind in FREE for operator in net.operators):
        images.append(images[-1].conv("last", 8, 1))
    return with_dtype(net.graph(*_outputs(draw, net, images + tokens)), draw(st.sampled_from(["int8", "int8", "fp16"])))


def _image(draw: Draw, net: Network, number: int) -> Feature:
    batch = draw(st.sampled_from([1, 1, 1, 2])) if number == 0 else net.tensors["image0"].shape[0]
    return net.input(f"image{number}", (batch, draw(CHANNELS), draw(SIDES), draw(SIDES)))


def _looked_up(draw: Draw, net: Network) -> Feature:
    indices = net.input("indices", (1, draw(st.sampled_from([1, 5, 16]))), "int32")
    features = draw(st.sampled_from([8, 24, 64]))
    return indices.look_up("look-up", net.constant("table", (draw(st.sampled_from([7, 500])), features)), features)


def _recent(draw: Draw, images: list[Feature]) -> Feature:
    recent: Feature = draw(st.sampled_from(images[-3:]))
    return recent


def _outputs(draw: Draw, net: Network, maps: list[Feature]) -> list[Feature]:
    """Return the last map that an operator wrote and some of the others; what none of them needs is dead code."""
    made = {name for operator in net.operators for name in operator.outputs}
    written = [one for one in maps if one.tensor in made]
    chosen = [written[-1], *draw(st.lists(st.sampled_from(written), max_size=3))]
    return list({one.tensor: one for one in chosen}.values())


# Moves on images: (draw, map, all maps, name) -> new map.


def _conv(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    kernel = draw(st.sampled_from([1, 1, 3, 3, 5, (1, 5), (3, 1)]))
    activation = draw(st.sampled_from([None, *FREE_AND_NOT]))
    stride, dilation = draw(st.sampled_from([(1, 1), (1, 1), (2, 1), (3, 1), (1, 2)]))
    return x.conv_bn(name, draw(CHANNELS), kernel, activation=activation, stride=stride, dilation=dilation)


def _grouped(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    groups = draw(st.sampled_from([number for number in (1, 2, 3, 4, 8) if x.channels % number == 0]))
    return x.conv(name, groups * draw(st.sampled_from([1, 5, 16])), 3, groups=groups, bias=True)


def _depthwise(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    many = x.channels * draw(st.sampled_from([1, 1, 2]))
    return x.conv_bn(name, many, draw(st.sampled_from([3, 5])), groups=x.channels, stride=draw(st.integers(1, 2)))


def _transposed(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    if 4 * x.network.tensors[x.tensor].elements > MAX_ELEMENTS:
        return _conv(draw, x, images, name)
    return x.conv_transpose(name, draw(st.sampled_from([3, 8, 16])), draw(st.integers(2, 3)), stride=2)


def _pool(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    kernel, stride = draw(st.integers(2, 3)), draw(st.integers(1, 3))
    return (x.max_pool if draw(st.booleans()) else x.avg_pool)(name, kernel, stride=stride)


def _residual(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    same = [one for one in images if one.shape == x.shape]
    other = draw(st.sampled_from([*same, x.conv_bn(f"{name}/other", x.channels, 1)]))
    joined: Feature = draw(st.sampled_from([x.add, x.mul, x.elementwise]))(name, other)
    return joined


def _joined(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    fits = [one for one in images if (one.shape[0], *one.shape[2:]) == (x.shape[0], *x.shape[2:])]
    return x.concat(name, *draw(st.lists(st.sampled_from(fits), min_size=1, max_size=2)))


def _excited(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    """Squeeze and excite: every channel times a number made of its mean."""
    gate = x.global_pool(f"{name}/mean").conv_bn(f"{name}/narrow", 4, 1)
    return x.mul(name, gate.conv_bn(f"{name}/gate", x.channels, 1, activation=Activation.SIGMOID))


def _cut(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    batch, channels, *sides = x.shape
    return x.slice(name, (batch, max(1, channels // 2), *sides))


def _resized(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    if 4 * x.network.tensors[x.tensor].elements > MAX_ELEMENTS:
        return x.batch_norm(name)
    return x.resize(name, 2 * x.shape[2], 2 * x.shape[3])


def _pointwise(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    return x.activation(name, draw(st.sampled_from(FREE_AND_NOT)))


def _custom(draw: Draw, x: Feature, images: list[Feature], name: str) -> Feature:
    """An operator that no chip has."""
    return x.network.emit(Operator(name, OpKind.UNKNOWN, (x.tensor,), (f"{name}/out",), source_op="Custom"), x.shape)


IMAGE_MOVES = (
    _conv, _conv, _conv, _grouped, _depthwise, _transposed, _pool, _residual, _residual, _joined, _excited, _cut,
    _resized, _pointwise, _custom,
)  # fmt: skip


# Moves on tokens, maps of shape (batch, tokens, features): (draw, map, name) -> new map.


def _tokens_of(x: Feature, name: str) -> Feature:
    batch, channels, height, width = x.shape
    return x.view(f"{name}/flat", (batch, channels, height * width)).transpose(name, (0, 2, 1))


def _dense(draw: Draw, x: Feature, name: str) -> Feature:
    return x.dense(name, draw(st.sampled_from([5, 16, 64]))).activation(
        f"{name}/act", draw(st.sampled_from(FREE_AND_NOT))
    )


def _tied(draw: Draw, x: Feature, name: str) -> Feature:
    """Two dense layers of one weight."""
    weight = x.network.constant(f"{name}/weight", (x.shape[-1], x.shape[-1]))
    return x.project(f"{name}/first", weight).project(name, weight)


def _attention(draw: Draw, x: Feature, name: str) -> Feature:
    query, key, value = (x.dense(f"{name}/{part}", 16) for part in ("query", "key", "value"))
    scores = query.matmul(f"{name}/scores", key.transpose(f"{name}/turned", (0, 2, 1))).softmax(f"{name}/softmax")
    return scores.matmul(f"{name}/mixed", value).dense(name, x.shape[-1]).add(f"{name}/sum", x)


def _norm(draw: Draw, x: Feature, name: str) -> Feature:
    return x.norm(name, shift=draw(st.booleans()))


def _recurrent(draw: Draw, x: Feature, name: str) -> Feature:
    hidden = draw(st.sampled_from([4, 24]))
    steps, batch, _ = x.steps_first(f"{name}/steps").lstm(name, hidden).shape
    whole = Feature(x.network, f"{name}/out")
    return (
        whole.view(f"{name}/back", (batch, steps, hidden)) if batch == 1 else whole.transpose(f"{name}/back", (1, 0, 2))
    )


TOKEN_MOVES = (_dense, _dense, _tied, _attention, _norm, _recurrent)
