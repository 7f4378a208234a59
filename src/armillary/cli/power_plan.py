"""The planning verbs of `armillary power`: characterize, derive, size, compare.

In:  arguments. Out: a short table or strict JSON, and a run folder with `--out`; progress on a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from armillary.cli.common import Common, Flag
from armillary.cli.power_row import parsed
from armillary.cli.present import present

if TYPE_CHECKING:
    from armillary.cli.common import Verbosity

_Many = Annotated[list[str], Parameter(consume_multiple=True, negative=())]
_Numbers = Annotated[list[int] | None, Parameter(consume_multiple=True, negative=())]


def characterize(*, gpu: str, models: _Many, common: Common = Common()) -> int:
    """Report power, latency and energy of MODELS on GPU over everything that can be set.

    Args:
        gpu: a GPU of `armillary catalog gpus`, or a YAML file.
        models: language models of `armillary catalog language-models`.
    """
    from armillary import power

    return present(power.characterize(gpu=gpu, models=models, seed=common.seed), common)


def derive(
    *,
    history: Path,
    row: str = "dgx-a100-40",
    gpu: str | None = None,
    servers: int | None = None,
    slo: str | None = None,
    actuation_s: float | None = None,
    margin: float = 0.0,
    hysteresis: float | None = None,
    threshold_map: Flag = False,
    common: Common = Common(),
) -> int:
    """Derive thresholds, clocks and the largest safe number of servers from a history of row power.

    Args:
        history: CSV of row power (time_s or timestamp, power_w), or a run folder of `power simulate`.
        row: a row that comes with Armillary, or a YAML file.
        gpu: another GPU to derive for.
        servers: that the history was drawn by; by default those of the run folder, or of the row.
        slo: limits of added latency, such as high-p99=5%,low-p50=5%.
        actuation_s: seconds until a clock lock lands, instead of the row's.
        margin: that T2 keeps below what the rises allow, share of the budget.
        hysteresis: below each threshold at which it lets go; by default the row's.
        threshold_map: also judge every pair of T1 and T2 from 60 to 95 %.
    """
    from armillary import power

    result = power.derive(
        history=history,
        row=row,
        gpu=gpu,
        servers=servers,
        slo=slo,
        actuation_s=actuation_s,
        margin=margin,
        hysteresis=hysteresis,
        threshold_map=threshold_map,
        seed=common.seed,
    )
    return present(result, common)


def size(
    *,
    row: str = "dgx-a100-40",
    policy: str = "polca",
    slo: str | None = None,
    days: float = 42.0,
    seeds: int = 3,
    mix: str = "inference",
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    parameters: Annotated[list[str] | None, Parameter(name="--parameter", negative=())] = None,
    workers: int | None = None,
    common: Common = Common(),
) -> int:
    """Find the largest number of servers that never brakes and keeps the SLO.

    Args:
        row: a row that comes with Armillary, or a YAML file.
        policy: polca, one-threshold-low, one-threshold-all, no-cap, pid, or FILE.py:name.
        slo: limits of added latency, such as high-p99=5%,low-p50=5%.
        days: that are watched.
        seeds: how many, from --seed on.
        mix: inference, training or mixed.
        power_factor: on all power of GPUs above idle (1.05: 5 % hungrier than their profile).
        actuation_s: seconds until a clock lock lands, instead of the row's.
        parameters: a parameter of the policy, t1_ppm=850000; repeatable.
        workers: processes; by default one a core.
    """
    from armillary import power

    result = power.size(
        row=row,
        policy=policy,
        slo=slo,
        days=days,
        seeds=seeds,
        mix=mix,
        power_factor=power_factor,
        actuation_s=actuation_s,
        parameters=parsed(parameters or []),
        workers=workers,
        seed=common.seed,
        progress=progress_of(common),
    )
    return present(result, common)


def compare(
    *,
    row: str = "dgx-a100-40",
    policies: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    servers: _Numbers = None,
    days: float = 42.0,
    seeds: int = 3,
    mix: str = "inference",
    slo: str | None = None,
    energy_price: float | None = None,
    power_factor: float = 1.0,
    ablations: Flag = False,
    workers: int | None = None,
    common: Common = Common(),
) -> int:
    """Compare policies over numbers of servers and seeds.

    Args:
        row: a row that comes with Armillary, or a YAML file.
        policies: by name, or FILE.py:name; by default POLCA, its two baselines with one threshold, and no cap.
        servers: sizes; by default 1 to 1.5 times what the budget is provisioned for.
        days: that are watched.
        seeds: how many, from --seed on.
        mix: inference, training or mixed.
        slo: limits of added latency, such as high-p99=5%,low-p50=5%.
        energy_price: of a kWh, in any currency.
        power_factor: on all power of GPUs above idle (1.05: 5 % hungrier than their profile).
        ablations: change one assumption after the other at 30 % more servers, under the first policy.
        workers: processes; by default one a core.
    """
    from armillary import power

    result = power.compare(
        row=row,
        policies=policies,
        servers=servers,
        days=days,
        seeds=seeds,
        mix=mix,
        slo=slo,
        energy_price=energy_price,
        power_factor=power_factor,
        ablations=ablations,
        workers=workers,
        seed=common.seed,
        progress=progress_of(common),
    )
    return present(result, common)


def progress_of(common: Verbosity) -> Callable[[float], None] | None:
    """Return what shows the share that is done on standard error; None where nobody watches."""
    if common.quiet or not sys.stderr.isatty():
        return None

    def show(share: float) -> None:
        sys.stderr.write(f"\r{share:4.0%}" if share < 1.0 else "\r    \r")
        sys.stderr.flush()

    return show
