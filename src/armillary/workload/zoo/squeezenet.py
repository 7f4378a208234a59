"""SqueezeNet 1.0.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
No dense layer: the last 1x1 convolution makes the classes and is averaged. Convolutions carry biases, there is no
batch norm.
Source: arXiv 1602.07360 table 1; 1.0 (7x7 stem of 96 channels) is the version of the published count of 0.82 GMAC.
"""

from __future__ import annotations

from armillary.workload.builder import Feature, Padding
from armillary.workload.graph import Activation

# Fire modules 2-9: squeeze channels; both expansions have four times as many.
_SQUEEZE = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}


def squeezenet(x: Feature) -> Feature:
    """Eight fire modules, pooled after the stem and after modules 4 and 8."""
    x = _conv(x, "stem", 96, 7, stride=2, padding=0).max_pool("stem/pool", 3, stride=2, padding=0, ceil=True)
    for index, squeeze in _SQUEEZE.items():
        x = _fire(x, f"fire{index}", squeeze)
        if index in (4, 8):
            x = x.max_pool(f"pool{index}", 3, stride=2, padding=0, ceil=True)
    return _conv(x, "classifier", 1000, 1).global_pool("pool").flatten("flatten")


def _fire(x: Feature, name: str, squeeze: int) -> Feature:
    x = _conv(x, f"{name}/squeeze", squeeze, 1)
    return _conv(x, f"{name}/expand1", 4 * squeeze, 1).concat(
        f"{name}/concat", _conv(x, f"{name}/expand3", 4 * squeeze, 3)
    )


def _conv(x: Feature, name: str, channels: int, kernel: int, *, stride: int = 1, padding: Padding = "same") -> Feature:
    return x.conv(name, channels, kernel, stride=stride, padding=padding, bias=True).activation(
        f"{name}/relu", Activation.RELU
    )
