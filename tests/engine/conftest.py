"""Compiles (or loads) the kernel once before the first test of this folder: its time belongs to no test."""

from __future__ import annotations

import pytest

from armillary.engine import GraphBuilder
from tests.engine.executors import FASTEST


@pytest.fixture(scope="session", autouse=True)
def _warm_kernel() -> None:
    for priority in (0, 1):  # the plain and the general entry
        builder = GraphBuilder()
        builder.tasks(2, priority=[0, priority])
        FASTEST(builder.build()).advance()
