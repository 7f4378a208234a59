"""What the ONNX importer makes of well-formed models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from armillary.errors import InputError
from armillary.workload import Activation, Graph, OpKind, load_model, operator_macs
from tests.workload import onnx_models
from tests.workload.onnx_models import model, write

node = helper.make_node


def graph_of(folder: Path, proto: onnx.ModelProto, **options: object) -> Graph:
    return load_model(write(folder, proto), **options)  # type: ignore[arg-type]


def kinds(graph: Graph) -> list[OpKind]:
    return [op.kind for op in graph.operators]


def test_convolution_macs_are_outputs_times_window_times_channels(tmp_path: Path) -> None:
    """stem 8 x 8 x 8 outputs x 27; depthwise 8 x 8 x 8 x 25; classifier 8 x 10."""
    graph = graph_of(tmp_path, onnx_models.convolutional())
    macs = {op.name: operator_macs(graph, op) for op in graph.operators if operator_macs(graph, op)}
    assert macs == {"stem": 512 * 27, "depthwise": 512 * 25, "classifier": 80}


def test_batch_norm_counts_two_values_a_channel(tmp_path: Path) -> None:
    """Conv 216 + 8, BN 16 of the file's 32, depthwise 200, dense 80 + 10."""
    assert graph_of(tmp_path, onnx_models.convolutional()).parameters == 216 + 8 + 16 + 200 + 80 + 10


def test_clip_to_six_is_relu6_and_constants_are_no_operators(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, onnx_models.convolutional())
    assert [op.activation for op in graph.operators if op.kind is OpKind.ACTIVATION] == [Activation.RELU6]
    assert "Constant" not in {op.source_op for op in graph.operators}


def test_windows_account_for_their_output_in_every_padding_mode(tmp_path: Path) -> None:
    """(in + pads - kernel) / stride + 1 = out for explicit pads, SAME and ceil mode."""
    graph = graph_of(tmp_path, onnx_models.convolutional())
    for op in graph.operators:
        if op.window is not None:
            height, out = graph.tensors[op.inputs[0]].shape[2], graph.tensors[op.outputs[0]].shape[2]
            padded = height + op.window.pads[0] + op.window.pads[2]
            assert (padded - op.window.kernel[0]) // op.window.stride[0] + 1 == out, op.name


def test_shape_arithmetic_vanishes_and_open_dimensions_take_what_is_given(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, onnx_models.shape_computing(), shapes={"x": (2, 3, 8, 8)})
    assert kinds(graph) == [OpKind.VIEW, OpKind.GEMM, OpKind.NORM, OpKind.ACTIVATION, OpKind.MUL]
    assert graph.tensors[graph.outputs[0]].shape == (2, 8, 5)


def test_macs_scale_with_the_batch_given(tmp_path: Path) -> None:
    one, four = (graph_of(tmp_path, onnx_models.shape_computing(), shapes={"x": (n, 3, 8, 8)}) for n in (1, 4))
    assert four.macs == 4 * one.macs


def test_recurrent_macs_are_steps_times_all_weights(tmp_path: Path) -> None:
    """5 steps x batch 2 x (16 x 5 + 16 x 4)."""
    graph = graph_of(tmp_path, onnx_models.recurrent())
    (lstm,) = [op for op in graph.operators if op.kind is OpKind.RECURRENT]
    assert operator_macs(graph, lstm) == 5 * 2 * (16 * 5 + 16 * 4)


def test_one_dimensional_convolution_is_a_two_dimensional_one_of_height_one(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, onnx_models.recurrent())
    (conv,) = [op for op in graph.operators if op.kind is OpKind.CONV]
    assert [graph.tensors[name].shape for name in conv.inputs] == [(2, 6, 1, 10), (5, 6, 1, 3)]
    assert conv.window is not None
    assert conv.window.pads == (0, 1, 0, 1)
    assert operator_macs(graph, conv) == 2 * 5 * 5 * 6 * 3


def test_order_of_nodes_in_the_file_does_not_matter(tmp_path: Path) -> None:
    proto = onnx_models.convolutional()
    forward = graph_of(tmp_path, proto)
    nodes = list(reversed(proto.graph.node))
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    assert {op.name for op in graph_of(tmp_path, proto).operators} == {op.name for op in forward.operators}


def test_product_of_two_activations_is_no_gemm(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, onnx_models.recurrent())
    (product,) = [op for op in graph.operators if op.kind is OpKind.MATMUL]
    assert operator_macs(graph, product) == 2 * 2 * 4


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("constant", [True, False])
def test_gemm_macs_do_not_depend_on_how_the_matrices_are_stored(
    tmp_path: Path, trans_a: int, trans_b: int, constant: bool
) -> None:
    """M = 4, K = 6, N = 5 in all eight forms."""
    a, b = ((6, 4) if trans_a else (4, 6)), ((5, 6) if trans_b else (6, 5))
    inputs = {"a": a} if constant else {"a": a, "b": b}
    proto = model(
        [node("Gemm", ["a", "b"], ["y"], "product", transA=trans_a, transB=trans_b)],
        inputs,
        ["y"],
        weights={"b": b} if constant else {},
    )
    graph = graph_of(tmp_path, proto)
    assert graph.macs == 4 * 6 * 5
    assert graph.operators[-1].kind is (OpKind.GEMM if constant else OpKind.MATMUL)


def test_gemm_with_a_computed_bias_adds_it_separately(tmp_path: Path) -> None:
    proto = model([node("Gemm", ["x", "w", "c"], ["y"], "g")], {"x": (2, 3), "c": (2, 4)}, ["y"], weights={"w": (3, 4)})
    assert kinds(graph_of(tmp_path, proto)) == [OpKind.GEMM, OpKind.ADD]


def test_shared_weights_count_once(tmp_path: Path) -> None:
    proto = model(
        [node("Gemm", ["x", "w"], ["h"], "one", transB=1), node("Gemm", ["h", "w"], ["y"], "two", transB=1)],
        {"x": (2, 4)},
        ["y"],
        weights={"w": (4, 4)},
    )
    graph = graph_of(tmp_path, proto)
    assert (graph.parameters, graph.macs) == (16, 64)


def test_transposed_convolution_macs_are_inputs_times_window_times_channels(tmp_path: Path) -> None:
    proto = model(
        [node("ConvTranspose", ["x", "w"], ["y"], "up", strides=[2, 2])],
        {"x": (1, 3, 4, 4)},
        ["y"],
        weights={"w": (3, 5, 2, 2)},
    )
    graph = graph_of(tmp_path, proto)
    assert graph.tensors["y"].shape == (1, 5, 8, 8)
    assert graph.macs == 3 * 4 * 4 * 5 * 2 * 2


def test_mean_over_height_and_width_is_global_pooling(tmp_path: Path) -> None:
    attribute = model([node("ReduceMean", ["x"], ["y"], "mean", axes=[2, 3])], {"x": (1, 3, 4, 4)}, ["y"])
    as_input = model(
        [node("ReduceMean", ["x", "a"], ["y"], "mean")], {"x": (1, 3, 4, 4)}, ["y"], values={"a": [-1, -2]}, opset=18
    )
    over_channels = model([node("ReduceMean", ["x"], ["y"], "mean", axes=[1])], {"x": (1, 3, 4, 4)}, ["y"])
    found = [kinds(graph_of(tmp_path, proto)) for proto in (attribute, as_input, over_channels)]
    assert found == [[OpKind.GLOBAL_POOL], [OpKind.GLOBAL_POOL], [OpKind.REDUCE]]


def test_unknown_operator_is_kept_and_named(tmp_path: Path) -> None:
    proto = model(
        [node("Warp", ["x"], ["w"], "warp", domain="com.acme"), node("Relu", ["w"], ["y"], "relu")],
        {"x": (1, 2, 3)},
        ["y"],
        domains=["com.acme"],
    )
    graph = graph_of(tmp_path, proto)
    assert [(op.kind, op.source_op) for op in graph.operators] == [
        (OpKind.UNKNOWN, "Warp"),
        (OpKind.ACTIVATION, "Relu"),
    ]
    assert graph.tensors["y"].shape == (1, 2, 3)


def test_unknown_operator_has_the_shape_that_the_file_declares(tmp_path: Path) -> None:
    proto = model(
        [node("Warp", ["x"], ["y"], "warp", domain="com.acme")], {"x": (1, 2, 3)}, ["y"], domains=["com.acme"]
    )
    proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [7, 5]))
    assert graph_of(tmp_path, proto).tensors["y"].shape == (7, 5)


def test_weights_dequantised_in_the_graph_keep_their_narrow_type(tmp_path: Path) -> None:
    proto = model(
        [
            node("DequantizeLinear", ["q", "scale"], ["w"], "dequantise"),
            node("Conv", ["x", "w"], ["y"], "conv"),
        ],
        {"x": (1, 3, 4, 4)},
        ["y"],
        weights={"scale": ()},
    )
    proto.graph.initializer.append(numpy_helper.from_array(np.zeros((2, 3, 1, 1), np.int8), "q"))
    graph = graph_of(tmp_path, proto)
    assert kinds(graph) == [OpKind.CONV]
    assert graph.tensors["w"].dtype == "int8"


def test_outputs_that_nobody_reads_are_dropped(tmp_path: Path) -> None:
    proto = model([node("Dropout", ["x"], ["y", "mask"], "dropout")], {"x": (1, 4)}, ["y"])
    assert graph_of(tmp_path, proto).operators[0].outputs == ("y",)


def test_weights_listed_among_the_inputs_are_no_inputs(tmp_path: Path) -> None:
    proto = onnx_models.convolutional()
    proto.graph.input.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims) for tensor in proto.graph.initializer
    )
    assert graph_of(tmp_path, proto).inputs == ("x",)


def test_operator_names_are_unique(tmp_path: Path) -> None:
    proto = model(
        [node("Relu", ["x"], ["a"], "r"), node("Relu", ["a"], ["b"], "r"), node("Relu", ["b"], ["y"])],
        {"x": (1,)},
        ["y"],
    )
    assert [op.name for op in graph_of(tmp_path, proto).operators] == ["r", "r#2", "Relu_2"]


def test_dtype_turns_activations_and_weights_and_widens_biases(tmp_path: Path) -> None:
    graph = graph_of(tmp_path, onnx_models.convolutional(), dtype="int8")
    assert [graph.tensors[name].dtype for name in graph.operators[0].inputs] == ["int8", "int8", "int32"]
    assert {tensor.dtype for tensor in graph_of(tmp_path, onnx_models.convolutional()).tensors.values()} == {"fp32"}


def test_weights_above_the_kept_size_change_nothing_but_the_size_of_the_read(tmp_path: Path) -> None:
    """The same layer with 1 KiB and with 1 MiB of weights: both keep their shapes."""
    for channels in (16, 512):
        proto = model(
            [node("Conv", ["x", "w"], ["y"], "conv")],
            {"x": (1, channels, 2, 2)},
            ["y"],
            weights={"w": (channels, channels, 1, 1)},
        )
        graph = graph_of(tmp_path, proto)
        assert graph.parameters == channels**2
        assert graph.macs == 4 * channels**2


def test_bare_typed_payloads_are_read_like_raw_ones(tmp_path: Path) -> None:
    """float_data above and below the kept size."""
    for channels in (4, 64):
        proto = model([node("MatMul", ["x", "w"], ["y"], "product")], {"x": (1, channels)}, ["y"])
        proto.graph.initializer.append(
            helper.make_tensor("w", TensorProto.FLOAT, (channels, channels), np.zeros(channels**2).tolist())
        )
        assert graph_of(tmp_path, proto).parameters == channels**2


def test_every_shape_equals_that_of_the_library_s_own_inference(tmp_path: Path) -> None:
    proto = onnx_models.convolutional()
    inferred = onnx.shape_inference.infer_shapes(proto)
    expected = {
        info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim) for info in inferred.graph.value_info
    }
    graph = graph_of(tmp_path, proto)
    shared = expected.keys() & graph.tensors.keys()
    assert len(shared) >= 8
    assert {name: graph.tensors[name].shape for name in shared} == {name: expected[name] for name in shared}


def test_a_shape_that_contradicts_a_fixed_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"input 'x' is \(1, 3, 16, 16\), the shape given is \(2, 3, 16, 16\)"):
        graph_of(tmp_path, onnx_models.convolutional(), shapes={"x": (2, 3, 16, 16)})


def test_three_dimensional_convolution_is_unknown(tmp_path: Path) -> None:
    proto = model([node("Conv", ["x", "w"], ["y"], "c")], {"x": (1, 2, 4, 4, 4)}, ["y"], weights={"w": (3, 2, 1, 1, 1)})
    assert kinds(graph_of(tmp_path, proto)) == [OpKind.UNKNOWN]


def test_input_without_a_shape_takes_the_one_given(tmp_path: Path) -> None:
    proto = model([node("Relu", ["x"], ["y"], "r")], {"x": ()}, ["y"])
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(InputError, match="input 'x' has no shape; give it: --shape x=SIZES"):
        graph_of(tmp_path, proto)
    assert graph_of(tmp_path, proto, shapes={"x": (2, 3)}).tensors["y"].shape == (2, 3)


def test_vector_weights_are_a_matrix_of_one_column(tmp_path: Path) -> None:
    graph = graph_of(
        tmp_path, model([node("MatMul", ["x", "w"], ["y"], "p")], {"x": (3, 4)}, ["y"], weights={"w": (4,)})
    )
    assert [graph.tensors[name].shape for name in graph.operators[0].inputs] == [(3, 4), (4, 1)]
    assert graph.macs == 12


def test_embedding_counts_its_table_as_parameters(tmp_path: Path) -> None:
    proto = model([node("Gather", ["table", "x"], ["y"], "embed")], {"x": (5,)}, ["y"], weights={"table": (100, 8)})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    graph = graph_of(tmp_path, proto)
    assert (graph.operators[0].kind, graph.operators[0].inputs) == (OpKind.GATHER, ("x", "table"))
    assert graph.parameters == 800


@pytest.mark.parametrize(
    ("bounds", "activation"),
    [
        ((0.0, 6.0), Activation.RELU6),
        ((0.0, None), Activation.RELU),
        ((-1.0, 1.0), Activation.CLIP),
        ((None, 6.0), Activation.CLIP),
    ],
)
def test_clip_is_named_by_its_bounds(
    tmp_path: Path, bounds: tuple[float | None, float | None], activation: Activation
) -> None:
    names = ["low" if bounds[0] is not None else "", "high" if bounds[1] is not None else ""]
    constants = [
        node("Constant", [], [name], value_float=bound)
        for name, bound in zip(names, bounds, strict=True)
        if bound is not None
    ]
    proto = model([*constants, node("Clip", ["x", *names], ["y"], "clip")], {"x": (4,)}, ["y"])
    assert [op.activation for op in graph_of(tmp_path, proto).operators] == [activation]
    old = model([node("Clip", ["x"], ["y"], "clip", min=0.0, max=6.0)], {"x": (4,)}, ["y"], opset=6)
    assert [op.activation for op in graph_of(tmp_path, old).operators] == [Activation.RELU6]


def test_nodes_of_one_name_get_names_of_their_own(tmp_path: Path) -> None:
    """Also where the name that would be next is taken by another node."""
    nodes = [helper.make_node("Relu", ["x"], ["1"], "n"), helper.make_node("Relu", ["1"], ["2"], "n#2")]
    nodes += [helper.make_node("Relu", ["2"], ["3"], "n"), helper.make_node("Relu", ["3"], ["y"], "n")]
    graph = load_model(write(tmp_path, onnx_models.model(nodes, {"x": (1, 4)}, ["y"])))
    assert [op.name for op in graph.operators] == ["n", "n#2", "n#3", "n#4"]
