"""The error table of a page says what `armillary validate` obtains now."""

from __future__ import annotations

import pytest

from armillary.validation.scorecard import SYSTEMS, scorecard
from tools.error_tables import PAGES, with_laws, with_table


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_error_table_of_a_page_is_as_obtained(system: str) -> None:
    """After a change of the model that is meant: `make tables`."""
    text = (PAGES / f"{system}.md").read_text(encoding="utf-8")
    assert text == with_table(text, scorecard(system))


def test_the_table_of_laws_is_that_of_the_catalogue() -> None:
    text = (PAGES / "npu.md").read_text(encoding="utf-8")
    assert "| intel-npu-2.7 | conv | int8 |" in text
    assert text == with_laws(text)
