"""NPU: latency, power and energy of a network on an accelerator, event by event.

In:  a network (zoo name, model file or `Graph`) and a chip (catalogue name, YAML file or `Chip`).
Out: `NpuResult`, measured on the timeline of the compiled task graph.
The passes, in the order in which `compile` tells the story: fold, fuse, place, geometry, reside, cache, tile, tiles;
`emit` turns the plan into tasks (queues, tasks, order, leases), the engine plays them, `measure` reads the figures off.
`laws` costs single operators, from a table, by the fitted laws of a chip.
"""

from __future__ import annotations

from armillary.npu.compile import compile_network
from armillary.npu.emit import Program, emit
from armillary.npu.laws import OperatorCost, OperatorCosts, operators
from armillary.npu.plan import Plan
from armillary.npu.result import Bound, Fallback, LayerFigures, NpuResult
from armillary.npu.run import run

__all__ = [
    "Bound",
    "Fallback",
    "LayerFigures",
    "NpuResult",
    "OperatorCost",
    "OperatorCosts",
    "Plan",
    "Program",
    "compile_network",
    "emit",
    "operators",
    "run",
]
