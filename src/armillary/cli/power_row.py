"""`armillary power simulate`: a row of servers under a policy.

In:  arguments. Out: a short table or strict JSON, a run folder with `--out`; on a terminal, a line of progress.
"""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from armillary.cli.common import Common
from armillary.cli.present import present
from armillary.errors import InputError


def simulate(
    *,
    row: str,
    servers: int | None = None,
    policy: str = "polca",
    parameters: Annotated[list[str] | None, Parameter(name="--parameter", negative=())] = None,
    days: float = 42.0,
    mix: Literal["inference", "training", "mixed"] = "inference",
    trace: str | None = None,
    history: str | None = None,
    load_scale: float = 1.0,
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    common: Common = Common(),
) -> int:
    """Simulate a row of servers under POLICY: power, brakes, trips, and what latency it costs each priority.

    Args:
        row: a row of `armillary catalog rows`, or a YAML file.
        servers: servers in the row; by default as many as its budget is provisioned for.
        policy: polca, one-threshold-low, one-threshold-all, no-cap, uncapped, pid, or FILE.py:name.
        parameters: a parameter of the policy, t1_ppm=850000; repeatable.
        days: that are watched.
        mix: what the servers do: inference, training, or half of them each.
        trace: CSV of requests to replay (TIMESTAMP, ContextTokens, GeneratedTokens).
        history: CSV of row power (time_s or timestamp, power_w) that the load follows.
        load_scale: factor on the load, or on the speed of a trace.
        power_factor: factor on all power of GPUs above idle; 1.05: 5 % hungrier than their profile.
        actuation_s: seconds until a clock lock lands, instead of those of the row.
    """
    from armillary import power

    shown = sys.stderr.isatty() and not common.quiet
    result = power.simulate(
        row=row,
        servers=servers,
        policy=policy,
        parameters=parsed(parameters or []),
        days=days,
        mix=mix,
        trace=trace,
        history=history,
        load_scale=load_scale,
        power_factor=power_factor,
        actuation_s=actuation_s,
        seed=common.seed,
        progress=_progress if shown else None,
    )
    if shown:
        sys.stderr.write("\r\033[K")
    return present(result, common)


def parsed(parameters: list[str]) -> dict[str, int]:
    """Return NAME=NUMBER texts as a mapping.

    Raises:
        InputError: a text of another form.
    """
    values: dict[str, int] = {}
    for text in parameters:
        name, equals, number = text.partition("=")
        if not equals or not number.strip().lstrip("-").isdigit():
            raise InputError(f"{text!r} is no parameter", where="--parameter", hint="write for example t1_ppm=850000")
        values[name.strip().replace("-", "_")] = int(number)
    return values


def _progress(share: float) -> None:
    sys.stderr.write(f"\rsimulating ... {share:4.0%}")
    sys.stderr.flush()
