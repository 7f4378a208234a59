"""The networks of MLPerf Tiny: keyword spotting, person detection, image classes, anomaly detection, a wake word.

In:  spectrogram (batch, 1, 49, 10), images, a spectrum (batch, 640), or mel bands (batch, 40, steps, 1).
Out: scores (batch, 12), (batch, 2), (batch, 10), (batch, 3), or the spectrum again.
The reference networks put a bias in front of a batch norm, which folds away; here a layer has either. Dropouts and the
last softmax are left out, as throughout the zoo.
Source: the training code of mlcommons/tiny v1.3 (Apache-2.0); the layers of the wake word are recalled.
"""

from __future__ import annotations

from armillary.workload.builder import Feature, Network
from armillary.workload.graph import Activation
from armillary.workload.zoo.mobilenet import v1_features

_RELU = Activation.RELU

# Blocks of the wake word: steps that the window of the depthwise convolution spans, output channels (recalled).
_WAKE_WORD_BLOCKS = ((3, 128), (5, 128), (10, 128), (15, 32))


def keyword_spotting(network: Network, batch: int) -> Feature:
    """DS-CNN: one full convolution and four depthwise-separable blocks of 64 channels on 49 x 10 MFCC."""
    x = network.input("spectrogram", (batch, 1, 49, 10)).conv_bn("stem", 64, (10, 4), stride=2)
    for index in range(1, 5):
        x = x.conv_bn(f"block{index}/depthwise", 64, 3, groups=64).conv_bn(f"block{index}/pointwise", 64, 1)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 12)


def person_detection(image: Feature) -> Feature:
    """MobileNet V1 at a quarter of its width with plain ReLU: visual wake words."""
    x = v1_features(image, 0.25, activation=_RELU)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 2)


def image_classes(image: Feature) -> Feature:
    """ResNet-8: three stages of one basic block; the projected shortcuts have a bias and no batch norm."""
    x = image.conv_bn("stem", 16, 3)
    for stage, (channels, stride) in enumerate(((16, 1), (32, 2), (64, 2)), start=1):
        y = x.conv_bn(f"stage{stage}/conv1", channels, 3, stride=stride)
        y = y.conv_bn(f"stage{stage}/conv2", channels, 3, activation=None)
        shortcut = x if stride == 1 else x.conv(f"stage{stage}/shortcut", channels, 1, stride=stride, bias=True)
        x = y.add(f"stage{stage}/add", shortcut).activation(f"stage{stage}/relu", _RELU)
    return x.global_pool("pool").flatten("flatten").dense("classifier", 10)


def anomaly_detection(network: Network, batch: int) -> Feature:
    """Autoencoder: dense layers of 128, four before and four behind a code of 8."""
    x = network.input("spectrum", (batch, 640))
    for index, units in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128), start=1):
        x = x.dense(f"dense{index}", units, bias=False).batch_norm(f"dense{index}/bn")
        x = x.activation(f"dense{index}/relu", _RELU)
    return x.dense("reconstruction", 640)


def streaming_wake_word(network: Network, batch: int) -> Feature:
    """Four depthwise-separable convolutions along time, unpadded: they shrink 30 steps to one."""
    x = network.input("mel_bands", (batch, 40, 30, 1))
    for index, (span, channels) in enumerate(_WAKE_WORD_BLOCKS, start=1):
        x = x.conv(f"block{index}/depthwise", x.channels, (span, 1), padding=0, groups=x.channels)
        x = x.conv_bn(f"block{index}/pointwise", channels, 1)
    return x.flatten("flatten").dense("classifier", 3)
