"""The page that compares chips: every network on every chip, and causes that come from the figures."""

from __future__ import annotations

import re

import pytest

from armillary import npu
from tests.npu.networks import with_unknown_operator
from tools import compare_chips


def test_the_page_has_every_network_on_every_chip() -> None:
    text = compare_chips.PAGE.read_text(encoding="utf-8")
    for case in compare_chips.CASES:
        for chip in compare_chips.CHIPS:
            assert re.search(rf"^\| {case.what} \| {chip} \| [\d.]+ \S+ \|.* \| \d+% .+ \|$", text, re.MULTILINE)
    assert compare_chips.PICTURE.read_text(encoding="utf-8").count("<circle") == 24


@pytest.mark.parametrize("chip", compare_chips.CHIPS)
def test_the_cause_names_what_bounds_the_run(chip: str) -> None:
    result = npu.run("squeezenet", chip=chip)
    first = result.bounds[0]
    sentence = compare_chips.cause(result)
    assert sentence.startswith(f"{first.share:.0%} ")
    assert first.what.split()[0] in sentence.split(";")[0]


def test_the_host_is_named_with_its_reason() -> None:
    result = npu.run(with_unknown_operator(), chip="generic-array-16x16")
    assert "host: 1 layers, 1 since generic-array-16x16 has no NonMaxSuppression" in compare_chips.cause(result)
    assert 0 < compare_chips.share_of(result, "host") < 1


@pytest.mark.nightly
def test_the_tables_are_as_the_tool_would_write_them() -> None:
    if not compare_chips.DETECTOR.is_file():
        pytest.skip("the detector is not there: make .cache/models/nudenet/320n.onnx")
    runs = {
        (case.what, chip): compare_chips.run(case, chip) for case in compare_chips.CASES for chip in compare_chips.CHIPS
    }
    assert compare_chips.tables(runs) in compare_chips.PAGE.read_text(encoding="utf-8")
