"""A language model from the `config.json` of its checkpoint.

In:  a JSON file as the transformers library writes it, of one of the families below.
Out: a `LanguageModel`. Only sizes are read; nothing in the file is ever run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from armillary.errors import InputError, unknown_name
from armillary.store import load_json
from armillary.workload.language_models import Kind, LanguageModel, Positions

_MOST = 2**24  # of any size: beyond, the file is not a model's


@dataclass(frozen=True, slots=True)
class _Family:
    """What the type of a model says that its file does not."""

    kind: Kind
    gated: bool
    positions: Positions
    biases: bool
    tied: bool  # where the file does not say
    extra_positions: int = 0  # rows of the table of positions beyond the longest input


_GATED = _Family("decoder", True, "rotary", False, False)
FAMILIES: Final[Mapping[str, _Family]] = {
    "llama": _GATED,
    "mistral": _GATED,
    "qwen2": _GATED,
    "qwen3": _GATED,
    "gemma": _Family("decoder", True, "rotary", False, True),
    "gpt_neox": _Family("decoder", False, "rotary", True, False),
    "opt": _Family("decoder", False, "learned", True, True, extra_positions=2),
    "bloom": _Family("decoder", False, "alibi", True, True),
    "bert": _Family("encoder", False, "learned", True, True),
    "roberta": _Family("encoder", False, "learned", True, True),
    "t5": _Family("encoder_decoder", True, "relative", False, True),
}
# Size -> the names that families give it, first found first taken.
_NAMES: Final = {
    "width": ("hidden_size", "n_embed", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "num_decoder_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "kv_heads": ("num_key_value_heads",),
    "feed_forward": ("intermediate_size", "ffn_dim", "d_ff"),
    "vocabulary": ("vocab_size",),
    "head_width": ("head_dim", "d_kv"),
    "positions": ("max_position_embeddings",),
    "encoder_layers": ("num_layers",),
}


def read_language_model(path: Path) -> LanguageModel:
    """Return the language model that the `config.json` at `path` describes.

    Raises:
        InputError: no such file, not JSON, a family that is not known, or sizes that are missing or make no sense.
    """
    if not path.is_file():
        raise InputError("no such file", where=str(path), hint="give the config.json of a model")
    document = load_json(path)
    if not isinstance(document, dict):
        raise InputError("is not the configuration of a model", where=str(path))
    name = str(document.get("model_type", ""))
    if name not in FAMILIES:
        raise unknown_name("model_type", name, FAMILIES, where=str(path))
    family = FAMILIES[name]
    width = _size(document, "width", path)
    heads = _size(document, "heads", path)
    kv_heads = _size(document, "kv_heads", path, heads)
    head_width = _size(document, "head_width", path, width // heads)
    if heads % kv_heads or head_width < 1:
        raise InputError(f"{heads} heads cannot share {kv_heads} key-value heads", where=str(path))
    gated = family.gated and not (name == "t5" and "gated" not in str(document.get("feed_forward_proj", "")))
    learned = _size(document, "positions", path) + family.extra_positions if family.positions == "learned" else 0
    tied = document.get("tie_word_embeddings", family.tied)
    return LanguageModel(
        name=path.parent.name if path.name == "config.json" and path.parent.name else path.stem,
        kind=family.kind,
        layers=_size(document, "layers", path),
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        feed_forward=_size(document, "feed_forward", path, 4 * width),
        vocabulary=_size(document, "vocabulary", path),
        gated=gated,
        positions=family.positions,
        learned_positions=learned,
        biases=family.biases,
        tied=bool(tied),
        published_parameters=0.0,
        source=str(path),
        encoder_layers=_size(document, "encoder_layers", path) if family.kind == "encoder_decoder" else 0,
        head_width_of=head_width,
    )


def _size(document: Mapping[str, Any], size: str, path: Path, default: int | None = None) -> int:
    """Return a size of the file, `default` where it does not say.

    Raises:
        InputError: it is missing, or no whole number from 1 on.
    """
    given = next((document[name] for name in _NAMES[size] if document.get(name) is not None), default)
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= _MOST:
        names = " or ".join(_NAMES[size])
        raise InputError(f"{names} is {str(given)[:40]}", where=str(path), hint=f"a whole number from 1 to {_MOST}")
    return given
