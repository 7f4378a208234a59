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

SWITCHES = ("ARMILLARY_JIT", "NUMBA_DISABLE_JIT")
REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = "from armillary.engine._jit import cache_folder; print(cache_folder())"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package that may be edited, and an empty cache beside it."""
    copy = tmp_path / "armillary"
    shutil.copytree(Path(armillary.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def _run(package: Path, *arguments: str) -> str:
    return _output(package, *arguments).stdout.strip()


def _output(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Compiling, whether or not this process does.
    environment = {name: value for name, value in os.environ.items() if name not in SWITCHES}
    environment |= {"PYTHONPATH": str(package.parent), "XDG_CACHE_HOME": str(package.parent / "cache")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def _edit(package: Path, name: str, old: str, new: str) -> None:
    source = package / name
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))


def test_edit_of_a_helper_file_changes_the_cache_folder(package: Path) -> None:
    before = _run(package, "-c", FOLDER)
    assert before == _run(package, "-c", FOLDER)
    assert before.startswith(str(package.parent / "cache"))
    _edit(package, "engine/heap.py", "math.ceil(ticks)", "math.ceil(ticks) + 1")
    assert before != _run(package, "-c", FOLDER)


def test_edit_of_a_file_without_kernels_keeps_the_cache_folder(package: Path) -> None:
    before = _run(package, "-c", FOLDER)
    _edit(package, "errors.py", "The family of errors", "All errors")
    assert before == _run(package, "-c", FOLDER)


def test_first_run_says_once_that_it_compiles(package: Path) -> None:
    """Two entry points that compile in a first process, and a second process."""
    two = """
from numba import int64
from armillary.engine._jit import njit
for _ in range(2):
    njit(int64(int64), cache=False)(lambda number: number + 1)
"""
    assert _output(package, "-c", two).stderr.count("compiling the event kernel") == 1
    assert _output(package, "-c", two).stderr == ""


@pytest.mark.parametrize(
    "first", ["entries", "entries_plain", "entries_stops", "policy", "calendar", "drive", "kernel", "_policy_type"]
)
def test_one_switch_turns_compiling_off_whatever_is_imported_first(package: Path, first: str) -> None:
    program = f"import armillary.engine.{first}, armillary.engine.entries as e; print(type(e.advance_general).__name__)"
    environment = {**os.environ, "ARMILLARY_JIT": "0", "PYTHONPATH": str(package.parent)}
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "function"


@pytest.mark.nightly
def test_cold_and_warm_caches_give_equal_digests_and_an_edit_shows(package: Path) -> None:
    cold = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert list((package.parent / "cache").rglob("*.nbc"))
    warm = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert cold == warm == json.loads(GOLDEN.read_text())
    _edit(package, "engine/heap.py", "math.ceil(ticks)", "math.ceil(ticks) + 1")
    edited = json.loads(_run(package, "-m", "tests.engine.scenarios"))
    assert edited["simple_link"] != warm["simple_link"]
    assert edited["fifo"] == warm["fifo"]
