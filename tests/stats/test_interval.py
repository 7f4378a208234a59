"""Laws of values with bounds."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.stats import Interval


def test_a_value_lies_within_its_bounds() -> None:
    assert Interval(1.0, 1.0, 2.0).high == 2.0
    with pytest.raises(InputError, match="out of order"):
        Interval(1.0, 3.0, 2.0)
    with pytest.raises(InputError, match="not finite"):
        Interval(1.0, 2.0, float("inf"))
