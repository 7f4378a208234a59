"""Every figure of a page keeps three digits, one prefix and its unit; a column keeps one scale."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.report.numbers import NONE, column_scale, quantity

SCALE = {"P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9, "p": 1e-12}


@given(st.floats(min_value=1e-12, max_value=1e17))
def test_a_quantity_reads_back_within_its_third_digit(value: float) -> None:
    number, unit = quantity(value, "s").split(" ")
    assert float(number) * SCALE[unit[:-1]] == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.61e-3, "s", "2.61 ms"),
        (3.4e-6, "J", "3.4 µJ"),
        (0.4136, "%", "41.4 %"),
        (12.0, "%", "1200 %"),
        (1234567.0, "", "1\u202f234\u202f567"),
        (0.12345, "", "0.1235"),
        (0.0, "W", "0 W"),
        (1.7, "x", "1.7 x"),
        (6.75 * 2**20, "B", "6.75 MiB"),
        (1000.0, "B", "1000 B"),
        (490e6, "B/s", "490 MB/s"),
        (None, "s", NONE),
        (math.nan, "s", NONE),
    ],
)
def test_quantities_are_written_as_in_the_rules(value: float | None, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


@given(st.lists(st.floats(min_value=1e-12, max_value=1e12), min_size=1))
def test_a_cell_is_its_value_to_the_last_decimal_of_its_column(values: list[float]) -> None:
    scale = column_scale(values, "B")
    for value in values:
        cell = scale.cell(value).replace("\u202f", "")
        half = 0.500001 * 10.0**-scale.decimals
        if cell.startswith("<"):
            assert value / scale.scale < half
        else:
            assert float(cell) == pytest.approx(value / scale.scale, abs=half, rel=1e-12)


def test_a_column_takes_the_prefix_of_its_largest_value() -> None:
    scale = column_scale([1.2e-3, 3.4e-6, None], "s")
    assert scale.unit == "ms"
    assert [scale.cell(value) for value in (1.2e-3, 3.4e-6, None, 1e-9)] == ["1.20", "<\u202f0.01", NONE, "<\u202f0.01"]


def test_a_column_of_sizes_takes_a_binary_prefix() -> None:
    scale = column_scale([2.0 * 2**20, 512.0 * 2**10], "B")
    assert (scale.unit, scale.cell(512.0 * 2**10)) == ("MiB", "0.50")


def test_a_column_of_counts_has_no_decimals() -> None:
    scale = column_scale([3.0, 1200.0], "")
    assert (scale.unit, scale.cell(1200.0)) == ("", "1\u202f200")
