"""Play a small row of the simulator and write its decision log: `python -m tests.power.row_log FILE LATENCY_TICKS`.

A process of its own, with the JIT off: compiling the row takes longer than playing this one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(path: str, latency: int) -> None:
    os.environ["ARMILLARY_JIT"] = "0"
    import numpy as np

    from armillary.engine.calendar import CHANGE, POLICY, Stream, new_calendar
    from armillary.engine.drive import Run
    from armillary.power.row.handler import ARRIVES, READS, TELEMETRY, advance
    from armillary.power.row.state import Meter, more_room
    from tests.power.rows import ask_python, small_row

    second, until, count = 1_000_000, 1_600_000_000, 900
    rng = np.random.default_rng(5)
    wave = np.sort(rng.random(count))
    arrival = (until * (wave + 0.06 * np.sin(2 * np.pi * 4 * wave)).clip(0, 0.99)).astype(np.int64)
    state, _ = small_row(
        arrival,
        rng.integers(0, 2, count),
        rng.integers(second // 2, 3 * second, count),
        rng.integers(50_000, 300_000, count),
        budget_mw=29_500,
        until=until,
        latency=latency,
        meter=Meter(2 * second, 2 * second),
        log=2_000,
        compiled=False,
    )
    lost = np.array([300, 330, 700, 704, 1100, 1150]) * second + 1
    streams = [
        Stream(ARRIVES, np.sort(arrival)),
        Stream(READS, np.arange(2 * second, until, 2 * second), np.zeros(799, np.int64), order=POLICY),
        Stream(TELEMETRY, lost, np.array([1, 0, 1, 0, 1, 0]), order=CHANGE),
    ]
    run = Run(
        advance,
        state,
        new_calendar(streams, timers=40, burst=20),
        decide=lambda played: ask_python(played),
        grow=more_room,
    )
    run.advance(until)
    Path(path).write_bytes(run.state.log[: run.state.row["logged"][0]].tobytes())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
