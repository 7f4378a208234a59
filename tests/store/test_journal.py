"""Journals: what was appended is there; a torn last line is not an error, a bad line elsewhere is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.store import Journal, read_journal


def test_records_come_back_in_order_and_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append({"trial": 0, "latency_s": 2.6e-3})
    with Journal(path) as journal:
        assert journal.records == [{"trial": 0, "latency_s": 2.6e-3}]
        journal.append({"trial": 1, "latency_s": None})
    assert [record["trial"] for record in read_journal(path)] == [0, 1]


@given(cut=st.integers(1, 40))
def test_any_torn_tail_loses_only_the_last_record(cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    with Journal(path) as journal:
        journal.append({"trial": 0})
        journal.append({"trial": 1, "filler": "x" * 40})
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_journal(path) == [{"trial": 0}]
    with Journal(path) as journal:
        journal.append({"trial": 2})
    assert read_journal(path) == [{"trial": 0}, {"trial": 2}]


def test_a_bad_line_before_the_last_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"trial": 0}\nnonsense\n{"trial": 2}\n')
    with pytest.raises(InputError, match=r"journal.jsonl:2: not a line of a journal"):
        read_journal(path)


def test_a_journal_that_does_not_exist_is_empty(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "none.jsonl") == []
