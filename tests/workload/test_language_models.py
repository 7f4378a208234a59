"""Counts of language models follow from their shapes."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.workload import language_model_names, load_language_model

NAMES = {
    "roberta-355m", "gpt-neox-20b", "opt-30b", "flan-t5-xxl", "bloom-176b", "llama2-13b", "llama2-70b", "llama3.1-8b",
    "llama3.1-70b",
}  # fmt: skip


def test_the_catalogue_has_the_models_it_promises() -> None:
    assert set(language_model_names()) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_parameters_by_closed_form_are_those_published(name: str) -> None:
    model = load_language_model(name)
    assert model.parameters == pytest.approx(model.published_parameters, rel=0.01)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("llama2-70b", 68_976_648_192),  # all tensors of the published checkpoint
        ("llama2-13b", 13_015_864_320),
        ("llama3.1-8b", 8_030_261_248),
        ("llama3.1-70b", 70_553_706_496),
        ("bloom-176b", 176_247_271_424),
        ("gpt-neox-20b", 20_554_567_680),
    ],
)
def test_parameters_are_exact_but_for_the_norms_around_the_layers(name: str, exact: int) -> None:
    model = load_language_model(name)
    assert abs(model.parameters - exact) <= 4 * model.width


def test_a_token_of_context_takes_what_its_heads_take() -> None:
    """2 (key, value) x layers x heads x head width x 2 bytes; grouped heads divide it by 8."""
    assert load_language_model("bloom-176b").cached_bytes(2) == 2 * 70 * 14336 * 2
    assert load_language_model("llama2-70b").cached_bytes(2) == 2 * 80 * 8192 / 8 * 2
    assert load_language_model("roberta-355m").cached_bytes(2) == 0


def test_an_unknown_model_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(InputError, match="no language model named 'llama2-7b'; did you mean llama2-70b"):
        load_language_model("llama2-7b")
