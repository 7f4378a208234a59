"""Policies in the reference executor: what they see of each resource, and what their commands do (section 9).

In:  a `ReferenceRun`. Out: an array of `OBSERVATION`; changes in the run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from armillary.engine.graph import ResourceKind
from armillary.engine.policy import OBSERVATION
from armillary.engine.reference_run import ReferenceRun
from armillary.engine.trace import Status


def observe(run: ReferenceRun) -> Any:
    """Return what a policy sees of each resource."""
    seen = np.zeros(len(run.graph.resources), OBSERVATION)
    # What became ready in this round has not queued yet: it may start at once in phase 6.
    queued = [task for task in run.with_status(Status.QUEUED) if run.tasks[task].ready_round < run.round]
    queues = [run.needs(task) for task in queued]
    for r, kind in enumerate(run.lists.kind):
        arbiter = run.arbiters.get(r)
        flows = sum(any(link == r for link, _ in flow.crossings) for flow in run.links.flows.values())
        seen[r] = (
            run.now,
            len(arbiter.device) if arbiter else run.in_use[r],
            run.lists.units[r],
            sum(r in needs for needs in queues),
            len(arbiter.present) if arbiter else flows,
            arbiter.backlog() if arbiter else 0,
            math.floor(run.rate[r] * 1e6) if kind == ResourceKind.SERVER else 0,
            math.floor(run.capacity[r]) if kind >= ResourceKind.LINK else 0,
        )
    return seen


def obey(run: ReferenceRun, resource: int, rate_ppm: int, capacity: int, threshold: int) -> None:
    """Let one command take effect; what the resource cannot take is no change."""
    kind = run.lists.kind[resource]
    if rate_ppm > 0 and kind == ResourceKind.SERVER:
        run.change_value(resource, rate_ppm / 1e6)
    if kind >= ResourceKind.LINK and capacity >= (0 if kind == ResourceKind.LINK else 1):
        run.change_value(resource, float(capacity))
    arbiter = run.arbiters.get(resource)
    if arbiter and threshold >= 1 and threshold != arbiter.threshold:
        arbiter.threshold = threshold
        arbiter.touched = True
