"""The zoo meets published counts, and its graphs are well formed at every size."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.workload import OpKind, Window, operator_macs, zoo

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
}


@pytest.mark.parametrize("name", zoo.names())
def test_macs_and_parameters_meet_the_published_definition(name: str) -> None:
    """Within 0.1 %: convolution and dense MACs; parameters with classifier bias and two values a BN channel."""
    card = zoo.card(name)
    graph = zoo.build(name, resolution=card.reference_resolution)
    assert graph.macs == pytest.approx(card.reference_macs, rel=1e-3)
    assert graph.parameters == pytest.approx(card.reference_parameters, rel=1e-3)


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


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("resolution", [225, 320])
def test_other_resolutions_keep_the_parameters_and_end_in_logits(name: str, resolution: int) -> None:
    graph = zoo.build(name, resolution=resolution)
    assert graph.parameters == zoo.build(name).parameters
    assert graph.tensors[graph.outputs[0]].shape == (1, 1000)


@pytest.mark.parametrize("name", zoo.names())
def test_windows_account_for_every_output_pixel(name: str) -> None:
    """Floor((in + pads - kernel) / stride) + 1 = out, for each operator with a window and each axis."""
    graph = zoo.build(name)
    windowed = [op for op in graph.operators if op.window is not None]
    for op in windowed:
        assert isinstance(op.window, Window)
        pads = op.window.pads
        for axis, pad in ((0, pads[0] + pads[2]), (1, pads[1] + pads[3])):
            size = graph.tensors[op.inputs[0]].shape[2 + axis]
            out = graph.tensors[op.outputs[0]].shape[2 + axis]
            # "same" padding never pads more than the last window needs.
            assert (size + pad - op.window.kernel[axis]) // op.window.stride[axis] + 1 == out, op.name
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
    ],
)
def test_wrong_sizes_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        zoo.build("squeezenet", **arguments)  # type: ignore[arg-type]


def test_width_outside_its_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"outside \(0, 16\]"):
        zoo.build("mobilenet_v1", width=float("nan"))
