"""Code in the documents runs as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.document_blocks import blocks, commands, documents, run
from tests.house.source_tree import REPOSITORY


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_blocks_of_a_document_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run(document)


def test_every_runnable_block_is_found_and_a_marker_leaves_one_out() -> None:
    text = (
        "```python\nx = 1\n```\n\n<!-- not executed: needs a GPU -->\n```python\n1 / 0\n```\n"
        "```text\nno\n```\n```{code-block} python\n```\n```console\n$ armillary doctor\n```\n"
    )
    assert [(block.language, block.line) for block in blocks(text)] == [("python", 1), ("console", 14)]


def test_a_failing_block_fails(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text("```python\nx = 1\n```\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError):
        run(document)
    document.write_text("```console\n$ armillary check nowhere.yaml\n```\n")
    with pytest.raises(AssertionError, match=r"page.md:1: armillary check nowhere.yaml ended with 2"):
        run(document)


def test_only_our_own_commands_can_run() -> None:
    assert commands("$ armillary npu run x \\\n   --batch 2  # two\nsome output\n") == [
        ["npu", "run", "x", "--batch", "2"]
    ]
    with pytest.raises(AssertionError, match="not executed"):
        commands("$ rm -rf /\n")
