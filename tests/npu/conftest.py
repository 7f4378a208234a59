from __future__ import annotations

import pytest

from armillary import npu
from tests.npu.networks import one_conv


@pytest.fixture(scope="session", autouse=True)
def _warm_kernel() -> None:
    """Compile the event kernel before any test is timed."""
    npu.run(one_conv(channels=4, outputs=4, size=4), chip="generic-array-16x16")
