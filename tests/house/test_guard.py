"""The guards of this suite work: slow tests fail, missing data is counted or fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"

TESTS = """
import time, pytest
def test_slow(): time.sleep(0.3)
def test_busy():
    start = time.process_time()
    while time.process_time() - start < 0.3: pass
@pytest.mark.nightly
def test_long(): time.sleep(0.3)
def test_data(shared_data): assert shared_data("there.csv").read_text() == "1"
def test_missing(shared_data): shared_data("missing.csv")
"""


def run_suite(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a small suite under our conftest in a folder with no data beside it."""
    suite = folder / "repository" / "tests"
    suite.mkdir(parents=True, exist_ok=True)
    (suite / "conftest.py").write_text(CONFTEST.read_text())
    (suite / "test_small.py").write_text(TESTS)
    (suite / "pytest.ini").write_text("[pytest]\nmarkers = nightly\n")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("ARMILLARY_", "PYTEST_"))}
    variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # half of the time; those that a case needs are named
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", *arguments, str(suite)],
        capture_output=True,
        text=True,
        check=False,
        env=variables | environment,
    )
    return done.stdout


@pytest.mark.parametrize("arguments", [(), ("-p", "xdist", "-n", "1")], ids=["alone", "xdist"])
def test_a_slow_unmarked_test_fails_and_data_is_counted(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    text = run_suite(tmp_path, *arguments, ARMILLARY_TEST_SLACK="0.006")
    assert "FAILED" in text
    assert re.search(r"test_slow took 0\.\d s and 0\.0 s of CPU, the limit is 0 s of CPU", text)
    assert "test_busy took" in text
    assert "2 failed, 1 passed, 2 skipped" in text
    assert "2 tests skipped for want of data" in text
    assert "slowest 20" in text


def test_a_missing_file_fails_when_the_variable_is_set(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "there.csv").write_text("1")
    text = run_suite(tmp_path, ARMILLARY_SHARED=str(data))
    assert "missing.csv is missing in it" in text
    assert "1 failed, 4 passed" in text
