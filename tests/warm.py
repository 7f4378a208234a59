"""Compile the event kernel, or find it in the cache, before workers of a suite would do so side by side.

In:  nothing. Out: a warm cache. `python -m tests.warm`; `make suite` runs it first.
"""

from __future__ import annotations

import sys
from importlib import import_module

from armillary.engine import GraphBuilder
from armillary.engine.simulate import Simulation


def warm() -> None:
    """Play a graph for each entry of the kernel: the plain and the general one, and what a caller does at a stop."""
    for priority in (0, 1):
        builder = GraphBuilder()
        server = builder.server("server")
        builder.demand(builder.tasks(2, priority=[0, priority]), server)
        run = Simulation(builder.build())
        run.advance()
        run.cancel(0)
    import_module("armillary.power.row.handler")


def main() -> int:
    """Warm the cache."""
    warm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
