"""All benchmarks, in the order of the table.

In:  the families, one file each. Out: `benchmarks(prefix)`. Nothing is measured and no kernel compiles at import.
"""

from __future__ import annotations

from armillary.errors import InputError
from bench import (
    command_line,
    engine_control,
    engine_drive,
    engine_fifo,
    engine_links,
    engine_mixed,
    npu_speed,
    npu_vela,
    power_azure,
    power_plan,
)
from bench.benchmark import Benchmark

FAMILIES = (
    engine_fifo,
    engine_mixed,
    engine_links,
    engine_drive,
    engine_control,
    npu_speed,
    npu_vela,
    power_azure,
    power_plan,
    command_line,
)


def benchmarks(prefix: str = "") -> list[Benchmark]:
    """Return the benchmarks whose ids begin with `prefix`.

    Raises:
        InputError: there is none.
    """
    every = [benchmark for family in FAMILIES for benchmark in family.BENCHMARKS]
    chosen = [benchmark for benchmark in every if benchmark.id.startswith(prefix)]
    if not chosen:
        raise InputError(f"no benchmark begins with {prefix!r}", hint=", ".join(one.id for one in every))
    return chosen
