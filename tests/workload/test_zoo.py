"""The zoo meets published counts, and its graphs are well formed at every size."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.workload import Activation, OpKind, Window, operator_macs, zoo
from armillary.workload.builder import Network
from armillary.workload.zoo import mobilenet_edgetpu as edgetpu

VISION = tuple(card.name for card in zoo.cards() if card.resolution is not None)
OTHER_ANSWERS = ("unet", "deeplab_v3_mobilenet_v2", "cnn0", "mlperf_tiny_vww", "mlperf_tiny_ic")
CLASSIFIERS = tuple(name for name in VISION if name not in OTHER_ANSWERS)

# GMAC and M parameters as the hardware papers round them; the cards carry more digits.
ROUNDED = {
    "mobilenet_v1": (224, 0.57, 4.23),
    "mobilenet_v2": (224, 0.30, 3.50),
    "squeezenet": (224, 0.82, 1.25),
    "inception_v1": (224, 1.50, 6.62),
    "resnet50": (299, 7.63, 25.56),
    "resnet152": (299, 21.30, 60.19),
    "vgg16": (224, 15.47, 138.4),
    "vgg19": (224, 19.63, 143.7),
    "efficientnet_edgetpu_s": (224, 1.79, 5.44),
    "efficientnet_edgetpu_m": (240, 3.01, 6.90),
    "efficientnet_edgetpu_l": (300, 7.94, 10.59),
    "mobilenet_v3_large": (224, 0.217, 5.483),
    "inception_v4": (299, 12.25, 42.68),
    "inception_resnet_v2": (299, 13.16, 55.84),
    "densenet121": (224, 2.83, 7.98),
    "mobilenet_edgetpu": (224, 0.990, 4.09),
    "mobilenet_edgetpu_v2_xs": (224, 0.688, 4.46),
    "mobilenet_edgetpu_v2_s": (224, 1.198, 5.99),
    "mobilenet_edgetpu_v2_m": (224, 1.836, 8.46),
    "mobilenet_edgetpu_v2_l": (224, 2.531, 10.92),
    "deeplab_v3_mobilenet_v2": (513, 2.75, 2.11),
}

# Convolutions and dense layers of the public definitions.
LAYERS = {
    "mobilenet_v1": 28,
    "mobilenet_v2": 53,
    "squeezenet": 26,
    "inception_v1": 58,
    "resnet50": 54,
    "resnet152": 156,
    "vgg16": 16,
    "vgg19": 19,
    "efficientnet_edgetpu_s": 50,
    "efficientnet_edgetpu_m": 65,
    "efficientnet_edgetpu_l": 73,
    "inception_v4": 150,
    "densenet121": 121,
}


# Published with two or three digits: half of the last one.
ROUGH = {"deeplab_v3_mobilenet_v2": 0.005, "mlp1": 0.01, "cnn0": 0.0125, "lstm0": 0.01}


@pytest.mark.parametrize("name", zoo.names())
def test_macs_and_parameters_meet_the_published_definition(name: str) -> None:
    """Within 0.1 %: convolution and dense MACs; parameters with classifier bias and two values a BN channel."""
    card = zoo.card(name)
    graph = zoo.build(name, resolution=card.reference_resolution)
    assert graph.macs == pytest.approx(card.reference_macs, rel=ROUGH.get(name, 1e-3))
    assert graph.parameters == pytest.approx(card.reference_parameters, rel=ROUGH.get(name, 1e-3))


@pytest.mark.parametrize("name", ROUNDED)
def test_macs_and_parameters_meet_the_rounded_table(name: str) -> None:
    """Within 1 %. No row disagrees with the public definitions beyond its rounding."""
    resolution, gmac, mparameters = ROUNDED[name]
    graph = zoo.build(name, resolution=resolution)
    assert graph.macs / 1e9 == pytest.approx(gmac, rel=0.01)
    assert graph.parameters / 1e6 == pytest.approx(mparameters, rel=0.01)


@pytest.mark.parametrize("name", LAYERS)
def test_number_of_weighted_layers_meets_the_public_definition(name: str) -> None:
    kinds = [op.kind for op in zoo.build(name).operators]
    assert sum(kind in (OpKind.CONV, OpKind.DEPTHWISE, OpKind.GEMM) for kind in kinds) == LAYERS[name]


def test_resnet50_at_224_is_the_4_1_gmac_network() -> None:
    """Stride in the 3x3 convolution; the stride of the paper would give 3.86."""
    assert zoo.build("resnet50").macs / 1e9 == pytest.approx(4.09, rel=0.005)


@pytest.mark.parametrize("name", zoo.names())
def test_macs_grow_with_the_batch_and_parameters_do_not(name: str) -> None:
    one, four = zoo.build(name), zoo.build(name, batch=4)
    assert four.macs == 4 * one.macs
    assert four.parameters == one.parameters


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("resolution", [225, 320])
def test_other_resolutions_keep_the_parameters_and_end_in_logits(name: str, resolution: int) -> None:
    graph = zoo.build(name, resolution=resolution)
    assert graph.parameters == zoo.build(name).parameters
    assert graph.tensors[graph.outputs[0]].shape == (1, 1000)


@pytest.mark.parametrize("name", VISION)
def test_windows_account_for_every_output_pixel(name: str) -> None:
    """Floor((in + pads - kernel) / stride) + 1 = out, for each operator with a window and each axis."""
    graph = zoo.build(name)
    windowed = [op for op in graph.operators if op.window is not None]
    for op in windowed:
        assert isinstance(op.window, Window)
        pads, dilation = op.window.pads, op.window.dilation
        for axis, pad in ((0, pads[0] + pads[2]), (1, pads[1] + pads[3])):
            size = graph.tensors[op.inputs[0]].shape[2 + axis]
            out = graph.tensors[op.outputs[0]].shape[2 + axis]
            if op.kind is OpKind.CONV_TRANSPOSE:
                size, out = out, size
            # "same" padding never pads more than the last window needs.
            reach = (op.window.kernel[axis] - 1) * dilation[axis] + 1
            assert (size + pad - reach) // op.window.stride[axis] + 1 == out, op.name
    assert windowed


def test_vgg_needs_its_seven_by_seven_map() -> None:
    with pytest.raises(InputError, match=r"vgg16/adapt: needs a square map of at least 7 x 7, got 5 x 5"):
        zoo.build("vgg16", resolution=160)


@pytest.mark.parametrize(("alpha", "mmac", "mparameters"), [(0.5, 149, 1.34), (0.75, 325, 2.59)])
def test_mobilenet_v1_width_meets_the_paper(alpha: float, mmac: float, mparameters: float) -> None:
    """Table 6 of arXiv 1704.04861: 149 and 325 MMAC, 1.3 and 2.6 M parameters."""
    graph = zoo.build("mobilenet_v1", width=alpha)
    assert graph.macs / 1e6 == pytest.approx(mmac, rel=0.01)
    assert graph.parameters / 1e6 == pytest.approx(mparameters, rel=0.01)


@pytest.mark.parametrize(("width", "mmac", "mparameters"), [(1.4, 582, 6.06), (0.5, 97, 1.97)])
def test_mobilenet_v2_width_meets_the_public_definition(width: float, mmac: float, mparameters: float) -> None:
    """Table of the tensorflow/models MobileNet V2 page: 582 MMAC and 6.06 M, 97 MMAC and 1.95 M (rounded there)."""
    graph = zoo.build("mobilenet_v2", width=width)
    assert graph.macs / 1e6 == pytest.approx(mmac, rel=0.01)
    assert graph.parameters / 1e6 == pytest.approx(mparameters, rel=0.01)


@pytest.mark.parametrize("width", [0.75, 1.25, 1.75])
def test_mobilenet_edgetpu_grows_with_the_square_of_its_width(width: float) -> None:
    """All but the stem and the classifier have channels times channels; rounding to eights blurs it."""
    graph, base = zoo.build("mobilenet_edgetpu", width=width), zoo.build("mobilenet_edgetpu")
    assert graph.macs / base.macs == pytest.approx(width**2, rel=0.13)


def test_mobilenet_edgetpu_at_three_quarters_meets_its_page() -> None:
    """624 MMAC on the MobileNet page of tensorflow/models (recalled)."""
    assert zoo.build("mobilenet_edgetpu", width=0.75).macs / 1e6 == pytest.approx(624, rel=0.01)


def block_macs(size: int, source: int, hidden: int, kernel: int, out: int, stride: int, op: str) -> float:
    """MACs of one block by the published formulas; `size` is the input's; groups of 64 channels."""
    after = size // stride
    match op:
        case "dw":
            return size**2 * source * hidden * (hidden != source) + after**2 * hidden * (kernel**2 + out)
        case "fused":
            return after**2 * hidden * (kernel**2 * source + out)
        case _:
            return after**2 * hidden * (kernel**2 * source / max(1, hidden // 64) + out)


def test_efficientnet_lite0_meets_the_count_of_its_stage_table() -> None:
    """EfficientNet-B0's stages (repeats, kernel, stride, expansion, out) in the formula of the depthwise block."""
    macs, size, source = 112**2 * 27 * 32.0, 112, 32
    for repeats, kernel, stride, expansion, out in (
        (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    ):  # fmt: skip
        for index in range(repeats):
            step = stride if index == 0 else 1
            macs += block_macs(size, source, expansion * source, kernel, out, step, "dw")
            size, source = size // step, out
    macs += 7**2 * 320 * 1280 + 1280 * 1000
    assert zoo.build("efficientnet_lite0").macs == macs


def test_mobilenet_edgetpu_v2_tiny_meets_the_count_of_its_block_table() -> None:
    """Groups of Google's file, filters of tiny, in the block formulas; the first block is 3x3 with expansion 1."""
    macs, size, source = 112**2 * 75 * 32.0 + block_macs(112, 32, 32, 3, 16, 1, "fused"), 112, 16
    for out, stride, blocks in (
        (32, 2, "fused8 grouped4"), (48, 2, "grouped8 grouped4 grouped4 grouped4"), (80, 2, "grouped8 dw4 dw4 dw4"),
        (112, 1, "dw8 dw4 dw4 dw4"), (160, 2, "dw8 dw4 dw4 dw4"), (192, 1, "dw8"),
    ):  # fmt: skip
        for index, block in enumerate(blocks.split()):
            step = stride if index == 0 else 1
            macs += block_macs(size, source, int(block[-1]) * source, 3, out, step, block[:-1])
            size, source = size // step, out
    macs += 7**2 * 192 * 1280 + 1280 * 1000
    assert zoo.build("mobilenet_edgetpu_v2_tiny").macs == macs


def test_google_s_reading_of_v2_adds_a_full_convolution_at_the_largest_map() -> None:
    """Group 0 as 3x3 and projection instead of one 1x1: (9 x 64 x 64 + 64 x 24 - 64 x 24) MACs a pixel of 112 x 112."""
    image = Network("google").input("image", (1, 3, 224, 224))
    google = image.network.graph(edgetpu.version2(image, edgetpu.as_google(edgetpu.S)))
    assert google.macs - zoo.build("mobilenet_edgetpu_v2_s").macs == 112**2 * 9 * 64 * 64


def test_unet_meets_the_count_of_its_figure() -> None:
    """Pairs of padded 3x3 convolutions at 256, 128, ... pixels, 2x2 up-convolutions, one 1x1; 31.0 M weights."""
    channels = (64, 128, 256, 512, 1024)
    macs = 2 * 64 * 256**2
    for level, out in enumerate(channels):
        source = channels[level - 1] if level else 3
        macs += 9 * out * (source + out) * (256 >> level) ** 2
    for level, out in enumerate(channels[:-1]):
        macs += 4 * (2 * out) * out * (256 >> (level + 1)) ** 2 + 9 * out * 3 * out * (256 >> level) ** 2
    graph = zoo.build("unet")
    assert graph.macs == macs
    assert graph.parameters / 1e6 == pytest.approx(31.03, rel=0.001)
    with pytest.raises(InputError, match="unet: image of 225 x 225 cannot be halved four times; use a multiple of 16"):
        zoo.build("unet", resolution=225)


@pytest.mark.parametrize(("name", "resolution", "channels"), [("unet", 512, 2), ("deeplab_v3_mobilenet_v2", 321, 21)])
def test_segmentation_answers_in_the_size_of_the_image(name: str, resolution: int, channels: int) -> None:
    graph = zoo.build(name, resolution=resolution)
    assert graph.tensors[graph.outputs[0]].shape == (1, channels, resolution, resolution)


def test_deeplab_keeps_a_sixteenth_of_the_image_by_dilation() -> None:
    graph = zoo.build("deeplab_v3_mobilenet_v2")
    dilated = [op for op in graph.operators if op.window is not None and op.window.dilation == (2, 2)]
    assert {graph.tensors[op.outputs[0]].shape[2:] for op in dilated} == {(33, 33)}
    assert len(dilated) == 3


def test_squeeze_excite_gates_every_channel() -> None:
    graph = zoo.build("mobilenet_v3_large")
    gates = [op for op in graph.operators if op.activation is Activation.HARD_SIGMOID]
    scaled = [op for op in graph.operators if op.kind is OpKind.MUL]
    assert len(gates) == len(scaled) == 8
    assert all(graph.tensors[op.inputs[1]].shape[2:] == (1, 1) for op in scaled)


def test_names_match_without_case_dash_and_underscore() -> None:
    assert zoo.card("ResNet-50") is zoo.card("resnet_50") is zoo.card("RESNET50")


def test_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no model named 'mobilenet_v7'; did you mean mobilenet_v"):
        zoo.build("mobilenet_v7")


def test_int8_graph_adds_biases_in_int32() -> None:
    graph = zoo.build("vgg16", dtype="int8")
    classifier = graph.operators[-1]
    assert [graph.tensors[name].dtype for name in classifier.inputs] == ["int8", "int8", "int32"]
    batch_norm = next(op for op in zoo.build("resnet18").operators if op.kind is OpKind.BATCH_NORM)
    assert [zoo.build("resnet18").tensors[name].dtype for name in batch_norm.inputs] == ["int8", "int32", "int32"]


def test_depthwise_convolutions_have_no_input_channel_reduction() -> None:
    """MACs of a depthwise 3x3 = 9 an output element."""
    graph = zoo.build("mobilenet_v1")
    depthwise = [op for op in graph.operators if op.kind is OpKind.DEPTHWISE]
    assert len(depthwise) == 13
    assert all(operator_macs(graph, op) == 9 * graph.tensors[op.outputs[0]].elements for op in depthwise)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 0}, "must be at least 1"),
        ({"batch": 0}, "must be at least 1"),
        ({"width": 0.5}, "no width multiplier is defined"),
        ({"dtype": "int9"}, "no dtype named 'int9'; did you mean int"),
        ({"resolution": 5}, "use a larger resolution"),
        ({"resolution": 10**9}, "at most 1,048,576"),
        ({"sequence": 8}, "takes no sequence, got 8"),
    ],
)
def test_wrong_sizes_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        zoo.build("squeezenet", **arguments)  # type: ignore[arg-type]


def test_width_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"outside \(0, 16\]"):
        zoo.build("mobilenet_v1", width=float("nan"))
