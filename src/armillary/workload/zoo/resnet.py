"""ResNet 18, 50 and 152.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
The paper puts the stride of a bottleneck in its first 1x1 convolution (3.86 GMAC for ResNet-50 at 224); the published
counts that the zoo is held to (4.09 GMAC at 224, 7.63 at 299), and what frameworks ship as ResNet-50 today, put it in
the 3x3. So do we.
Source: arXiv 1512.03385 table 1; stride placement of torchvision.
"""

from __future__ import annotations

from collections.abc import Callable

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation

_Block = Callable[[Feature, str, int, int], Feature]


def resnet18(x: Feature) -> Feature:
    """Two basic blocks in each of four stages."""
    return _resnet(x, _basic, (2, 2, 2, 2))


def resnet50(x: Feature) -> Feature:
    """3, 4, 6, 3 bottleneck blocks."""
    return _resnet(x, _bottleneck, (3, 4, 6, 3))


def resnet152(x: Feature) -> Feature:
    """3, 8, 36, 3 bottleneck blocks."""
    return _resnet(x, _bottleneck, (3, 8, 36, 3))


def _resnet(x: Feature, block: _Block, repeats: tuple[int, ...]) -> Feature:
    x = x.conv_bn("stem", 64, 7, stride=2, padding=3).max_pool("stem/pool", 3, stride=2, padding=1)
    for stage, count in enumerate(repeats, start=1):
        for index in range(1, count + 1):
            stride = 2 if index == 1 and stage > 1 else 1
            x = block(x, f"stage{stage}/block{index}", 64 * 2 ** (stage - 1), stride)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def _basic(x: Feature, name: str, channels: int, stride: int) -> Feature:
    y = x.conv_bn(f"{name}/conv1", channels, 3, stride=stride, padding=1)
    y = y.conv_bn(f"{name}/conv2", channels, 3, padding=1, activation=None)
    return _joined(x, y, name, stride)


def _bottleneck(x: Feature, name: str, channels: int, stride: int) -> Feature:
    y = x.conv_bn(f"{name}/reduce", channels, 1)
    y = y.conv_bn(f"{name}/conv", channels, 3, stride=stride, padding=1)
    y = y.conv_bn(f"{name}/expand", 4 * channels, 1, activation=None)
    return _joined(x, y, name, stride)


def _joined(x: Feature, y: Feature, name: str, stride: int) -> Feature:
    """Add the shortcut, projected where the shape changes, then ReLU."""
    shortcut = x if x.shape == y.shape else x.conv_bn(f"{name}/shortcut", y.channels, 1, stride=stride, activation=None)
    return y.add(f"{name}/add", shortcut).activation(f"{name}/relu", Activation.RELU)
