"""The cache of compiled kernels: an edit in any kernel source gets another folder; cold and warm runs agree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import armillary
from tests.engine.scenarios import GOLDEN

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = "from armillary.engine._jit import cache_folder; print(cache_folder())"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that may be edited, and an empty cache beside it."""
    copy = tmp_path / "armillary"
    shutil.copytree(Path(armillary.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _run(package: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(package.parent / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _edit(package: Path, name: str, old: str, new: str) -> None:
    source = package / "engine" / name
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))


def test_edit_of_a_helper_file_changes_the_cache_folder(package: Path) -> None:
    before = _run(package, "-c", FOLDER)
    assert before == _run(package, "-c", FOLDER)
    assert before.startswith(str(package.parent / "cache"))
    _edit(package, "heap.py", "math.ceil(ticks)", "math.ceil(ticks) + 1")
    assert before != _run(package, "-c", FOLDER)


def test_edit_of_a_file_without_kernels_keeps_the_cache_folder(package: Path) -> None:
    before = _run(package, "-c", FOLDER)
    _edit(package, "trace.py", "Why `advance` returned", "The reason why `advance` returned")
    assert before == _run(package, "-c", FOLDER)


@pytest.mark.nightly
def test_cold_and_warm_caches_give_equal_digests_and_an_edit_shows(package: Path) -> None:
    cold = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert list((package.parent / "cache").rglob("*.nbc"))
    warm = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert cold == warm == json.loads(GOLDEN.read_text())
    _edit(package, "heap.py", "math.ceil(ticks)", "math.ceil(ticks) + 1")
    edited = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert edited["simple_link"] != warm["simple_link"]
    assert edited["fifo"] == warm["fifo"]
