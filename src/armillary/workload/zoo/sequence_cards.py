"""Cards of the networks that read tokens, sequences or plain vectors.

In:  nothing. Out: `SEQUENCE_CARDS`. Sources say how the published counts were made.
"""

from __future__ import annotations

from typing import Final

from armillary.workload.zoo.card import Card

_ZOO: Final = "armillary.workload.zoo"
_CLOSED: Final = (
    "parameters: the released weights; MACs in closed form: weights of dense layers times tokens, and twice hidden "
    "size times tokens times keys a layer for attention"
)
_ZAREMBA: Final = "arXiv 1409.2329 (20 M parameters); MACs in closed form: weights of layers and output times steps"
_TPU: Final = "Jouppi et al., ISCA 2017, table 1 (recalled): weights, each multiplied once an item"

SEQUENCE_CARDS: Final[tuple[Card, ...]] = (
    Card(
        "bert_base",
        "Encoder of 12 layers, pooled (Devlin et al. 2018)",
        f"{_ZOO}.transformer:bert_base",
        None,
        None,
        11.17e9,
        109.48e6,
        _CLOSED,
        sequence=128,
    ),
    Card(
        "bert_large",
        "Encoder of 24 layers, pooled (Devlin et al. 2018)",
        f"{_ZOO}.transformer:bert_large",
        None,
        None,
        39.46e9,
        335.14e6,
        _CLOSED,
        sequence=128,
    ),
    Card(
        "gpt2",
        "Decoder of 12 layers, all positions at once (Radford et al. 2019)",
        f"{_ZOO}.transformer:gpt2",
        None,
        None,
        145.8e9,
        124.44e6,
        _CLOSED,
        sequence=1024,
    ),
    Card(
        "llama2_7b",
        "Prefill of a prompt: all positions at once (Touvron et al. 2023)",
        f"{_ZOO}.transformer:llama2_7b",
        None,
        None,
        3.452e12,
        6738.4e6,
        _CLOSED,
        sequence=512,
    ),
    Card(
        "llama2_7b_decode",
        "One token against a cache of earlier ones (Touvron et al. 2023)",
        f"{_ZOO}.transformer:llama2_7b_decode",
        None,
        None,
        6.742e9,
        6738.4e6,
        _CLOSED,
        sequence=512,
    ),
    Card(
        "lstm",
        "Language model of two LSTM layers of 650 units (Zaremba et al. 2014)",
        f"{_ZOO}.recurrent:lstm",
        None,
        None,
        464e6,
        19.78e6,
        _ZAREMBA,
        sequence=35,
    ),
    Card(
        "lstm0",
        "TPU v1 workload LSTM0: 24 fully connected layers in gates, published at batch 64 (recalled)",
        f"{_ZOO}.tpu_v1:lstm0",
        None,
        None,
        52e6,
        52e6,
        _TPU,
        sequence=1,
    ),
    Card(
        "mlp0",
        "TPU v1 workload MLP0: 5 dense layers, published at batch 200 (recalled)",
        f"{_ZOO}.tpu_v1:mlp0",
        None,
        None,
        20e6,
        20e6,
        _TPU,
    ),
    Card(
        "mlp1",
        "TPU v1 workload MLP1: 4 dense layers, published at batch 168 (recalled)",
        f"{_ZOO}.tpu_v1:mlp1",
        None,
        None,
        5e6,
        5e6,
        _TPU,
    ),
)
