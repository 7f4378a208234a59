"""A word-level language model of two LSTM layers.

In:  word indices (batch, steps), int32. Out: logits (steps, batch, 10000): recurrent layers take the steps first.
Source: Zaremba et al., arXiv 1409.2329: the medium network, 650 units, 35 steps, vocabulary of 10,000.
"""

from __future__ import annotations

from armillary.workload.builder import Feature, Network

_UNITS = 650
_WORDS = 10_000


def lstm(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Embedding, two layers, dense over the vocabulary."""
    words = network.input("words", (batch, sequence), "int32")
    x = words.look_up("embedding", network.constant("embedding/words", (_WORDS, _UNITS)), _UNITS)
    x = x.steps_first("steps").lstm("lstm1", _UNITS).lstm("lstm2", _UNITS)
    return (x.dense("logits", _WORDS),)
