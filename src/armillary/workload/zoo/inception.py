"""Inception V1 (GoogLeNet) with batch norm and without the auxiliary heads.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
The third branch uses 3x3 where the paper has 5x5: TF-slim and torchvision ship it so, and the published counts are
theirs.
Source: arXiv 1409.4842 table 1.
"""

from __future__ import annotations

from armillary.workload.builder import Feature

# Module: 1x1; 3x3 reduce, 3x3; third branch reduce, out; pool projection.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def inception_v1(x: Feature) -> Feature:
    """Nine modules; a pooling halves the map before the groups 3, 4 and 5."""
    x = x.conv_bn("stem/conv1", 64, 7, stride=2).max_pool("stem/pool1", 3, stride=2)
    x = x.conv_bn("stem/conv2", 64, 1).conv_bn("stem/conv3", 192, 3)
    for module, channels in _MODULES.items():
        if module.endswith("a"):
            # The last pooling has a 2x2 window in both public definitions.
            x = x.max_pool(f"pool{module[0]}", 2 if module == "5a" else 3, stride=2)
        x = _module(x, f"inception{module}", channels)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def _module(x: Feature, name: str, channels: tuple[int, int, int, int, int, int]) -> Feature:
    one, three_reduce, three, third_reduce, third, projection = channels
    return x.conv_bn(f"{name}/branch1", one, 1).concat(
        f"{name}/concat",
        x.conv_bn(f"{name}/branch2/reduce", three_reduce, 1).conv_bn(f"{name}/branch2/conv", three, 3),
        x.conv_bn(f"{name}/branch3/reduce", third_reduce, 1).conv_bn(f"{name}/branch3/conv", third, 3),
        x.max_pool(f"{name}/branch4/pool", 3, stride=1).conv_bn(f"{name}/branch4/project", projection, 1),
    )
