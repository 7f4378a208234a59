"""U-Net with batch norm and padded convolutions, as it is built today.

In:  image (batch, 3, height, width), both multiples of 16. Out: scores (batch, 2, height, width).
The paper's convolutions are not padded and shrink the image; channels, up-convolutions and skip connections are as
published, and so is the count of 31 M parameters.
Source: arXiv 1505.04597 figure 1.
"""

from __future__ import annotations

from armillary.errors import InputError
from armillary.workload.builder import Feature

_CHANNELS = (64, 128, 256, 512)
_BOTTOM = 1024
_CLASSES = 2


def unet(x: Feature) -> Feature:
    """Four levels down, four up, each with two 3x3 convolutions."""
    if any(size % 16 for size in x.shape[2:]):
        raise InputError(
            f"image of {x.shape[2]} x {x.shape[3]} cannot be halved four times",
            where=x.network.name,
            hint="use a multiple of 16",
        )
    skips: list[Feature] = []
    for level, channels in enumerate(_CHANNELS, start=1):
        x = _pair(x, f"down{level}", channels)
        skips.append(x)
        x = x.max_pool(f"down{level}/pool", 2, stride=2, padding=0)
    x = _pair(x, "bottom", _BOTTOM)
    for level, channels in reversed(tuple(enumerate(_CHANNELS, start=1))):
        x = x.conv_transpose(f"up{level}/conv", channels, 2, stride=2)
        x = _pair(skips[level - 1].concat(f"up{level}/concat", x), f"up{level}", channels)
    return x.conv("scores", _CLASSES, 1, bias=True)


def _pair(x: Feature, name: str, channels: int) -> Feature:
    return x.conv_bn(f"{name}/conv1", channels, 3).conv_bn(f"{name}/conv2", channels, 3)
