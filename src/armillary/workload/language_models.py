"""Language models: the shapes of their layers, and the counts that follow from them.

In:  a name of the catalogue (case, `-` and `_` do not count), or the `config.json` of a checkpoint.
Out: a frozen `LanguageModel`; parameters, bytes of a cached token and work of a token as closed forms of its shapes.
A layer has attention (query, key, value, output) and a feed-forward block; a decoder layer of an encoder-decoder has a
second attention, over the encoder's output.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from armillary.errors import canonical_name, unknown_name

Kind = Literal["decoder", "encoder", "encoder_decoder"]
Positions = Literal["rotary", "alibi", "learned", "relative"]


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """One language model, by the sizes of its layers."""

    name: str
    kind: Kind
    layers: int  # of the decoder, or of the encoder where there is no decoder
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    gated: bool  # the feed-forward block has two matrices in, not one
    positions: Positions
    learned_positions: int  # rows of the table of positions, 0 where there is none
    biases: bool
    tied: bool  # the output matrix is the embedding
    published_parameters: float
    source: str
    encoder_layers: int = 0  # of an encoder-decoder
    head_width_of: int | None = None  # where it is not width / heads

    @property
    def head_width(self) -> int:
        """Elements of one head."""
        return self.head_width_of or self.width // self.heads

    @property
    def query_width(self) -> int:
        """Elements of all query heads."""
        return self.heads * self.head_width

    @property
    def cache_width(self) -> int:
        """Elements of all key heads, and of all value heads."""
        return self.kv_heads * self.head_width

    @property
    def attention_parameters(self) -> int:
        """Weights of one attention: query, key, value and output matrices."""
        return self.width * (2 * self.query_width + 2 * self.cache_width)

    @property
    def feed_forward_parameters(self) -> int:
        """Weights of one feed-forward block."""
        return (3 if self.gated else 2) * self.width * self.feed_forward

    @property
    def layer_parameters(self) -> int:
        """Weights of one layer without cross attention, biases and norms included."""
        norms = 2 * self.width * (2 if self.biases else 1)
        biases = self.query_width + 2 * self.cache_width + 2 * self.width + self.feed_forward if self.biases else 0
        return self.attention_parameters + self.feed_forward_parameters + norms + biases

    @property
    def decoder_layers(self) -> int:
        """Layers that make tokens."""
        return 0 if self.kind == "encoder" else self.layers

    @property
    def prompt_layers(self) -> int:
        """Layers that read the prompt."""
        return self.encoder_layers if self.kind == "encoder_decoder" else self.layers

    @property
    def cross_parameters(self) -> int:
        """Weights of the attentions over the encoder's output, all layers."""
        return self.layers * (self.attention_parameters + self.width) if self.kind == "encoder_decoder" else 0

    @property
    def head_parameters(self) -> int:
        """Weights of the output matrix."""
        return self.width * self.vocabulary

    @property
    def parameters(self) -> int:
        """All weights."""
        tables = self.head_parameters * (1 if self.tied else 2) + self.learned_positions * self.width
        return (self.layers + self.encoder_layers) * self.layer_parameters + self.cross_parameters + tables

    @property
    def step_parameters(self) -> int:
        """Weights that one decode step reads: the decoder's layers and the output matrix."""
        return self.decoder_layers * self.layer_parameters + self.cross_parameters + self.head_parameters

    @property
    def prompt_parameters(self) -> int:
        """Weights that each token of a prompt is multiplied with (the output matrix sees one token of it alone)."""
        return self.prompt_layers * self.layer_parameters

    @property
    def kernels_per_layer(self) -> int:
        """Kernels of one layer as serving engines of 2023 launched them, collectives aside.

        Two norms, two residual sums, four matrix products, attention, its cache write and an activation; one more
        each for rotary positions and for the second input matrix of a gated block.
        """
        return 11 + (self.positions == "rotary") + self.gated

    @property
    def whole_square(self) -> bool:
        """True where attention computes every pair of tokens: both directions, or a bias that is laid out in full."""
        return self.kind != "decoder" or self.positions in ("alibi", "relative")

    def cached_bytes(self, element_bytes: float) -> float:
        """Bytes that one token of context takes in the key-value cache."""
        return 2 * self.decoder_layers * self.cache_width * element_bytes


_META = "model card and config.json of the publisher (recalled)"
_MODELS: Final = (
    LanguageModel(
        "roberta-355m", "encoder", 24, 1024, 16, 16, 4096, 50265, False, "learned", 514, True, True, 355e6,
        "arXiv 1907.11692; roberta-large config.json (recalled)",
    ),
    LanguageModel(
        "gpt-neox-20b", "decoder", 44, 6144, 64, 64, 24576, 50432, False, "rotary", 0, True, False, 20.55e9,
        "arXiv 2204.06745, table 1: 20,554,567,680 parameters (recalled)",
    ),
    LanguageModel(
        "opt-30b", "decoder", 48, 7168, 56, 56, 28672, 50272, False, "learned", 2050, True, True, 29.97e9,
        "arXiv 2205.01068, table 1 (recalled)",
    ),
    LanguageModel(
        "flan-t5-xxl", "encoder_decoder", 24, 4096, 64, 64, 10240, 32128, True, "relative", 0, False, False, 11.14e9,
        "arXiv 2210.11416; t5-v1.1-xxl config.json (recalled)", encoder_layers=24,
    ),
    LanguageModel(
        "bloom-176b", "decoder", 70, 14336, 112, 112, 57344, 250880, False, "alibi", 0, True, True, 176.25e9,
        "arXiv 2211.05100, table 3: 176,247M parameters (recalled)",
    ),
    LanguageModel(
        "llama2-13b", "decoder", 40, 5120, 40, 40, 13824, 32000, True, "rotary", 0, False, False, 13.02e9, _META
    ),
    LanguageModel(
        "llama2-70b", "decoder", 80, 8192, 64, 8, 28672, 32000, True, "rotary", 0, False, False, 68.98e9, _META
    ),
    LanguageModel(
        "llama3.1-8b", "decoder", 32, 4096, 32, 8, 14336, 128256, True, "rotary", 0, False, False, 8.03e9, _META
    ),
    LanguageModel(
        "llama3.1-70b", "decoder", 80, 8192, 64, 8, 28672, 128256, True, "rotary", 0, False, False, 70.55e9, _META
    ),
)  # fmt: skip


def language_model_names() -> tuple[str, ...]:
    """Return the names of the catalogue, sorted."""
    return tuple(sorted(model.name for model in _MODELS))


def load_language_model(name: str | Path | LanguageModel) -> LanguageModel:
    """Return the language model called `name`, or that of the file there (a `LanguageModel` is returned as it is).

    Raises:
        InputError: there is none of that name (with the nearest ones), or the file is no model's configuration.
    """
    if isinstance(name, LanguageModel):
        return name
    if isinstance(name, Path) or name.lower().endswith(".json") or "/" in name:
        from armillary.workload.language_model_files import read_language_model

        return read_language_model(Path(name))
    for model in _MODELS:
        if canonical_name(model.name) == canonical_name(name):
            return model
    raise unknown_name("language model", name, language_model_names())
