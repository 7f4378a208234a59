"""DenseNet-121.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
Every layer reads all maps before it in its block: batch norm and ReLU stand before the convolution, on the joined map.
Source: arXiv 1608.06993 table 1, growth 32, bottleneck of 4 x 32 channels, compression 0.5.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation

_GROWTH = 32


def densenet121(x: Feature) -> Feature:
    """Blocks of 6, 12, 24 and 16 layers, halved in channels and size between them."""
    x = x.conv_bn("stem", 64, 7, stride=2, padding=3).max_pool("stem/pool", 3, stride=2, padding=1)
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        if block > 1:
            name = f"transition{block - 1}"
            x = _normed(x, name).conv(f"{name}/conv", x.channels // 2, 1)
            x = x.avg_pool(f"{name}/pool", 2, stride=2, padding=0)
        for index in range(1, layers + 1):
            name = f"block{block}/layer{index}"
            y = _normed(x, f"{name}/in").conv(f"{name}/reduce", 4 * _GROWTH, 1)
            y = _normed(y, f"{name}/reduce").conv(f"{name}/conv", _GROWTH, 3, padding=1)
            x = x.concat(f"{name}/concat", y)
    return _normed(x, "head").global_pool("pool").flatten("flatten").dense("classifier", 1000)


def _normed(x: Feature, name: str) -> Feature:
    return x.batch_norm(f"{name}/bn").activation(f"{name}/relu", Activation.RELU)
