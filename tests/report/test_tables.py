"""Tables show what they are given, escaped, with one scale a column."""

from __future__ import annotations

import re

import pytest

from armillary.errors import InputError
from armillary.report import Bottleneck, Column, Tile, bottleneck_table, share_bar, table, tiles, trust_box
from armillary.timeline import Trust

HOSTILE = '"><script>alert(1)</script>'


def test_every_text_of_a_table_is_escaped() -> None:
    html = table([Column(HOSTILE), Column(HOSTILE, "B", "number")], [[HOSTILE, 1.0]], caption=HOSTILE).html
    html += bottleneck_table([Bottleneck(HOSTILE, 1.0, 0.5, HOSTILE)]).html + share_bar([(HOSTILE, 0.5)]).html
    html += tiles([Tile(HOSTILE, HOSTILE, HOSTILE, HOSTILE)]).html
    html += trust_box(Trust(HOSTILE, True, None, HOSTILE, HOSTILE)).html
    assert "<script" not in html
    assert '""' not in re.sub(r'="[^"]*"', "", html)


def test_a_number_keeps_all_its_digits_for_sorting() -> None:
    html = table([Column("Time", "s", "number")], [[0.1234567890123456]]).html
    assert 'data-value="0.1234567890123456' in html
    assert "<td" in html
    assert ">123<" in html
    assert "Time (ms)" in html


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(InputError, match="row 1 has 1 values for 2 columns"):
        table([Column("a"), Column("b")], [["x", "y"], ["x"]])


def test_text_in_a_column_of_numbers_is_refused() -> None:
    with pytest.raises(InputError, match="column 'Time' shows numbers"):
        table([Column("Time", "s", "number")], [["soon"]])


def test_the_largest_bottleneck_comes_first() -> None:
    html = bottleneck_table([Bottleneck("small", 1.0, 0.1), Bottleneck("large", 4.0, 0.4)]).html
    body = html[html.index("<tbody>") :]
    assert body.index("large") < body.index("small")
    assert "What would help" not in html


def test_shares_beyond_one_still_fit_the_bar() -> None:
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", share_bar([("a", 0.9), ("b", 0.6)]).html)]
    assert sum(widths) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize(
    ("inside", "text"), [(True, "Inside the calibrated range"), (False, "Outside the calibrated range")]
)
def test_trust_is_said_in_words(inside: bool, text: str) -> None:
    html = trust_box(Trust("CNNs", inside, 0.12, "six networks", "a seventh")).html
    assert text in html
    assert "± 12 %" in html


def test_an_unknown_error_is_said_to_be_unknown() -> None:
    assert "not known" in trust_box(Trust("CNNs", False, None, "nothing", "measure")).html
