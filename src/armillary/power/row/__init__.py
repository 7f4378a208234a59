"""The row simulator: requests, servers, meter, actuators and breaker on the loop for request-driven models.

In:  a row file (`assemble`), requests (`power.requests`), a policy. Out: `RowResult` (`run`, `measure`).
`records`, `state`, `lanes`, `statistics` and `handler` are the model that `engine.drive` plays; they import numba.
"""

from __future__ import annotations

from armillary.power.row.result import CapChange, History, Latency, RowResult, ServiceFigures

__all__ = ["CapChange", "History", "Latency", "RowResult", "ServiceFigures"]
