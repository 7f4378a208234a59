"""The executors under test: every law of tests/engine holds for each of them."""

from __future__ import annotations

from typing import Any

import pytest

from armillary.engine import Reason, Status, TaskGraph, Trace
from armillary.engine.reference import ReferenceSimulation
from armillary.engine.simulate import Simulation

EXECUTORS: list[Any] = [ReferenceSimulation, Simulation]
FASTEST = Simulation

each_executor = pytest.mark.parametrize("executor", EXECUTORS, ids=lambda executor: executor.__name__)


def play(executor: Any, graph: TaskGraph) -> Trace:
    """Play `graph` to its end and return the trace; every task ends."""
    simulation = executor(graph)
    assert simulation.advance() == Reason.IDLE, simulation.blocked()
    trace: Trace = simulation.trace()
    assert (trace.status == Status.DONE).all()
    return trace


def differences(one: Trace, other: Trace) -> list[str]:
    """Name the columns, and the first task or step, in which two traces differ."""
    found = []
    columns = [(name, getattr(one, name), getattr(other, name)) for name in ("start", "end", "cause", "status")]
    columns += [
        (name, getattr(one.rate_steps, name), getattr(other.rate_steps, name)) for name in ("tick", "resource", "value")
    ]
    for name, left, right in columns:
        if len(left) != len(right):
            found.append(f"{name}: {len(left)} and {len(right)} values")
        elif (left != right).any():
            row = int((left != right).argmax())
            found.append(f"{name}[{row}]: {left[row]} and {right[row]}")
    return found
