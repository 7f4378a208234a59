"""Atomic writes: the old content or the new one, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.store import write_bytes, write_text, write_with


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_bytes(path, b"old")

    def fail_half_way(temporary: Path) -> None:
        temporary.write_bytes(b"half of the n")
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        write_with(path, fail_half_way)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_comes_back_and_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    write_text(path, "größer als µ")
    assert path.read_text(encoding="utf-8") == "größer als µ"


def test_files_are_readable_by_others_as_the_mask_allows(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == plain.stat().st_mode
