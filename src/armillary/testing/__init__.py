"""What plugin authors and our own tests run: generators of random input and conformance suites.

In:  random numbers, or the thing to be checked.
Out: valid inputs full of corner cases; assertions that name the law broken.
Needs the extra `test` where hypothesis is used. Loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armillary.testing.cost_models import check_cost_model, random_tiles
    from armillary.testing.fake_bmc import FakeBmc, Fault
    from armillary.testing.fake_nvml import FakeNvml
    from armillary.testing.graphs import Feature, random_addition, random_builder, random_graph, task_graphs
    from armillary.testing.models import check_model

_HOME = {
    "FakeBmc": "fake_bmc",
    "FakeNvml": "fake_nvml",
    "Fault": "fake_bmc",
    "Feature": "graphs",
    "Model": "models",
    "check_cost_model": "cost_models",
    "check_model": "models",
    "random_addition": "graphs",
    "random_builder": "graphs",
    "random_graph": "graphs",
    "random_tiles": "cost_models",
    "task_graphs": "graphs",
}
__all__ = [
    "FakeBmc",
    "FakeNvml",
    "Fault",
    "Feature",
    "Model",
    "check_cost_model",
    "check_model",
    "random_addition",
    "random_builder",
    "random_graph",
    "random_tiles",
    "task_graphs",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
