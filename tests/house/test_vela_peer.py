"""Vela beside Armillary: the files written for it hold the networks, and it finds in them the published cycles."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.workload import Graph, OpKind, Window, zoo
from armillary.workload.builder import Network
from bench.peers import vela
from bench.peers.tflite_network import SAME, VALID, padding_of, tflite_of

# Vela 5.2.0 on the reference files of mlcommons/tiny: ethos-u55-128, Ethos_U55_High_End_Embedded, Shared_Sram.
CYCLES = {
    "mlperf_tiny_kws": 89_900,
    "mlperf_tiny_vww": 220_870,
    "mlperf_tiny_ic": 201_747,
    "mlperf_tiny_ad": 201_184,
    "mlperf_tiny_sww": 59_693,
}
installed = pytest.mark.skipif(not vela.is_installed(), reason="Vela is not installed: pip install ethos-u-vela")


def written(graph: Graph, weights: str) -> bytes:
    """As the reference files: a softmax behind all but the autoencoder."""
    return tflite_of(graph, weights=weights, seed=0, softmax=graph.name != "mlperf_tiny_ad")


@installed
@pytest.mark.parametrize("name", CYCLES)
def test_published_cycles_lie_between_those_of_weights_that_compress_fully_and_not_at_all(name: str) -> None:
    """Trained weights compress less than equal ones and more than uniform ones; the layers are the same."""
    graph = zoo.build(name)
    least, most = (vela.estimate(written(graph, weights)).cycles for weights in ("equal", "uniform"))
    assert least < CYCLES[name] < most


@installed
@pytest.mark.parametrize(("name", "rel"), [("mlperf_tiny_kws", 0.005), ("mlperf_tiny_sww", 0.02)])
def test_cycles_meet_the_published_ones_where_trained_weights_fill_their_bits(name: str, rel: float) -> None:
    assert vela.estimate(written(zoo.build(name), "normal")).cycles == pytest.approx(CYCLES[name], rel=rel)


@installed
@pytest.mark.parametrize("name", CYCLES)
def test_vela_reads_as_many_weights_as_the_network_has(name: str) -> None:
    """Weights of convolutions and dense layers, batch norms and biases aside."""
    graph = zoo.build(name)
    weighted = [op for op in graph.operators if op.kind in (OpKind.CONV, OpKind.DEPTHWISE, OpKind.GEMM)]
    weights = sum(graph.tensors[op.inputs[1]].elements for op in weighted)
    # Vela rounds each tensor up to 16 bytes.
    assert 0 <= vela.estimate(written(graph, "normal")).weights - weights <= 16 * len(weighted)


@pytest.mark.parametrize(
    ("window", "size", "padding"),
    [
        (Window((3, 3), (1, 1), (1, 1, 1, 1)), (32, 32), SAME),
        (Window((3, 3), (2, 2), (0, 0, 1, 1)), (96, 96), SAME),  # the odd pad stands at the end
        (Window((10, 4), (2, 2), (4, 1, 5, 1)), (49, 10), SAME),
        (Window((15, 1)), (15, 1), VALID),
        (Window((3, 3), (2, 2), (1, 1, 1, 1)), (224, 224), None),  # PyTorch pads both sides
    ],
)
def test_paddings_are_told_apart(window: Window, size: tuple[int, int], padding: int | None) -> None:
    assert padding_of(window, size) == padding


def one_convolution(padding: int | str) -> Graph:
    network = Network("stem")
    image = network.input("image", (1, 3, 64, 64))
    return network.graph(image.conv("stem", 16, 3, stride=2, padding=padding, bias=True))


@installed
def test_a_padding_that_tflite_lacks_costs_no_product() -> None:
    """PyTorch pads both sides of a strided window; the operator that does it multiplies nothing."""
    both, same = (
        vela.estimate(tflite_of(one_convolution(padding), weights="normal", seed=0)) for padding in (1, "same")
    )
    assert both.weights == same.weights == 16 * 3 * 9
    assert both.mac_cycles == pytest.approx(same.mac_cycles, rel=0.3)


@installed
def test_a_network_of_another_family_is_read() -> None:
    """SqueezeNet: concatenations, pools whose window hangs over the edge."""
    graph = zoo.build("squeezenet", resolution=64)
    weights = sum(tensor.elements for tensor in graph.tensors.values() if tensor.constant and len(tensor.shape) == 4)
    assert vela.estimate(tflite_of(graph, weights="normal", seed=0)).weights == weights


@installed
def test_an_operator_that_tflite_would_spell_otherwise_is_refused() -> None:
    network = Network("odd")
    graph = network.graph(network.input("x", (1, 3, 4, 4)).transpose("turn", (0, 2, 3, 1)))
    with pytest.raises(InputError, match="no TFLite form of transpose is known here"):
        tflite_of(graph, weights="equal", seed=0)
