"""MobileNet V3-Large.

In:  image (batch, 3, height, width) and a width multiplier. Out: logits (batch, 1000).
Squeeze-excite in some blocks (the gate is a hard sigmoid), ReLU in the early blocks, hard swish in the later ones; a
dense layer of 1280 behind the pooling.
Source: arXiv 1905.02244 table 1; squeeze to a quarter of the expanded channels.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation
from armillary.workload.zoo.channels import round_channels

# Blocks: kernel, expanded channels, output channels, squeeze-excite?, activation, stride.
_RE, _HS = Activation.RELU, Activation.HARD_SWISH
_BLOCKS = (
    (3, 16, 16, False, _RE, 1),
    (3, 64, 24, False, _RE, 2),
    (3, 72, 24, False, _RE, 1),
    (5, 72, 40, True, _RE, 2),
    (5, 120, 40, True, _RE, 1),
    (5, 120, 40, True, _RE, 1),
    (3, 240, 80, False, _HS, 2),
    (3, 200, 80, False, _HS, 1),
    (3, 184, 80, False, _HS, 1),
    (3, 184, 80, False, _HS, 1),
    (3, 480, 112, True, _HS, 1),
    (3, 672, 112, True, _HS, 1),
    (5, 672, 160, True, _HS, 2),
    (5, 960, 160, True, _HS, 1),
    (5, 960, 160, True, _HS, 1),
)


def mobilenet_v3_large(x: Feature, width: float) -> Feature:
    """Fifteen blocks; the head has six times the channels of the last one, the dense layer at least 1280."""
    x = x.conv_bn("stem", round_channels(16, width), 3, stride=2, activation=_HS)
    for index, (kernel, expanded, out_channels, squeezed, activation, stride) in enumerate(_BLOCKS, start=1):
        name, hidden = f"block{index}", round_channels(expanded, width)
        y = x if hidden == x.channels else x.conv_bn(f"{name}/expand", hidden, 1, activation=activation)
        y = y.conv_bn(f"{name}/depthwise", hidden, kernel, stride=stride, groups=hidden, activation=activation)
        if squeezed:
            y = _squeeze_excite(y, f"{name}/squeeze")
        y = y.conv_bn(f"{name}/project", round_channels(out_channels, width), 1, activation=None)
        x = y.add(f"{name}/add", x) if y.shape == x.shape else y
    x = x.conv_bn("head", 6 * x.channels, 1, activation=_HS).global_pool("pool").flatten("flatten")
    x = x.dense("dense", round_channels(1280, max(1.0, width))).activation("dense/hard_swish", _HS)
    return x.dense("classifier", 1000)


def _squeeze_excite(x: Feature, name: str) -> Feature:
    """Multiply every channel by a gate that sees the averages of all channels."""
    gate = x.global_pool(f"{name}/pool").conv(f"{name}/reduce", round_channels(x.channels, 0.25), 1, bias=True)
    gate = gate.activation(f"{name}/relu", Activation.RELU).conv(f"{name}/expand", x.channels, 1, bias=True)
    return x.mul(f"{name}/scale", gate.activation(f"{name}/gate", Activation.HARD_SIGMOID))
