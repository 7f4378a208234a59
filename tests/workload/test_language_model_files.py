"""A checkpoint's config.json gives the same model as the catalogue, and nonsense in it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary.errors import InputError
from armillary.workload import load_language_model

LLAMA = {
    "model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
    "num_key_value_heads": 8, "intermediate_size": 28672, "vocab_size": 32000, "tie_word_embeddings": False,
}  # fmt: skip
BLOOM = {"model_type": "bloom", "n_embed": 14336, "n_layer": 70, "num_attention_heads": 112, "vocab_size": 250880}
OPT = {
    "model_type": "opt", "hidden_size": 7168, "num_hidden_layers": 48, "num_attention_heads": 56, "ffn_dim": 28672,
    "vocab_size": 50272, "max_position_embeddings": 2048,
}  # fmt: skip
T5 = {
    "model_type": "t5", "d_model": 4096, "num_layers": 24, "num_decoder_layers": 24, "num_heads": 64, "d_kv": 64,
    "d_ff": 10240, "vocab_size": 32128, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
}  # fmt: skip


def written(folder: Path, document: object) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "document"), [("llama2-70b", LLAMA), ("bloom-176b", BLOOM), ("opt-30b", OPT), ("flan-t5-xxl", T5)]
)
def test_a_file_gives_the_model_of_the_catalogue(name: str, document: object, tmp_path: Path) -> None:
    read, known = load_language_model(written(tmp_path, document)), load_language_model(name)
    for field in ("kind", "parameters", "kernels_per_layer", "whole_square", "head_width", "encoder_layers"):
        assert getattr(read, field) == getattr(known, field), field
    assert read.cached_bytes(2) == known.cached_bytes(2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "mamba"}, "no model_type named 'mamba'"),
        ({"num_hidden_layers": -3}, "num_hidden_layers .* is -3; a whole number from 1"),
        ({"vocab_size": "32000"}, "vocab_size is 32000; a whole number"),
        ({"num_key_value_heads": 7}, "64 heads cannot share 7 key-value heads"),
        ({"hidden_size": None}, "hidden_size or n_embed or d_model is None"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        load_language_model(written(tmp_path, LLAMA | change))


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the configuration of a model"):
        load_language_model(written(tmp_path, [1, 2]))
    with pytest.raises(InputError, match="no such file"):
        load_language_model(tmp_path / "none.json")
