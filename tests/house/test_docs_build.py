"""The documents build without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.source_tree import REPOSITORY


def test_the_documents_build_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="the extra docs is not installed")
    sphinx = f"{sys.executable} -m sphinx -W --keep-going -q -b html".split()
    done = subprocess.run(
        [*sphinx, "-d", tmp_path / "trees", REPOSITORY / "docs", tmp_path / "html"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "index.html").is_file()
