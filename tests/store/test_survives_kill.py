"""The store stays readable whatever line its writer dies at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_writer.py")


def killed_children(folder: Path, runs: int) -> int:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(runs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_store_is_readable_after_a_kill_at_any_line(tmp_path: Path) -> None:
    assert killed_children(tmp_path, 20) >= 10


@pytest.mark.nightly
def test_store_is_readable_after_two_hundred_kills(tmp_path: Path) -> None:
    assert killed_children(tmp_path, 200) >= 100
