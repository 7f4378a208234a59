"""`--shape`: one grammar, and nothing else passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.cli.shapes import parse_shapes
from armillary.errors import InputError


@given(st.text(min_size=1, max_size=8), st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=16))
def test_what_is_written_is_read(name: str, dimensions: list[int]) -> None:
    text = f"{name}={','.join(map(str, dimensions))}"
    assert parse_shapes([text]) == {name: tuple(dimensions)}


@pytest.mark.parametrize(
    "text",
    ["", "x", "x=", "=1", "x=1,", "x=-1", "x=0", "x=1.0", "x=1e3", "x=0x1", "x=١", "x=2147483648", "x=" + "9" * 5000],
)
def test_all_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="--shape images=1,3,320,320"):
        parse_shapes([text])


def test_a_name_is_given_once() -> None:
    with pytest.raises(InputError, match="twice"):
        parse_shapes(["x=1", "x=2"])
