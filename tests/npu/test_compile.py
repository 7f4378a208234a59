from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from armillary import hardware
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip
from armillary.npu import compile_network
from armillary.npu.fold import fold
from armillary.npu.fuse import fuse
from armillary.npu.place import Engine
from armillary.workload import Activation, Graph, Operator, OpKind, Tensor, Window, load_model, with_dtype
from tests.npu.networks import branches, chips, edited, generic, graphs, one_conv, with_unknown_operator

CORAL = "coral-edge-tpu-usb"


def test_batch_norms_and_activations_ride_on_convolutions() -> None:
    """Every layer of MobileNetV2 is a convolution, a dense layer, an addition or the pool."""
    graph = load_model("mobilenet_v2")
    network = fuse(fold(graph), hardware.load_chip(CORAL))
    kinds = {layer.op.kind for layer in network.layers}
    assert kinds == {OpKind.CONV, OpKind.DEPTHWISE, OpKind.GEMM, OpKind.ADD, OpKind.GLOBAL_POOL}
    assert sum(layer.op.activation is Activation.RELU6 for layer in network.layers) == 35


def test_folding_keeps_macs_and_takes_one_parameter_per_channel_of_each_norm() -> None:
    """The scale goes into the weights, the shift becomes the bias: scale and shift lose one value a channel."""
    graph = load_model("mobilenet_v2")
    folded = fold(graph)
    norms = [op for op in graph.operators if op.kind is OpKind.BATCH_NORM]
    channels = sum(graph.tensors[op.inputs[1]].elements for op in norms)
    assert folded.macs == graph.macs
    assert folded.parameters == graph.parameters - channels


def test_a_batch_norm_whose_input_others_read_stays() -> None:
    tensors = {name: Tensor(name, (1, 8, 4, 4), "int8") for name in ("x", "a", "b", "c")}
    tensors |= {"w": Tensor("w", (8, 8, 1, 1), "int8", constant=True), "s": Tensor("s", (8,), "int8", constant=True)}
    operators = (
        Operator("conv", OpKind.CONV, ("x", "w"), ("a",)),
        Operator("norm", OpKind.BATCH_NORM, ("a", "s", "s"), ("b",)),
        Operator("sum", OpKind.ADD, ("a", "b"), ("c",)),
    )
    graph = Graph("shared", tensors, operators, ("x",), ("c",))
    assert [op.name for op in fold(graph).operators] == ["conv", "norm", "sum"]


def test_quantisations_that_undo_each_other_are_gone() -> None:
    tensors = {
        name: Tensor(name, (1, 8), dtype)
        for name, dtype in (("x", "fp32"), ("q", "int8"), ("d", "fp32"), ("y", "fp32"))
    }
    operators = (
        Operator("quantise", OpKind.QUANTIZE, ("x",), ("q",)),
        Operator("dequantise", OpKind.QUANTIZE, ("q",), ("d",)),
        Operator("relu", OpKind.ACTIVATION, ("d",), ("y",), activation=Activation.RELU),
    )
    folded = fold(Graph("pair", tensors, operators, ("x",), ("y",)))
    assert [(op.name, op.inputs) for op in folded.operators] == [("relu", ("x",))]


def test_operators_over_constants_are_evaluated_before_run_time() -> None:
    tensors = {
        "x": Tensor("x", (4, 8), "int8"),
        "k": Tensor("k", (8, 8), "int8", constant=True),
        "t": Tensor("t", (8, 8), "int8"),
        "y": Tensor("y", (4, 8), "int8"),
    }
    operators = (
        Operator("turn", OpKind.TRANSPOSE, ("k",), ("t",)),
        Operator("dense", OpKind.GEMM, ("x", "t"), ("y",)),
    )
    folded = fold(Graph("constants", tensors, operators, ("x",), ("y",)))
    assert [op.name for op in folded.operators] == ["dense"]
    assert folded.tensors["t"].constant


def test_a_pad_becomes_part_of_the_window() -> None:
    tensors = {
        "x": Tensor("x", (1, 8, 9, 9), "int8"),
        "p": Tensor("p", (1, 8, 11, 11), "int8"),
        "w": Tensor("w", (8, 8, 3, 3), "int8", constant=True),
        "y": Tensor("y", (1, 8, 9, 9), "int8"),
    }
    operators = (
        Operator("pad", OpKind.PAD, ("x",), ("p",)),
        Operator("conv", OpKind.CONV, ("p", "w"), ("y",), Window((3, 3))),
    )
    (conv,) = fold(Graph("padded", tensors, operators, ("x",), ("y",))).operators
    assert conv.inputs == ("x", "w")
    assert conv.window == Window((3, 3), pads=(1, 1, 1, 1))


def test_what_the_chip_lacks_runs_on_the_host_with_the_reason() -> None:
    plan = compile_network(with_unknown_operator(), hardware.load_chip(CORAL))
    assert [placement.engine for placement in plan.placements] == [Engine.ARRAY, Engine.HOST, Engine.ARRAY]
    assert plan.placements[1].reason == "coral-edge-tpu-usb has no NonMaxSuppression"


def test_an_element_type_that_the_chip_lacks_sends_every_layer_to_the_host() -> None:
    plan = compile_network(with_dtype(branches(), "fp16"), hardware.load_chip(CORAL))
    assert {placement.engine for placement in plan.placements} == {Engine.HOST}
    assert "computes in int8, not fp16" in plan.placements[0].reason
    assert len(plan.tiles) == 0


def test_concatenations_and_views_are_free_where_the_chip_can_address() -> None:
    graph = with_dtype(branches(), "int8")
    addressed = compile_network(graph, generic())
    copied = compile_network(graph, generic(("concat, slice, ", "slice, ")))
    assert "join" not in [layer.name for layer in addressed.network.layers]
    assert copied.placements[[layer.name for layer in copied.network.layers].index("join")].engine == Engine.HOST


@settings(max_examples=40, deadline=None)
@given(graphs(), chips())
def test_tiling_conserves_macs_and_moves_no_less_than_is_compulsory(graph: Graph, chip: Chip) -> None:
    """Sums over tiles: products as they are, weights at least once, outputs exactly once; no input row is left out."""
    try:
        plan = compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return
    tiles, tiling = plan.tiles, plan.tiling
    on_chip = plan.first_tile >= 0

    def per_layer(values: np.ndarray) -> np.ndarray:
        return np.bincount(tiles.layer, weights=values, minlength=len(plan.shapes))

    assert np.array_equal(per_layer(tiles.macs), np.where(on_chip, plan.shapes.macs, 0))
    assert np.array_equal(per_layer(tiles.output_bytes), np.where(on_chip, tiling.store_bytes, 0))
    assert np.all(per_layer(tiles.weight_bytes) >= np.where(on_chip, tiling.stream_bytes, 0))
    # With a stride of one every input row is read; larger strides may skip rows.
    every_row = on_chip & (plan.shapes.stride == 1)
    assert np.all(per_layer(tiles.input_bytes)[every_row] >= tiling.load_bytes[every_row])
    cached = np.zeros(len(plan.whole), np.bool_)  # once for all stripes of a layer
    cached[plan.striping.origin[plan.caching.cached]] = True
    assert plan.caching.bytes == plan.whole.weight_bytes[cached].sum()


def test_weights_that_fit_the_cache_are_not_streamed() -> None:
    plan = compile_network(load_model("mobilenet_v2"), hardware.load_chip(CORAL))
    assert plan.caching.bytes == plan.shapes.weight_bytes.sum()
    assert plan.tiles.weight_bytes.sum() == 0


def test_weights_of_vgg16_stream_beyond_the_cache() -> None:
    """Streamed bytes = all weights - cached ones: each weight crosses the link once an inference."""
    plan = compile_network(load_model("vgg16"), hardware.load_chip(CORAL))
    assert 0 < plan.caching.bytes < 7 * 2**20
    assert plan.tiles.weight_bytes.sum() == plan.shapes.weight_bytes.sum() - plan.caching.bytes


def test_a_larger_feature_map_leaves_less_for_the_cache() -> None:
    small, large = (
        compile_network(load_model("resnet50", resolution=size), hardware.load_chip(CORAL)) for size in (224, 448)
    )
    assert large.caching.bytes < small.caching.bytes


def test_a_layer_that_cannot_fit_names_its_tensor_and_the_shortfall() -> None:
    chip = generic(("size: 512 KiB", "size: 1 KiB"))
    with pytest.raises(
        InfeasibleError, match=r"layer 'conv' needs 0\.\d+ MiB .* has 0\.000977 MiB \(short by 0\.\d+ MiB\).* tensor"
    ):
        compile_network(with_dtype(one_conv(channels=512, outputs=512, size=64), "int8"), chip)


def test_a_network_without_operators_is_refused() -> None:
    graph = Graph("empty", {"x": Tensor("x", (1, 8), "int8")}, (), ("x",), ("x",))
    with pytest.raises(InputError, match="empty: has no operator to run"):
        compile_network(graph, generic())


def test_the_cache_is_off_where_the_chip_has_none() -> None:
    text = hardware.chip_text(CORAL)
    start = text.index("parameter_cache:")
    whole = text[start : text.index("\n\n", start)]
    plan = compile_network(load_model("squeezenet"), edited(CORAL, (whole, "")))
    assert plan.caching.bytes == 0
    assert plan.tiles.weight_bytes.sum() == plan.shapes.weight_bytes.sum()


def test_a_layer_of_nothing_is_refused_by_name() -> None:
    tensors = {
        "x": Tensor("x", (1, 16, 0, 8), "int8"),
        "w": Tensor("w", (16, 16, 1, 1), "int8", constant=True),
        "y": Tensor("y", (1, 16, 0, 8), "int8"),
    }
    operators = (Operator("conv", OpKind.CONV, ("x", "w"), ("y",), window=Window((1, 1))),)
    with pytest.raises(InputError, match=r"tensor 'x' of operator 'conv' has no elements: shape \(1, 16, 0, 8\)"):
        compile_network(Graph("empty", tensors, operators, ("x",), ("y",)), generic())
