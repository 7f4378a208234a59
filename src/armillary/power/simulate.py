"""`power simulate`: a row under a policy, request by request.

In:  a row, servers, a policy, days, a mix of work; requests from the row's load, a trace or a history of row power.
Out: `RowResult`, told against the same requests without any cap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from armillary.power.policies.registry import RowPolicy
from armillary.power.row.result import RowResult
from armillary.power.topology import Row


def simulate(
    *,
    row: str | Path | Row,
    servers: int | None = None,
    policy: str | RowPolicy = "polca",
    parameters: Mapping[str, int] | None = None,
    days: float = 42.0,
    mix: str = "inference",
    trace: str | Path | None = None,
    history: str | Path | None = None,
    load_scale: float = 1.0,
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> RowResult:
    """Simulate `row` with `servers` servers under `policy`.

    Args:
        row: name, YAML file, or a row.
        servers: in the row; by default as many as its budget is provisioned for.
        policy: polca, one-threshold-low, one-threshold-all, no-cap, uncapped, pid, a plugin, or FILE.py:name.
        parameters: fields of the policy's state, ppm of the budget and MHz, that replace those of the row.
        days: that are watched; of a trace, at most its length.
        mix: inference, training, or mixed (half of the servers each).
        trace: CSV of requests (TIMESTAMP, ContextTokens, GeneratedTokens) instead of generated ones.
        history: CSV of row power (time_s or timestamp, power_w) that the generated load follows.
        load_scale: on the load, or on the speed of a trace.
        power_factor: on all power of GPUs above idle.
        actuation_s: seconds until a clock lock lands, instead of the row's.
        seed: of requests, noise, meter and training.
        progress: called with the share that is done.

    Raises:
        InputError: unknown names, malformed files, or numbers out of range.
        InfeasibleError: a model does not fit its server, or the idle row is over its budget.
    """
    from armillary.power.row.run import simulate_row  # numba

    return simulate_row(
        row=row,
        servers=servers,
        policy=policy,
        parameters=parameters,
        days=days,
        mix=mix,
        trace=trace,
        history=history,
        load_scale=load_scale,
        power_factor=power_factor,
        actuation_s=actuation_s,
        seed=seed,
        progress=progress,
    )
