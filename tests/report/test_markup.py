"""Names from strangers stay text, wherever they stand in a page."""

from __future__ import annotations

import base64
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.report.markup import clean, escape, pack, script_json, slug


@given(st.text())
def test_escaped_text_holds_no_character_that_html_reads(text: str) -> None:
    assert not set("<>\"'") & set(escape(text))


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_in_a_script_cannot_close_it_and_reads_back_equal(value: object) -> None:
    text = script_json(value)
    assert "<" not in text
    assert json.loads(text) == value


def test_json_refuses_what_is_not_finite() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json([float("nan")])


@given(st.binary())
def test_packed_bytes_come_back(data: bytes) -> None:
    assert zlib.decompress(base64.b64decode(pack(data))) == data


def test_marks_that_turn_the_direction_of_writing_are_shown_as_unknown() -> None:
    assert clean("conv\u202egnp.exe\x00") == "conv\ufffdgnp.exe\ufffd"


def test_a_name_is_cut_at_400_characters() -> None:
    assert clean("x" * 10_000) == "x" * 399 + "…"


@given(st.text())
def test_an_element_id_is_never_empty_and_plain(text: str) -> None:
    assert slug(text)
    assert slug(text).replace("-", "").isalnum()
    assert slug(text).isascii()
