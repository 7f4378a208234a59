"""One transfer of a chip alone, as the engine plays it.

In:  bytes and a `Chip`. Out: seconds from its issue to its last byte.
"""

from __future__ import annotations

import numpy as np

from armillary.engine import GraphBuilder
from armillary.engine.simulate import simulate
from armillary.hardware import Chip
from armillary.npu.queues import declare
from armillary.npu.rates import transfer_rate
from armillary.units import PICOSECOND, to_ticks


def transfer_s(size: int, chip: Chip) -> float:
    """Return the seconds that loading `size` bytes into the scratchpad takes when nothing else moves."""
    build = GraphBuilder()
    queues = declare(build, chip, 0)
    engine_rate = chip.dram.engine_rate if chip.dram is not None else None
    task = build.tasks(
        1,
        kind="input",
        latency=to_ticks(transfer_rate(chip)[1], PICOSECOND),
        bytes=float(size),
        rate_cap=np.inf if engine_rate is None else engine_rate.value,
    )
    build.cross(task, queues.backing)
    build.demand(task, queues.movers[0])
    return simulate(build.build()).makespan_s
