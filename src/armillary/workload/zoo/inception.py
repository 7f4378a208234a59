"""Inception V1 (GoogLeNet) with batch norm, Inception V4 and Inception-ResNet V2, without auxiliary heads.

In:  image (batch, 3, height, width). Out: logits (batch, 1000).
A module is written as its branches, a branch as its convolutions: (channels, kernel). In V1 the third branch uses 3x3
where the paper has 5x5: TF-slim and torchvision ship it so, and the published counts are theirs.
Sources: arXiv 1409.4842 table 1; arXiv 1602.07261 figures 3 to 9 (V4) and 10 to 14 with the channels of the released
TF-slim network (Inception-ResNet V2), whose residual branches are scaled: the factor folds into the weights.
"""

from __future__ import annotations

from armillary.workload.builder import Feature, Kernel
from armillary.workload.graph import Activation

_Branch = tuple[tuple[int, Kernel], ...]

# Module of V1: 1x1; 3x3 reduce, 3x3; third branch reduce, out; pool projection.
_V1_MODULES = {
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

_ROW, _COLUMN = (1, 7), (7, 1)
_V4_A: tuple[_Branch, ...] = (((96, 1),), ((64, 1), (96, 3)), ((64, 1), (96, 3), (96, 3)))
_V4_B: tuple[_Branch, ...] = (
    ((384, 1),),
    ((192, 1), (224, _ROW), (256, _COLUMN)),
    ((192, 1), (192, _COLUMN), (224, _ROW), (224, _COLUMN), (256, _ROW)),
)
# Reductions: the last convolution of a branch has stride 2 and no padding; a pooling stands beside them.
_V4_REDUCE_A: tuple[_Branch, ...] = (((384, 3),), ((192, 1), (224, 3), (256, 3)))
_V4_REDUCE_B: tuple[_Branch, ...] = (((192, 1), (192, 3)), ((256, 1), (256, _ROW), (320, _COLUMN), (320, 3)))

_RESNET_STEM: tuple[_Branch, ...] = (((96, 1),), ((48, 1), (64, 5)), ((64, 1), (96, 3), (96, 3)))
_RESNET_A: tuple[_Branch, ...] = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
_RESNET_B: tuple[_Branch, ...] = (((192, 1),), ((128, 1), (160, _ROW), (192, _COLUMN)))
_RESNET_C: tuple[_Branch, ...] = (((192, 1),), ((192, 1), (224, (1, 3)), (256, (3, 1))))
_RESNET_REDUCE_A: tuple[_Branch, ...] = (((384, 3),), ((256, 1), (256, 3), (384, 3)))
_RESNET_REDUCE_B: tuple[_Branch, ...] = (((256, 1), (384, 3)), ((256, 1), (288, 3)), ((256, 1), (288, 3), (320, 3)))


def inception_v1(x: Feature) -> Feature:
    """Nine modules; a pooling halves the map before the groups 3, 4 and 5."""
    x = x.conv_bn("stem/conv1", 64, 7, stride=2).max_pool("stem/pool1", 3, stride=2)
    x = x.conv_bn("stem/conv2", 64, 1).conv_bn("stem/conv3", 192, 3)
    for module, channels in _V1_MODULES.items():
        if module.endswith("a"):
            # The last pooling has a 2x2 window in both public definitions.
            x = x.max_pool(f"pool{module[0]}", 2 if module == "5a" else 3, stride=2)
        x = _v1_module(x, f"inception{module}", channels)
    return _classified(x)


def inception_v4(x: Feature) -> Feature:
    """Four modules A, seven B, three C, a reduction between the kinds; meant for 299 pixels."""
    x = x.conv_bn("stem/conv1", 32, 3, stride=2, padding=0).conv_bn("stem/conv2", 32, 3, padding=0)
    x = _reduced(x.conv_bn("stem/conv3", 64, 3), "stem/mixed1", (((96, 3),),))
    x = _branch(x, "stem/mixed2/branch1", ((64, 1), (96, 3)), stride=1).concat(
        "stem/mixed2/concat", _branch(x, "stem/mixed2/branch2", ((64, 1), (64, _ROW), (64, _COLUMN), (96, 3)), stride=1)
    )
    x = _reduced(x, "stem/mixed3", (((192, 3),),))
    for index in range(1, 5):
        x = _pooled_module(x, f"a{index}", _V4_A, 96)
    x = _reduced(x, "reduce_a", _V4_REDUCE_A)
    for index in range(1, 8):
        x = _pooled_module(x, f"b{index}", _V4_B, 128)
    x = _reduced(x, "reduce_b", _V4_REDUCE_B)
    for index in range(1, 4):
        x = _v4_module_c(x, f"c{index}")
    return _classified(x)


def inception_resnet_v2(x: Feature) -> Feature:
    """Ten residual modules A, twenty B, ten C, the last of them without ReLU; meant for 299 pixels."""
    x = x.conv_bn("stem/conv1", 32, 3, stride=2, padding=0).conv_bn("stem/conv2", 32, 3, padding=0)
    x = x.conv_bn("stem/conv3", 64, 3).max_pool("stem/pool1", 3, stride=2, padding=0)
    x = x.conv_bn("stem/conv4", 80, 1).conv_bn("stem/conv5", 192, 3, padding=0)
    x = x.max_pool("stem/pool2", 3, stride=2, padding=0)
    x = _pooled_module(x, "stem/mixed", _RESNET_STEM, 64)
    for index in range(1, 11):
        x = _residual_module(x, f"a{index}", _RESNET_A)
    x = _reduced(x, "reduce_a", _RESNET_REDUCE_A)
    for index in range(1, 21):
        x = _residual_module(x, f"b{index}", _RESNET_B)
    x = _reduced(x, "reduce_b", _RESNET_REDUCE_B)
    for index in range(1, 11):
        x = _residual_module(x, f"c{index}", _RESNET_C, last=index == 10)
    return _classified(x.conv_bn("head", 1536, 1))


def _classified(x: Feature) -> Feature:
    return x.global_pool("pool").flatten("flatten").dense("classifier", 1000)


def _v1_module(x: Feature, name: str, channels: tuple[int, int, int, int, int, int]) -> Feature:
    one, three_reduce, three, third_reduce, third, projection = channels
    return x.conv_bn(f"{name}/branch1", one, 1).concat(
        f"{name}/concat",
        x.conv_bn(f"{name}/branch2/reduce", three_reduce, 1).conv_bn(f"{name}/branch2/conv", three, 3),
        x.conv_bn(f"{name}/branch3/reduce", third_reduce, 1).conv_bn(f"{name}/branch3/conv", third, 3),
        x.max_pool(f"{name}/branch4/pool", 3, stride=1).conv_bn(f"{name}/branch4/project", projection, 1),
    )


def _pooled_module(x: Feature, name: str, branches: tuple[_Branch, ...], projection: int) -> Feature:
    """Branches of the same size, and an average over 3x3 that a 1x1 convolution projects."""
    first, *others = (_branch(x, f"{name}/branch{i}", branch) for i, branch in enumerate(branches, start=1))
    pooled = x.avg_pool(f"{name}/pool", 3, stride=1).conv_bn(f"{name}/project", projection, 1)
    return first.concat(f"{name}/concat", *others, pooled)


def _v4_module_c(x: Feature, name: str) -> Feature:
    """Two branches end in a pair of 1x3 and 3x1 that stand side by side."""
    two = x.conv_bn(f"{name}/branch2/conv1", 384, 1)
    three = _branch(x, f"{name}/branch3", ((384, 1), (448, (3, 1)), (512, (1, 3))))
    pairs = [
        y.conv_bn(f"{name}/{branch}/{side}", 256, kernel)
        for y, branch in ((two, "branch2"), (three, "branch3"))
        for side, kernel in (("row", (1, 3)), ("column", (3, 1)))
    ]
    pooled = x.avg_pool(f"{name}/pool", 3, stride=1).conv_bn(f"{name}/project", 256, 1)
    return x.conv_bn(f"{name}/branch1", 256, 1).concat(f"{name}/concat", *pairs, pooled)


def _residual_module(x: Feature, name: str, branches: tuple[_Branch, ...], *, last: bool = False) -> Feature:
    first, *others = (_branch(x, f"{name}/branch{i}", branch) for i, branch in enumerate(branches, start=1))
    y = first.concat(f"{name}/concat", *others).conv(f"{name}/project", x.channels, 1, bias=True)
    y = y.add(f"{name}/add", x)
    return y if last else y.activation(f"{name}/relu", Activation.RELU)


def _reduced(x: Feature, name: str, branches: tuple[_Branch, ...]) -> Feature:
    """Halve the map: branches that end in stride 2 beside a pooling."""
    pooled = x.max_pool(f"{name}/pool", 3, stride=2, padding=0)
    first, *others = (_branch(x, f"{name}/branch{i}", branch, stride=2) for i, branch in enumerate(branches, start=1))
    return first.concat(f"{name}/concat", *others, pooled)


def _branch(x: Feature, name: str, convolutions: _Branch, *, stride: int | None = None) -> Feature:
    """Convolutions in a row; with a `stride` the last one has it and no padding."""
    for index, (channels, kernel) in enumerate(convolutions, start=1):
        if stride is not None and index == len(convolutions):
            x = x.conv_bn(f"{name}/conv{index}", channels, kernel, stride=stride, padding=0)
        else:
            x = x.conv_bn(f"{name}/conv{index}", channels, kernel)
    return x
