"""MobileNet-EdgeTPU, version 1 and version 2 (tiny, xs, s, m, l).

In:  image (batch, 3, height, width); version 1 has a width multiplier. Out: logits (batch, 1000).
ReLU everywhere, no squeeze-excite. Fused blocks (a full 3x3 expansion, in version 2 in part grouped) where maps are
large, depthwise blocks where they are small.
Public sources disagree on version 2. The published counts belong to the reading of timm: the first block is one 1x1
convolution, the stem of xs is 3x3, of s and m 5x5, of l 7x7. Google's file has a 3x3 convolution with projection first
and a 5x5 stem for xs: `as_google` turns a `V2` to that reading. Tiny exists in Google's file alone.
Sources: timm 1.0.31; tensorflow/models `mobilenet_edgetpu_v1_model.py`, `mobilenet_edgetpu_v2_model_blocks.py`
(Apache-2.0).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from armillary.workload.builder import Feature
from armillary.workload.zoo.channels import round_channels


class _Op(Enum):
    """First half of a block; the second is a 1x1 projection."""

    FUSED = "fused"
    GROUPED = "grouped"  # fused, in groups
    DEPTHWISE = "depthwise"


_F, _G, _D = _Op.FUSED, _Op.GROUPED, _Op.DEPTHWISE

# Stages of version 1: op, kernel, stride and expansion of the first block, channels; three blocks of expansion 4
# follow. The fourth stage begins without a skip although its shape stays.
_V1_STAGES = (
    (_F, 3, 2, 8, 32),
    (_F, 3, 2, 8, 48),
    (_D, 3, 2, 8, 96),
    (_D, 3, 1, 8, 96),
    (_D, 5, 2, 8, 160),
)

# Groups 1 to 6 of version 2: (op, expansion) of each block, stride of the first.
_V2_GROUPS: tuple[tuple[int, tuple[tuple[_Op, int], ...]], ...] = (
    (2, ((_F, 8), (_G, 4))),
    (2, ((_F, 8), (_G, 4), (_F, 4), (_G, 4))),
    (2, ((_F, 8), (_D, 4), (_D, 4), (_D, 4))),
    (1, ((_D, 8), (_D, 4), (_D, 4), (_D, 4))),
    (2, ((_D, 8), (_D, 4), (_D, 4), (_D, 4))),
    (1, ((_D, 8),)),
)
# Blocks (group, index) that are grouped in tiny and plain elsewhere.
_TINY_GROUPED = frozenset({(2, 0), (2, 2), (3, 0)})


@dataclass(frozen=True, slots=True)
class V2:
    """One size of version 2."""

    filters: tuple[int, int, int, int, int, int, int]
    stem: int
    head: int
    stem_kernel: int
    group_size: int = 64
    first_kernel: int = 1  # 1: one 1x1 convolution; 3: a 3x3 convolution and its projection
    grouped: frozenset[tuple[int, int]] = frozenset()


TINY = V2((16, 32, 48, 80, 112, 160, 192), 32, 1280, 5, first_kernel=3, grouped=_TINY_GROUPED)
XS = V2((16, 32, 48, 96, 144, 160, 192), 32, 1280, 3)
S = V2((24, 48, 64, 128, 160, 192, 256), 64, 1280, 5)
M = V2((32, 64, 80, 160, 192, 240, 320), 64, 1344, 5)
L = V2((32, 64, 96, 192, 240, 256, 384), 64, 1408, 7, group_size=128)


def as_google(size: V2) -> V2:
    """Return `size` as Google's file has it: 3x3 first block, stem of at least 5x5."""
    return replace(size, first_kernel=3, stem_kernel=max(size.stem_kernel, 5))


def version1(x: Feature, width: float) -> Feature:
    """Twenty-two blocks; the head scales with the width too."""
    x = x.conv_bn("stem", round_channels(32, width), 3, stride=2)
    x = x.conv_bn("stage0/block1", round_channels(16, width), 1)
    for stage, (op, kernel, first_stride, first_expansion, channels) in enumerate(_V1_STAGES, start=1):
        for index in range(1, 5):
            first = index == 1
            expansion, stride = (first_expansion, first_stride) if first else (4, 1)
            y = _block(x, f"stage{stage}/block{index}", op, kernel, stride, expansion, round_channels(channels, width))
            x = y.add(f"stage{stage}/block{index}/add", x) if y.shape == x.shape and not first else y
    x = _block(x, "stage6/block1", _D, 3, 1, 8, round_channels(192, width))
    return _classified(x, round_channels(1280, width))


def v2_tiny(x: Feature) -> Feature:
    """Google's smallest."""
    return version2(x, TINY)


def v2_xs(x: Feature) -> Feature:
    """Extra small."""
    return version2(x, XS)


def v2_s(x: Feature) -> Feature:
    """Small."""
    return version2(x, S)


def v2_m(x: Feature) -> Feature:
    """Medium."""
    return version2(x, M)


def v2_l(x: Feature) -> Feature:
    """Large."""
    return version2(x, L)


def version2(x: Feature, size: V2) -> Feature:
    """Seven groups of blocks in the channels and the reading of `size`."""
    x = x.conv_bn("stem", size.stem, size.stem_kernel, stride=2)
    if size.first_kernel == 1:
        x = x.conv_bn("group0/block1", size.filters[0], 1)
    else:
        x = _block(x, "group0/block1", _F, size.first_kernel, 1, 1, size.filters[0])
    for group, (first_stride, blocks) in enumerate(_V2_GROUPS, start=1):
        for index, (op, expansion) in enumerate(blocks):
            name, stride = f"group{group}/block{index + 1}", first_stride if index == 0 else 1
            chosen = _G if (group, index) in size.grouped else op
            y = _block(x, name, chosen, 3, stride, expansion, size.filters[group], size.group_size)
            x = y.add(f"{name}/add", x) if y.shape == x.shape else y
    return _classified(x, size.head)


def _block(
    x: Feature, name: str, op: _Op, kernel: int, stride: int, expansion: int, out_channels: int, group_size: int = 64
) -> Feature:
    """Expand, filter, project without activation."""
    hidden = expansion * x.channels
    if op is _D:
        y = x.conv_bn(f"{name}/expand", hidden, 1)
        y = y.conv_bn(f"{name}/depthwise", hidden, kernel, stride=stride, groups=hidden)
    else:
        groups = max(1, hidden // group_size) if op is _G else 1
        y = x.conv_bn(f"{name}/expand", hidden, kernel, stride=stride, groups=groups)
    return y.conv_bn(f"{name}/project", out_channels, 1, activation=None)


def _classified(x: Feature, head: int) -> Feature:
    return x.conv_bn("head", head, 1).global_pool("pool").flatten("flatten").dense("classifier", 1000)
