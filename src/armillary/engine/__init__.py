"""The one event engine: task graphs by `simulate`, request-driven models by `drive`.

In:  a `TaskGraph` (columns of tasks, resources, edges), or a model's record layout and handler.
Out: a `Trace`: start, end and cause per task. Exact semantics: docs/engine.md.
"""

from __future__ import annotations

from armillary.engine.graph import Discipline, EdgeKind, GraphBuilder, ResourceKind, TaskGraph
from armillary.engine.trace import Reason, Status, Trace

__all__ = ["Discipline", "EdgeKind", "GraphBuilder", "Reason", "ResourceKind", "Status", "TaskGraph", "Trace"]
