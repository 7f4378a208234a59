"""Armillary: event-based models of AI infrastructure, from the chip to the region.

In:  a workload and a machine (`armillary.npu.run("mobilenet_v2", chip="coral-edge-tpu-usb")`).
Out: results measured on a timeline that one event engine played.
The rooms load on first use (PEP 562): importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

__all__ = [
    "costs",
    "engine",
    "errors",
    "hardware",
    "npu",
    "policy",
    "power",
    "report",
    "stats",
    "store",
    "testing",
    "timeline",
    "units",
    "workload",
]

# Names of the root that are not rooms: where they live.
_ELSEWHERE = {"policy": "armillary.engine.policy"}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(import_module(_ELSEWHERE[name]), name)
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
