"""Transformers and recurrent networks meet their closed forms, at every length."""

from __future__ import annotations

from collections import Counter

import pytest

from armillary.errors import InputError
from armillary.workload import OpKind, zoo

# Layers, hidden, feed-forward, multiplications of hidden x feed-forward a layer, parameters of the released weights.
TRANSFORMERS = {
    "bert_base": (12, 768, 3072, 2, 109_482_240),
    "bert_large": (24, 1024, 4096, 2, 335_141_888),
    "gpt2": (12, 768, 3072, 2, 124_439_808),
    "llama2_7b": (32, 4096, 11008, 3, 6_738_415_616),
    "llama2_7b_decode": (32, 4096, 11008, 3, 6_738_415_616),
}
HEAD = {"bert": 0, "gpt2": 50257, "llama2": 32000}  # outputs of the last dense layer, of every token


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_parameters_equal_the_released_weights(name: str) -> None:
    """To the last one; a head that shares the embedding table counts once."""
    assert zoo.build(name).parameters == TRANSFORMERS[name][4]


@pytest.mark.parametrize("name", TRANSFORMERS)
@pytest.mark.parametrize("sequence", [1, 64, 384])
def test_transformer_macs_meet_the_closed_form(name: str, sequence: int) -> None:
    """tokens (layers (4 h^2 + n h f) + h V) + layers 2 h tokens keys; BERT pools one token: h^2."""
    layers, hidden, wide, products, _ = TRANSFORMERS[name]
    tokens, keys = (1, sequence + 1) if name.endswith("decode") else (sequence, sequence)
    head = next(size for prefix, size in HEAD.items() if name.startswith(prefix))
    macs = tokens * (layers * (4 * hidden**2 + products * hidden * wide) + hidden * head)
    macs += layers * 2 * hidden * tokens * keys
    macs += hidden**2 if name.startswith("bert") else 0
    assert zoo.build(name, sequence=sequence).macs == macs


def test_decoding_after_a_prefill_costs_what_one_token_more_costs() -> None:
    """Dense layers: prefill(n + 1) - prefill(n). Attention: the last row alone, 2 h (n + 1) a layer."""
    n = 16
    step = zoo.build("llama2_7b_decode", sequence=n).macs
    more = zoo.build("llama2_7b", sequence=n + 1).macs - zoo.build("llama2_7b", sequence=n).macs
    assert more - step == 32 * 2 * 4096 * n


def test_decode_reads_the_cache_and_writes_one_row_a_layer() -> None:
    graph = zoo.build("llama2_7b_decode", sequence=100, batch=2)
    caches = [graph.tensors[name].shape for name in graph.inputs[1:]]
    assert Counter(caches) == {(2 * 32, 100, 128): 2 * 32}
    assert Counter(graph.tensors[name].shape for name in graph.outputs[1:]) == {(2 * 32, 1, 128): 2 * 32}
    assert graph.tensors[graph.outputs[0]].shape == (2, 1, 32000)


def test_prefill_hands_on_the_keys_and_values_that_decode_reads() -> None:
    prefill = zoo.build("llama2_7b", sequence=100)
    decode = zoo.build("llama2_7b_decode", sequence=100)
    written = [prefill.tensors[name].shape for name in prefill.outputs[1:]]
    assert written == [decode.tensors[name].shape for name in decode.inputs[1:]]


def test_lstm_meets_its_closed_form() -> None:
    """Each step multiplies 4 h (2 h) a layer and h V at the end; published with 20 M parameters."""
    graph = zoo.build("lstm", sequence=20, batch=3)
    assert graph.macs == 3 * 20 * (2 * 8 * 650**2 + 650 * 10_000)
    assert graph.parameters / 1e6 == pytest.approx(20, rel=0.015)


@pytest.mark.parametrize(
    ("name", "layers", "millions"), [("mlp0", 5, 20), ("mlp1", 4, 5), ("lstm0", 6, 52), ("cnn0", 16, 8)]
)
def test_tpu_workloads_have_the_layers_and_weights_of_their_table(name: str, layers: int, millions: float) -> None:
    """ISCA 2017 table 1 (recalled), rounded there to a million; LSTM0's 24 layers are the 4 gates of 6."""
    graph = zoo.build(name)
    assert sum(op.kind in (OpKind.GEMM, OpKind.CONV, OpKind.RECURRENT) for op in graph.operators) == layers
    assert graph.parameters / 1e6 == pytest.approx(millions, rel=0.0125)


def test_cnn0_does_the_published_work_a_weight() -> None:
    """2888 multiplications a weight at batch 8: every weight meets all 8 x 361 points."""
    graph = zoo.build("cnn0", batch=8)
    weights = graph.parameters - 16 * 256
    assert graph.macs / weights == 2888


def test_indices_stay_integers_when_the_network_is_turned() -> None:
    graph = zoo.build("bert_base", dtype="fp16")
    assert {graph.tensors[name].dtype for name in graph.inputs} == {"int32"}
    assert graph.tensors[graph.outputs[0]].dtype == "fp16"


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("bert_base", {"sequence": 513}, "bert_base: sequence 513 is longer than the 512 positions"),
        ("gpt2", {"sequence": 0}, "gpt2: sequence 0 must be at least 1"),
        ("lstm", {"resolution": 224}, "lstm: takes no resolution, got 224"),
        ("mlp0", {"sequence": 4}, "mlp0: takes no sequence, got 4"),
        ("bert_base", {"width": 2.0}, "no width multiplier is defined"),
    ],
)
def test_sizes_that_the_network_does_not_take_are_refused(name: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        zoo.build(name, **sizes)  # type: ignore[arg-type]
