"""Content keys: equal values, equal keys; a difference anywhere, another key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import ArmillaryError
from armillary.store import content_key

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_keys_are_equal_exactly_when_values_are(left: object, right: object) -> None:
    """repr tells 1 from 1.0 and True, as the key must; the order of mapping keys alone may differ."""
    same = repr(_sorted(left)) == repr(_sorted(right))
    assert (content_key(left) == content_key(right)) == same


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)] + ["mapping"]
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_the_key_of_an_array_is_that_of_its_values_not_of_its_layout() -> None:
    array = np.arange(12, dtype=np.int64).reshape(3, 4)
    assert content_key(array) == content_key(np.asfortranarray(array)) == content_key(array.astype(">i8"))
    assert content_key(array) != content_key(array.reshape(4, 3))
    assert content_key(array) != content_key(array.astype(np.int32))
    assert content_key(array) != content_key(array.astype(np.uint64))
    assert content_key(np.zeros((0, 3))) != content_key(np.zeros((3, 0)))


def test_parts_do_not_run_into_one_another() -> None:
    assert content_key("ab", "c") != content_key("a", "bc")
    assert content_key(["a"], ["b"]) != content_key(["a", ["b"]])
    assert content_key(b"a") != content_key("a")


def test_keys_never_change() -> None:
    """Golden: a changed encoding would orphan every stored trial."""

    @dataclass(frozen=True)
    class Trial:
        chip: str
        batch: int

    assert content_key(Trial("coral", 4), 0.5, np.arange(3)).startswith("800ca5ceb9bdda38")


@pytest.mark.parametrize("value", [float("nan"), object(), np.array([object()]), {1, 2}])
def test_what_has_no_encoding_is_refused(value: object) -> None:
    with pytest.raises(ArmillaryError, match="content key"):
        content_key(value)
