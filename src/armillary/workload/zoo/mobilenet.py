"""MobileNet V1 and V2.

In:  image (batch, 3, height, width) and a width multiplier. Out: logits (batch, 1000).
Padding is "same" as in the TensorFlow originals; ReLU6 after every batch norm but the linear bottlenecks of V2.
Sources: arXiv 1704.04861 table 1; arXiv 1801.04381 table 2.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation
from armillary.workload.zoo.channels import round_channels

# Depthwise-separable blocks of V1: output channels, stride of the depthwise convolution.
_V1_BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

# Stages of V2: expansion, output channels, repeats, stride of the first block.
_V2_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v1(x: Feature, width: float) -> Feature:
    """Thirteen depthwise-separable blocks after one full convolution."""
    x = v1_features(x, width, activation=Activation.RELU6)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def v1_features(x: Feature, width: float, *, activation: Activation) -> Feature:
    """Return the map behind the blocks of V1."""
    x = x.conv_bn("stem", round_channels(32, width), 3, stride=2, activation=activation)
    for index, (channels, stride) in enumerate(_V1_BLOCKS, start=1):
        x = x.conv_bn(f"block{index}/depthwise", x.channels, 3, stride=stride, groups=x.channels, activation=activation)
        x = x.conv_bn(f"block{index}/pointwise", round_channels(channels, width), 1, activation=activation)
    return x


def mobilenet_v2(x: Feature, width: float) -> Feature:
    """Seventeen inverted residual blocks; the last convolution does not shrink below 1280 channels."""
    x = v2_features(x, width)
    x = x.conv_bn("head", round_channels(1280, max(1.0, width)), 1, activation=Activation.RELU6)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def v2_features(x: Feature, width: float, *, output_stride: int = 32) -> Feature:
    """Return the map behind the blocks of V2; at a smaller output stride, strides beyond it become dilations."""
    x = x.conv_bn("stem", round_channels(32, width), 3, stride=2, activation=Activation.RELU6)
    index, reached, dilation = 0, 2, 1
    for expansion, channels, repeats, first_stride in _V2_STAGES:
        for repeat in range(repeats):
            index += 1
            stride = first_stride if repeat == 0 else 1
            name, out_channels = f"block{index}", round_channels(channels, width)
            if reached * stride > output_stride:
                # The depthwise window of the strided block itself still sees neighbours; those behind it skip some.
                x = _inverted_residual(x, name, expansion, out_channels, 1, dilation)
                dilation *= stride
            else:
                reached *= stride
                x = _inverted_residual(x, name, expansion, out_channels, stride, dilation)
    return x


def _inverted_residual(x: Feature, name: str, expansion: int, channels: int, stride: int, dilation: int) -> Feature:
    """Expand (unless by 1), depthwise 3x3, project without activation; skip when the shape stays."""
    relu6 = Activation.RELU6
    hidden = x.channels * expansion
    y = x if expansion == 1 else x.conv_bn(f"{name}/expand", hidden, 1, activation=relu6)
    y = y.conv_bn(f"{name}/depthwise", hidden, 3, stride=stride, groups=hidden, dilation=dilation, activation=relu6)
    y = y.conv_bn(f"{name}/project", channels, 1, activation=None)
    return y.add(f"{name}/add", x) if y.shape == x.shape else y
