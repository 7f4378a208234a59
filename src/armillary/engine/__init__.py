"""The one event engine: task graphs by `simulate`, request-driven models by `armillary.engine.drive`.

In:  a `TaskGraph` (columns of tasks, resources, edges), or a model's record layout and handler.
Out: a `Trace`: start, end and cause per task; or the model's own records. Rules: docs/engine.md, docs/drive.md.
Nothing here imports numba before a graph is played or a name of the request-driven side is asked for (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from armillary.engine.graph import Discipline, EdgeKind, GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.policy import Policy, policy
from armillary.engine.simulate import Simulation, simulate
from armillary.engine.trace import Reason, Status, Trace

if TYPE_CHECKING:
    from armillary.engine.calendar import Calendar, Stream, new_calendar
    from armillary.engine.drive import Run

__all__ = [
    "Calendar",
    "Discipline",
    "EdgeKind",
    "GraphBuilder",
    "Policy",
    "Reason",
    "ResourceKind",
    "Run",
    "Simulation",
    "Status",
    "Stream",
    "TaskGraph",
    "Trace",
    "new_calendar",
    "policy",
    "simulate",
]

# Names that need numba: where they live. The function `drive` is imported from its file, whose name it shares.
_ELSEWHERE = {"Calendar": "calendar", "Run": "drive", "Stream": "calendar", "new_calendar": "calendar"}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ELSEWHERE])
