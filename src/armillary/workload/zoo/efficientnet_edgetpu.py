"""EfficientNet-EdgeTPU S, M and L.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
ReLU everywhere, no squeeze-excite. Early stages use fused blocks (full 3x3 expansion, then 1x1), later ones depthwise
5x5. The first block expands from its own 24 output channels (scaled), not from the 32 of the stem: 4 x 24 = 96.
Source: tensorflow/tpu `efficientnet_edgetpu_builder.py` (Apache-2.0).
"""

from __future__ import annotations

from math import ceil

from armillary.workload.builder import Feature
from armillary.workload.zoo.channels import round_channels

# Stages: fused?, repeats, kernel, stride, expansion, output channels.
_STAGES = (
    (True, 1, 3, 1, 4, 24),
    (True, 2, 3, 2, 8, 32),
    (True, 4, 3, 2, 8, 48),
    (False, 5, 5, 2, 8, 96),
    (False, 4, 5, 1, 8, 144),
    (False, 2, 5, 2, 8, 192),
)


def small(x: Feature) -> Feature:
    """Width 1, depth 1; meant for 224 pixels."""
    return _scaled(x, 1.0, 1.0)


def medium(x: Feature) -> Feature:
    """Width 1, depth 1.1; meant for 240 pixels."""
    return _scaled(x, 1.0, 1.1)


def large(x: Feature) -> Feature:
    """Width 1.2, depth 1.4; meant for 300 pixels."""
    return _scaled(x, 1.2, 1.4)


def _scaled(x: Feature, width: float, depth: float) -> Feature:
    x = x.conv_bn("stem", round_channels(32, width), 3, stride=2)
    for stage, (fused, repeats, kernel, first_stride, expansion, channels) in enumerate(_STAGES, start=1):
        out_channels = round_channels(channels, width)
        for index in range(1, ceil(repeats * depth) + 1):
            name = f"stage{stage}/block{index}"
            stride = first_stride if index == 1 else 1
            source = out_channels if stage == 1 else x.channels
            hidden = expansion * source
            y = _fused(x, name, hidden, kernel, stride) if fused else _depthwise(x, name, hidden, kernel, stride)
            y = y.conv_bn(f"{name}/project", out_channels, 1, activation=None)
            x = y.add(f"{name}/add", x) if y.shape == x.shape and stage > 1 else y
    x = x.conv_bn("head", round_channels(1280, width), 1)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def _fused(x: Feature, name: str, hidden: int, kernel: int, stride: int) -> Feature:
    return x.conv_bn(f"{name}/expand", hidden, kernel, stride=stride)


def _depthwise(x: Feature, name: str, hidden: int, kernel: int, stride: int) -> Feature:
    y = x.conv_bn(f"{name}/expand", hidden, 1)
    return y.conv_bn(f"{name}/depthwise", hidden, kernel, stride=stride, groups=hidden)
