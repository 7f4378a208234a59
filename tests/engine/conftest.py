"""Compiles (or loads) the kernel once before the first test of this folder: its time belongs to no test."""

from __future__ import annotations

import pytest

from tests.warm import warm


@pytest.fixture(scope="session", autouse=True)
def _warm_kernel() -> None:
    warm()
