"""The model zoo: published networks as operator graphs, by name.

In:  `build("mobilenet_v2", resolution=224, batch=1, width=1.0, dtype="int8")`, `build("gpt2", sequence=128)`; names
match without regard to case, `-` and `_`.
Out: a `Graph` up to the logits (no softmax, no dropout, no auxiliary heads); weights are shapes.
`cards()` lists what there is, each with its published MACs and parameters; a new network is a builder in a file of its
family and one card in `vision_cards.py`, `sequence_cards.py` or `tiny_cards.py`.
"""

from __future__ import annotations

from armillary.workload.zoo.card import Card
from armillary.workload.zoo.cards import build, card, cards, names

__all__ = ["Card", "build", "card", "cards", "names"]
