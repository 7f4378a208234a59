"""What every test gets: a time guard, the data root, one set of hypothesis profiles, an honest count of skips.

An unmarked test whose call takes over 10 s of CPU fails, or three times that on the clock: the machine may be shared
(ARMILLARY_TEST_SLACK=2 doubles both on a slow machine).
The summary lists the slowest 20 and the tests that were skipped for want of data. All of it holds under xdist.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

LIMIT_S = 10.0
SHARED = 3.0  # clock over CPU time that a busy machine may cost
CPU_S = pytest.StashKey[float]()
SLOWEST = 20
DATA_VARIABLE = "ARMILLARY_SHARED"
NO_DATA = "no data root"
REPOSITORY = Path(__file__).resolve().parent.parent

settings.register_profile(
    "ci", derandomize=True, max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def time_limit_s() -> float:
    """Seconds of CPU that the call of an unmarked test may take on this machine."""
    return LIMIT_S * float(os.environ.get("ARMILLARY_TEST_SLACK", "1"))


def cpu_time_s() -> float:
    """Seconds of CPU of this process and of the children that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Note the CPU time of the call."""
    before = cpu_time_s()
    try:
        yield
    finally:
        item.stash[CPU_S] = cpu_time_s() - before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a passed but slow unmarked test, in the process that ran it."""
    report = yield
    is_long = item.get_closest_marker("nightly") is not None
    if report.when == "call" and report.passed and not is_long:
        cpu_s = item.stash[CPU_S]
        if cpu_s > time_limit_s() or report.duration > SHARED * time_limit_s():
            report.outcome = "failed"
            report.longrepr = (
                f"{item.nodeid} took {report.duration:.1f} s and {cpu_s:.1f} s of CPU, the limit is "
                f"{time_limit_s():.0f} s of CPU: make it smaller, or mark it nightly and keep a small one"
            )
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the slowest tests and the number skipped for data."""
    reports = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if getattr(report, "when", None) == "call"
    ]
    reports = sorted((report for report in reports if report.duration >= 0.05), key=lambda report: -report.duration)
    if reports:
        terminalreporter.section(f"slowest {SLOWEST}")
        for report in reports[:SLOWEST]:
            terminalreporter.line(f"{report.duration:7.2f} s  {report.nodeid}")
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if NO_DATA in str(report.longrepr)]
    terminalreporter.line(f"{len(skipped)} tests skipped for want of data")


def find_data_root() -> Path | None:
    """The data root of the tests: the variable, else ../shared beside the repository."""
    named = os.environ.get(DATA_VARIABLE)
    if named:
        return Path(named)
    beside = REPOSITORY.parent / "shared"
    return beside if beside.is_dir() else None


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """A function from a name below the data root to its path.

    Without a data root the test is skipped. With the variable set, a file that is missing fails the test.
    """
    root = find_data_root()

    def path_of(name: str) -> Path:
        if root is None:
            pytest.skip(f"{NO_DATA}: set {DATA_VARIABLE} for {name}")
        path = root / name
        if not path.exists():
            if os.environ.get(DATA_VARIABLE):
                pytest.fail(f"{DATA_VARIABLE} is set and {name} is missing in it")
            pytest.skip(f"{NO_DATA} with {name} in it")
        return path

    return path_of
