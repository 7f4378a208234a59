"""Published models for the importer tests, fetched once by pip into the git-ignored cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "models"


@pytest.fixture(scope="session")
def published_model() -> Callable[[str, str, str], Path]:
    """A function (package, version, member of its wheel) -> path of the member in the cache.

    Skips with the reason when the package cannot be fetched.
    """

    def path_of(package: str, version: str, member: str) -> Path:
        target = CACHE / member
        if not target.exists():
            _extract(_wheel(package, version), member, target)
        return target

    return path_of


def _wheel(package: str, version: str) -> Path:
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    CACHE.mkdir(parents=True, exist_ok=True)
    if not (found := list(CACHE.glob(pattern))):
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "-q",
                "-d",
                folder,
                f"{package}=={version}",
            ]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode != 0:
                lines = done.stderr.strip().splitlines() or ["no reason given"]
                pytest.skip(f"{package} {version} cannot be fetched: {lines[-1]}")
            for wheel in Path(folder).glob("*.whl"):
                wheel.replace(CACHE / wheel.name)
        found = list(CACHE.glob(pattern))
    return found[0]


def _extract(wheel: Path, member: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(zipfile.ZipFile(wheel).read(member))
    Path(file.name).replace(target)
