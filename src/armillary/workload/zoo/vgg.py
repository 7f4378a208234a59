"""VGG 16 and 19 (configurations D and E), convolutions with bias, no batch norm.

In:  image (batch, 3, height, width) of at least 224 pixels. Out: logits (batch, 1000).
The dense layers always see a 7 x 7 map, so larger images are averaged down to it.
Source: arXiv 1409.1556 table 1.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation

_CHANNELS = (64, 128, 256, 512, 512)


def vgg16(x: Feature) -> Feature:
    """Thirteen convolutions, three dense layers."""
    return _vgg(x, (2, 2, 3, 3, 3))


def vgg19(x: Feature) -> Feature:
    """Sixteen convolutions, three dense layers."""
    return _vgg(x, (2, 2, 4, 4, 4))


def _vgg(x: Feature, repeats: tuple[int, ...]) -> Feature:
    relu = Activation.RELU
    for stage, (channels, count) in enumerate(zip(_CHANNELS, repeats, strict=True), start=1):
        for index in range(1, count + 1):
            name = f"stage{stage}/conv{index}"
            x = x.conv(name, channels, 3, padding=1, bias=True).activation(f"{name}/relu", relu)
        x = x.max_pool(f"stage{stage}/pool", 2, stride=2, padding=0)
    if x.shape[2:] != (7, 7):
        x = x.adaptive_avg_pool("adapt", 7)
    x = x.flatten("flatten")
    for name in ("dense1", "dense2"):
        x = x.dense(name, 4096).activation(f"{name}/relu", relu)
    return x.dense("classifier", 1000)
