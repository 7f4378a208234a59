"""The MLPerf Tiny networks meet the reference models of mlcommons/tiny."""

from __future__ import annotations

import pytest

from armillary.workload import Graph, OpKind, zoo

# What `model.summary()` of the reference models prints (recalled): biases in front of batch norms counted, too, and
# four values a batch-norm channel.
KERAS_TOTALS = {
    "mlperf_tiny_kws": 24_908,
    "mlperf_tiny_vww": 221_794,
    "mlperf_tiny_ic": 78_666,
    "mlperf_tiny_ad": 269_992,
}
# Millions of MACs as the closed and open submissions round them (recalled).
MMACS = {"mlperf_tiny_kws": 2.66, "mlperf_tiny_vww": 7.49, "mlperf_tiny_ic": 12.50, "mlperf_tiny_ad": 0.264}
WEIGHTED = (OpKind.CONV, OpKind.DEPTHWISE, OpKind.GEMM)


def norm_channels(graph: Graph) -> int:
    norms = (op for op in graph.operators if op.kind is OpKind.BATCH_NORM)
    return sum(graph.tensors[op.inputs[1]].elements for op in norms)


@pytest.mark.parametrize("name", KERAS_TOTALS)
def test_parameters_meet_the_totals_of_the_reference_models(name: str) -> None:
    """Keras counts a bias, mean and variance a batch-norm channel on top of scale and shift: three more."""
    graph = zoo.build(name)
    assert graph.parameters + 3 * norm_channels(graph) == KERAS_TOTALS[name]


@pytest.mark.parametrize("name", MMACS)
def test_macs_meet_the_published_rounding(name: str) -> None:
    assert zoo.build(name).macs / 1e6 == pytest.approx(MMACS[name], rel=0.01)


@pytest.mark.parametrize(
    ("name", "layers", "source", "result"),
    [
        ("mlperf_tiny_kws", 10, (1, 1, 49, 10), (1, 12)),
        ("mlperf_tiny_vww", 28, (1, 3, 96, 96), (1, 2)),
        ("mlperf_tiny_ic", 10, (1, 3, 32, 32), (1, 10)),
        ("mlperf_tiny_ad", 10, (1, 640), (1, 640)),
        ("mlperf_tiny_sww", 9, (1, 40, 30, 1), (1, 3)),
    ],
)
def test_layers_and_ends_meet_the_reference_models(
    name: str, layers: int, source: tuple[int, ...], result: tuple[int, ...]
) -> None:
    graph = zoo.build(name)
    assert sum(op.kind in WEIGHTED for op in graph.operators) == layers
    assert graph.tensors[graph.inputs[0]].shape == source
    assert graph.tensors[graph.outputs[0]].shape == result


def test_keyword_spotting_meets_the_count_of_its_layers() -> None:
    """Maps of 25 x 5: 10 x 4 stem on one channel, four times (3 x 3 depthwise, 64 x 64), 64 x 12."""
    pixels = 25 * 5
    assert zoo.build("mlperf_tiny_kws").macs == pixels * 64 * (40 + 4 * (9 + 64)) + 64 * 12


def test_windows_of_the_wake_word_shrink_thirty_steps_to_one() -> None:
    """30 - 2 - 4 - 9 - 14 = 1: each unpadded window takes its span less one."""
    graph = zoo.build("mlperf_tiny_sww")
    steps = [graph.tensors[op.outputs[0]].shape[2] for op in graph.operators if op.kind is OpKind.DEPTHWISE]
    assert steps == [28, 24, 15, 1]
