"""NPU: latency, power and energy of a network on an accelerator, event by event.

In:  a network (zoo name, model file or `Graph`) and a chip (catalogue name, YAML file or `Chip`).
Out: `NpuResult`, measured on the timeline of the compiled task graph; `passes` shows what each pass hands on, `explain`
what bounds a run and what would help, `run_folder` many models as one table.
The passes, in the order in which `compile` tells the story: recognise (of `workload`), fold, lower, fuse, place,
geometry, reside, cache, keep, tile, tiles, allocate, and those from geometry on once more where `stripe` cuts chains of
layers; `emit` turns the plan into tasks (queues, tasks, order, reuse, leases, barriers), the engine plays them,
`measure` reads the figures off.
`repeat` puts several inferences into the queues, `stream` measures their throughput.
`share` plays several networks on one chip by priority (tenant, turns, share_graph).
`laws` costs single operators, from a table, by the fitted laws of a chip.
"""

from __future__ import annotations

from armillary.npu.compile import compile_network
from armillary.npu.emit import Program, emit
from armillary.npu.explain import Explanation, LayerBound, WhatIf, explain
from armillary.npu.folder import FolderRow, FolderRuns, run_folder
from armillary.npu.laws import OperatorCost, OperatorCosts, operators
from armillary.npu.passes import PASSES, PassTable, passes
from armillary.npu.plan import Plan
from armillary.npu.result import Bound, Fallback, LayerFigures, NpuResult
from armillary.npu.run import run
from armillary.npu.share import share
from armillary.npu.share_result import InferenceFigures, ShareResult, TenantFigures
from armillary.npu.tenant import Tenant, parse_tenant

__all__ = [
    "PASSES",
    "Bound",
    "Explanation",
    "Fallback",
    "FolderRow",
    "FolderRuns",
    "InferenceFigures",
    "LayerBound",
    "LayerFigures",
    "NpuResult",
    "OperatorCost",
    "OperatorCosts",
    "PassTable",
    "Plan",
    "Program",
    "ShareResult",
    "Tenant",
    "TenantFigures",
    "WhatIf",
    "compile_network",
    "emit",
    "explain",
    "operators",
    "parse_tenant",
    "passes",
    "run",
    "run_folder",
    "share",
]
