"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-excite and swish, for integer accelerators.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
ReLU6 after every batch norm but the linear projections.
Source: tensorflow/tpu `efficientnet/lite` (Apache-2.0); stages of arXiv 1905.11946 table 1.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation

# Stages: repeats, kernel, stride of the first block, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def efficientnet_lite0(x: Feature) -> Feature:
    """Sixteen inverted residual blocks."""
    relu6 = Activation.RELU6
    x = x.conv_bn("stem", 32, 3, stride=2, activation=relu6)
    for stage, (repeats, kernel, first_stride, expansion, out_channels) in enumerate(_STAGES, start=1):
        for index in range(1, repeats + 1):
            name, hidden = f"stage{stage}/block{index}", expansion * x.channels
            stride = first_stride if index == 1 else 1
            y = x if expansion == 1 else x.conv_bn(f"{name}/expand", hidden, 1, activation=relu6)
            y = y.conv_bn(f"{name}/depthwise", hidden, kernel, stride=stride, groups=hidden, activation=relu6)
            y = y.conv_bn(f"{name}/project", out_channels, 1, activation=None)
            x = y.add(f"{name}/add", x) if y.shape == x.shape else y
    x = x.conv_bn("head", 1280, 1, activation=relu6)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)
