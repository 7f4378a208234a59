"""Real files out of published packages are read whole, with the counts that their definitions give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from armillary.errors import InputError
from armillary.workload import OpKind, load_model, operator_macs, zoo

Published = Callable[[str, str, str], Path]

ZIGZAG = ("zigzag-dse", "3.9.1")
RAPIDOCR = ("rapidocr_onnxruntime", "1.4.4")


def zigzag(published_model: Published, name: str) -> Path:
    return published_model(*ZIGZAG, f"zigzag/inputs/workload/{name}.onnx")


def test_nudenet_is_the_yolov8_nano_detector(published_model: Published) -> None:
    """64 convolutions, 58 sigmoids; fp32 weights make up the file; 8.7 GFLOP at 640 pixels, a quarter of it at 320."""
    path = published_model("nudenet", "3.4.2", "nudenet/320n.onnx")
    graph = load_model(path, shapes={"images": (1, 3, 320, 320)})
    kinds = Counter(op.kind for op in graph.operators)
    assert kinds[OpKind.CONV] == 64
    assert kinds[OpKind.ACTIVATION] == 58
    assert kinds[OpKind.UNKNOWN] == 0
    assert graph.tensors[graph.outputs[0]].shape == (1, 22, 2100)
    assert 4 * graph.parameters == pytest.approx(path.stat().st_size, rel=0.02)
    # The published figure is for 80 classes; the 18 of this head are cheaper.
    assert 2 * graph.macs == pytest.approx(8.7e9 / 4, rel=0.10)
    assert load_model(path, shapes={"images": (2, 3, 640, 640)}).macs == pytest.approx(8 * graph.macs, rel=0.001)


def test_open_dimensions_are_named_with_the_option_that_fixes_them(published_model: Published) -> None:
    path = published_model("nudenet", "3.4.2", "nudenet/320n.onnx")
    with pytest.raises(
        InputError, match=r"'images' leaves dimensions open: \(batch, 3, height, width\).*--shape images=1,3,224,224"
    ):
        load_model(path)


@pytest.mark.parametrize(("name", "builder"), [("mobilenetv2", "mobilenet_v2"), ("resnet18", "resnet18")])
def test_topologies_without_weights_equal_the_zoo(published_model: Published, name: str, builder: str) -> None:
    """Same MACs. BN is folded in these files: of the zoo's two values a channel a bias remains."""
    graph, built = load_model(zigzag(published_model, name)), zoo.build(builder)
    assert graph.macs == built.macs
    channels = sum(built.tensors[op.inputs[1]].elements for op in built.operators if op.kind is OpKind.BATCH_NORM)
    assert graph.parameters == built.parameters - channels


def test_alexnet_meets_its_published_counts(published_model: Published) -> None:
    """61 M parameters, 0.65 GMAC with two groups (Krizhevsky 2012)."""
    graph = load_model(zigzag(published_model, "alexnet"))
    assert graph.parameters / 1e6 == pytest.approx(61.0, rel=0.01)
    assert graph.macs / 1e9 == pytest.approx(0.655, rel=0.01)


@pytest.mark.parametrize("name", ["mobilenetv2", "resnet18", "alexnet"])
def test_shapes_equal_those_of_the_library_s_own_inference(published_model: Published, name: str) -> None:
    path = zigzag(published_model, name)
    inferred = onnx.shape_inference.infer_shapes(onnx.load(path, load_external_data=False))
    expected = {
        info.name: tuple(d.dim_value for d in info.type.tensor_type.shape.dim) for info in inferred.graph.value_info
    }
    tensors = load_model(path).tensors
    shared = expected.keys() & tensors.keys()
    assert len(shared) > 20
    assert {key: tensors[key].shape for key in shared} == {key: expected[key] for key in shared}


@pytest.mark.parametrize(
    ("name", "shape", "convolutions", "output"),
    [
        ("ch_PP-OCRv4_det_infer", (1, 3, 320, 320), 64, (1, 1, 320, 320)),
        ("ch_PP-OCRv4_rec_infer", (1, 3, 48, 320), 38, (1, 40, 6625)),
        ("ch_ppocr_mobile_v2.0_cls_infer", (1, 3, 48, 192), 53, (1, 2)),
    ],
)
def test_rapidocr_models_are_read_whole(
    published_model: Published, name: str, shape: tuple[int, ...], convolutions: int, output: tuple[int, ...]
) -> None:
    """Every convolution of the file, no unknown operator, no Constant node left."""
    graph = load_model(published_model(*RAPIDOCR, f"rapidocr_onnxruntime/models/{name}.onnx"), shapes={"x": shape})
    kinds = Counter(op.kind for op in graph.operators)
    assert kinds[OpKind.CONV] + kinds[OpKind.DEPTHWISE] + kinds[OpKind.CONV_TRANSPOSE] == convolutions
    assert kinds[OpKind.UNKNOWN] == 0
    assert "Constant" not in {op.source_op for op in graph.operators}
    assert graph.tensors[graph.outputs[0]].shape == output


def test_magika_s_byte_network_is_read_whole(published_model: Published) -> None:
    path = published_model("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx")
    graph = load_model(path, shapes={"bytes": (1, 2048)})
    assert OpKind.UNKNOWN not in {op.kind for op in graph.operators}
    assert 4 * graph.parameters == pytest.approx(path.stat().st_size, rel=0.02)


def test_silero_s_sequence_model_is_read_whole(published_model: Published) -> None:
    """One LSTM of 128 units, one step a row: what is read but the short-time Fourier transform grows with the rows."""
    path = published_model("silero_vad", "6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx")
    graph = load_model(path, shapes={"input": (1, 576)})
    kinds = Counter(op.kind for op in graph.operators)
    assert (kinds[OpKind.RECURRENT], kinds[OpKind.CONV], kinds[OpKind.UNKNOWN]) == (1, 6, 0)
    (layer,) = (op for op in graph.operators if op.kind is OpKind.RECURRENT)
    assert operator_macs(graph, layer) == 4 * 128 * (128 + 128)
    assert 4 * graph.parameters == pytest.approx(path.stat().st_size, rel=0.02)
    assert load_model(path, shapes={"input": (8, 576)}).macs == 8 * graph.macs


@pytest.mark.parametrize(
    ("member", "node"),
    [
        ("silero_vad_op18_ifless", "node_cond__1"),  # its name notwithstanding, the rate of the sound chooses a branch
        ("silero_vad", "If_0"),
        ("silero_vad_16k_op15", "/model/decoder/If"),
    ],
)
def test_silero_s_branches_are_refused_by_the_name_of_their_node(
    published_model: Published, member: str, node: str
) -> None:
    path = published_model("silero_vad", "6.2.3", f"silero_vad/data/{member}.onnx")
    with pytest.raises(InputError, match=rf"node '{node}' is control flow \(If\)"):
        load_model(path)


def test_ddddocr_s_detector_is_read_whole(published_model: Published) -> None:
    """YOLOX nano to tiny in size: 83 convolutions, 416 pixels, boxes at strides 8, 16 and 32, 5 + 1 values each."""
    path = published_model("ddddocr", "1.6.1", "ddddocr/common_det.onnx")
    graph = load_model(path)
    kinds = Counter(op.kind for op in graph.operators)
    assert (kinds[OpKind.CONV], kinds[OpKind.UNKNOWN]) == (83, 0)
    assert graph.tensors[graph.outputs[0]].shape == (1, 52**2 + 26**2 + 13**2, 6)
    assert 4 * graph.parameters == pytest.approx(path.stat().st_size, rel=0.02)
