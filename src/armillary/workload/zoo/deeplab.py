"""DeepLab V3 on MobileNet V2: semantic segmentation on a phone.

In:  image (batch, 3, height, width). Out: scores (batch, 21, height, width).
The backbone keeps a sixteenth of the image: its last stages are dilated instead of strided. The head is the light one
of the MobileNet V2 paper: a 1x1 branch and an image-level branch, no 3x3 pyramid, no decoder.
Source: arXiv 1801.04381 table 7 (output stride 16, without ASPP); arXiv 1706.05587.
"""

from __future__ import annotations

from armillary.workload.builder import Feature
from armillary.workload.graph import Activation
from armillary.workload.zoo.mobilenet import v2_features

_CLASSES = 21  # of PASCAL VOC, background included


def deeplab_v3_mobilenet_v2(x: Feature) -> Feature:
    """Backbone, two branches of 256 channels, scores interpolated to the size of the image."""
    relu = Activation.RELU
    size = x.shape[2:]
    x = v2_features(x, 1.0, output_stride=16)
    whole = x.global_pool("head/image/pool").conv_bn("head/image", 256, 1, activation=relu)
    whole = whole.resize("head/image/resize", *x.shape[2:])
    x = whole.concat("head/concat", x.conv_bn("head/pixels", 256, 1, activation=relu))
    x = x.conv_bn("head/project", 256, 1, activation=relu).conv("scores", _CLASSES, 1, bias=True)
    return x.resize("resize", *size)
