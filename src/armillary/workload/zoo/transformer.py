"""BERT base and large, GPT-2, Llama 2 7B in prefill and in decode.

In:  token indices (batch, sequence), int32; decode has one token and the keys and values of `sequence` earlier ones.
Out: BERT: hidden states (batch, sequence, hidden) and pooled (batch, hidden). GPT-2, Llama: logits of every position
(batch, tokens, vocabulary), as the published code computes them; Llama also the new keys and values of every layer.
Attention is counted in full, masked half included. The scale of the scores folds into the query weights, masks into
the softmax, dropout does not run. Heads are (batch x heads, tokens, head size): products of plain matrices.
Sources: arXiv 1810.04805 section 3; the GPT-2 124M release; arXiv 2307.09288 with the 7B release (RMS norm, rotary
positions, SwiGLU).
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.errors import InputError
from armillary.workload.builder import Feature, Network
from armillary.workload.graph import Activation


@dataclass(frozen=True, slots=True)
class Transformer:
    """Sizes of a stack of equal layers; `positions` is the learned table (0: rotary)."""

    layers: int
    hidden: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int


BERT_BASE = Transformer(12, 768, 12, 3072, 30522, 512)
BERT_LARGE = Transformer(24, 1024, 16, 4096, 30522, 512)
GPT2 = Transformer(12, 768, 12, 3072, 50257, 1024)
LLAMA2_7B = Transformer(32, 4096, 32, 11008, 32000, 0)


def bert_base(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Twelve layers of 768."""
    return _bert(network, BERT_BASE, batch, sequence)


def bert_large(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Twenty-four layers of 1024."""
    return _bert(network, BERT_LARGE, batch, sequence)


def gpt2(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Twelve layers of 768; the head multiplies by the embedding table, which is counted once."""
    sizes = GPT2
    tokens = network.input("tokens", (batch, sequence), "int32")
    table = network.constant("embedding/tokens", (sizes.hidden, sizes.vocabulary))
    x = tokens.look_up("embedding", table, sizes.hidden)
    x = x.add("embedding/add", _positions(network, sizes, sequence))
    for index in range(1, sizes.layers + 1):
        name = f"layer{index}"
        q, k, v = _projections(x.norm(f"{name}/norm1"), name, bias=True)
        y = _attention(q, k, v, name, sizes).dense(f"{name}/output", sizes.hidden)
        x = y.add(f"{name}/add1", x)
        y = _feed_forward(x.norm(f"{name}/norm2"), name, sizes)
        x = y.add(f"{name}/add2", x)
    return (x.norm("norm").project("logits", table),)


def llama2_7b(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Prefill: all tokens of the prompt at once."""
    return _llama(network, LLAMA2_7B, batch, sequence, cached=0)


def llama2_7b_decode(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Decode: one token that attends to `sequence` cached ones and itself."""
    return _llama(network, LLAMA2_7B, batch, 1, cached=sequence)


def _bert(network: Network, sizes: Transformer, batch: int, sequence: int) -> tuple[Feature, ...]:
    """Embeddings of tokens, segments and positions; norms behind the sums; a pooler on the first token."""
    hidden = sizes.hidden
    tokens = network.input("tokens", (batch, sequence), "int32")
    segments = network.input("segments", (batch, sequence), "int32")
    x = tokens.look_up("embedding", network.constant("embedding/tokens", (sizes.vocabulary, hidden)), hidden)
    kinds = segments.look_up("embedding/segments", network.constant("embedding/kinds", (2, hidden)), hidden)
    x = x.add("embedding/add1", kinds).add("embedding/add2", _positions(network, sizes, sequence))
    x = x.norm("embedding/norm")
    for index in range(1, sizes.layers + 1):
        name = f"layer{index}"
        q, k, v = _projections(x, name, bias=True)
        y = _attention(q, k, v, name, sizes).dense(f"{name}/output", hidden)
        x = y.add(f"{name}/add1", x).norm(f"{name}/norm1")
        x = _feed_forward(x, name, sizes).add(f"{name}/add2", x).norm(f"{name}/norm2")
    first = x.slice("pooler/first", (batch, 1, hidden)).view("pooler/view", (batch, hidden))
    return x, first.dense("pooler", hidden).activation("pooler/tanh", Activation.TANH)


def _llama(network: Network, sizes: Transformer, batch: int, new: int, *, cached: int) -> tuple[Feature, ...]:
    """Layers with RMS norm before attention and before the gated feed-forward; keys and values are outputs too."""
    head_size, merged = sizes.hidden // sizes.heads, batch * sizes.heads
    tokens = network.input("tokens", (batch, new), "int32")
    table = network.constant("embedding/tokens", (sizes.vocabulary, sizes.hidden))
    x = tokens.look_up("embedding", table, sizes.hidden)
    written: list[Feature] = []
    for index in range(1, sizes.layers + 1):
        name = f"layer{index}"
        q, k, v = _projections(x.norm(f"{name}/norm1", shift=False), name, bias=False)
        # Rotary positions: each pair of elements is turned by an angle that its position gives.
        q, k = q.elementwise(f"{name}/query/rotary"), k.elementwise(f"{name}/key/rotary")
        q, k, v = _split(q, f"{name}/query", sizes), _split(k, f"{name}/key", sizes), _split(v, f"{name}/value", sizes)
        written += (k, v)
        if cached:
            shape = (merged, cached, head_size)
            k = network.input(f"{name}/cached_keys", shape).concat(f"{name}/keys", k)
            v = network.input(f"{name}/cached_values", shape).concat(f"{name}/values", v)
        y = _mix(q, k, v, name, sizes).dense(f"{name}/output", sizes.hidden, bias=False)
        x = y.add(f"{name}/add1", x)
        x = _gated(x.norm(f"{name}/norm2", shift=False), name, sizes).add(f"{name}/add2", x)
    logits = x.norm("norm", shift=False).dense("logits", sizes.vocabulary, bias=False)
    return logits, *written


def _positions(network: Network, sizes: Transformer, sequence: int) -> Feature:
    """Rows of the learned table for the first positions, one batch entry."""
    if sequence > sizes.positions:
        raise InputError(f"sequence {sequence} is longer than the {sizes.positions} positions", where=network.name)
    table = Feature(network, network.constant("embedding/positions", (1, sizes.positions, sizes.hidden)))
    return table.slice("embedding/first_positions", (1, sequence, sizes.hidden))


def _projections(x: Feature, name: str, *, bias: bool) -> tuple[Feature, Feature, Feature]:
    q, k, v = (x.dense(f"{name}/{part}", x.shape[-1], bias=bias) for part in ("query", "key", "value"))
    return q, k, v


def _attention(q: Feature, k: Feature, v: Feature, name: str, sizes: Transformer) -> Feature:
    q, k, v = (_split(part, f"{name}/{word}", sizes) for part, word in ((q, "query"), (k, "key"), (v, "value")))
    return _mix(q, k, v, name, sizes)


def _split(x: Feature, name: str, sizes: Transformer) -> Feature:
    """(batch, tokens, hidden) -> (batch x heads, tokens, head size)."""
    batch, tokens, hidden = x.shape
    size = hidden // sizes.heads
    x = x.view(f"{name}/heads", (batch, tokens, sizes.heads, size)).transpose(f"{name}/transpose", (0, 2, 1, 3))
    return x.view(f"{name}/merge", (batch * sizes.heads, tokens, size))


def _mix(q: Feature, k: Feature, v: Feature, name: str, sizes: Transformer) -> Feature:
    """Softmax of queries by keys, times values; heads side by side again: (batch, tokens, hidden)."""
    scores = q.matmul(f"{name}/scores", k.transpose(f"{name}/key/turn", (0, 2, 1)))
    x = scores.softmax(f"{name}/softmax").matmul(f"{name}/mix", v)
    merged, tokens, size = x.shape
    batch = merged // sizes.heads
    x = x.view(f"{name}/mix/heads", (batch, sizes.heads, tokens, size)).transpose(f"{name}/mix/turn", (0, 2, 1, 3))
    return x.view(f"{name}/mix/merge", (batch, tokens, sizes.hidden))


def _feed_forward(x: Feature, name: str, sizes: Transformer) -> Feature:
    x = x.dense(f"{name}/widen", sizes.feed_forward).activation(f"{name}/gelu", Activation.GELU)
    return x.dense(f"{name}/narrow", sizes.hidden)


def _gated(x: Feature, name: str, sizes: Transformer) -> Feature:
    """SwiGLU: swish of one widening gates another."""
    gate = x.dense(f"{name}/gate", sizes.feed_forward, bias=False).activation(f"{name}/swish", Activation.SWISH)
    wide = x.dense(f"{name}/widen", sizes.feed_forward, bias=False).mul(f"{name}/gated", gate)
    return wide.dense(f"{name}/narrow", sizes.hidden, bias=False)
