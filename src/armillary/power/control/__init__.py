"""The live controller: the policies of the row simulator on a real row, or on a simulated one.

In:  a `Site` (YAML: budget, servers, meter, latencies), a policy, a backend: simulated, nvml or redfish.
Out: commands to the clocks and power limits of the servers (with `apply`; else nothing is ever written), an audit log,
     Prometheus metrics, and a `ControlResult`. Limits are noted before the first write and restored at the end,
     on SIGTERM, and at the next start after a crash. What reads and writes is exchangeable: `contract.py`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from armillary.power.control.checking import check
    from armillary.power.control.contract import BackendError, GpuBackend, Server
    from armillary.power.control.controller import Controller
    from armillary.power.control.run import ControlResult, control
    from armillary.power.control.site import Site, load_site

_HOME = {
    "BackendError": "contract",
    "ControlResult": "run",
    "Controller": "controller",
    "GpuBackend": "contract",
    "Server": "contract",
    "Site": "site",
    "check": "checking",
    "control": "run",
    "load_site": "site",
}
__all__ = [
    "BackendError",
    "ControlResult",
    "Controller",
    "GpuBackend",
    "Server",
    "Site",
    "check",
    "control",
    "load_site",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
