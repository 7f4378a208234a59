"""Where the headroom of a row comes from: phase mix, multiplexing, idle; for inference and for training.

In:  a `Row`, servers, a mix. Out: `Headroom`, shares of the budget that add up to 1.
Model: if every server drew its highest phase at once, the row would draw N p_peak. A row that is always busy draws
       N p_busy on average and peaks at P_busy; the row under its load peaks at P.
       rated   = budget - N p_peak          what the rating leaves unused
       phases  = N p_peak - N p_busy        long phases draw less than short ones: the most that mixing can give
       multiplexing = N p_busy - P_busy     (negative) what fluctuations of finitely many servers take back; training
                                            swings in step, so it takes back nearly all
       idle    = P_busy - P                 servers without work at the busiest time
       used    = P
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from armillary.errors import InputError
from armillary.power.topology import Row
from armillary.power.trial import UNCAPPED

BUSY_HOURS: Final = 2.0
BUSY_LOAD: Final = 1.5  # of what the servers can serve: queues never run empty


@dataclass(frozen=True, slots=True)
class Headroom:
    """Shares of the budget; all but `mix` and `servers` add up to 1."""

    mix: str
    servers: int
    rated: float
    phases: float
    multiplexing: float
    idle: float
    used: float  # peak of the row

    @property
    def total(self) -> float:
        """What is left of the budget at the peak."""
        return 1.0 - self.used


def headroom(row: Row, *, servers: int, mix: str, days: float, seed: int = 0) -> Headroom:
    """Return the headroom of `servers` servers under the load of `days` days.

    Raises:
        InputError: a mix of inference and training, whose servers have no common highest phase.
    """
    from armillary.power.row.run import policy_for, prepare, result_of, run_case

    if mix not in ("inference", "training"):
        raise InputError(f"headroom of {mix!r}", where="mix", hint="inference or training")
    found = []
    for length, scale in ((days, 1.0), (BUSY_HOURS / 24.0, BUSY_LOAD)):
        case = prepare(row=row, servers=servers, days=length, mix=mix, load_scale=scale, seed=seed)
        if scale != 1.0 and case.curve is not None:
            case = replace(case, curve=replace(case.curve, load=np.full_like(case.curve.load, BUSY_LOAD)))
        played = run_case(case, policy_for(case, UNCAPPED))
        found.append(result_of(case, played, played))
    own, busy = found
    budget_mw, assembly = row.budget_w * 1e3, case.assembly
    classes = assembly.classes
    highest = max(
        [
            float(classes["idle_mw"][0] + classes["busy_mw"][0] + max(table.prefill_mw.max(), table.dynamic_mw.max()))
            for table in assembly.tables
        ],
        default=float(classes["idle_mw"][0] + classes["busy_mw"][0] + assembly.segments["dynamic_mw"].max()),
    )
    together = servers * highest / budget_mw
    return Headroom(
        mix=mix,
        servers=servers,
        rated=1.0 - together,
        phases=together - busy.mean_utilisation,
        multiplexing=busy.mean_utilisation - busy.peak_utilisation,
        idle=busy.peak_utilisation - own.peak_utilisation,
        used=own.peak_utilisation,
    )
