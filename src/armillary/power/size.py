"""The largest safe number of servers of a row under a policy.

In:  a row, a policy, an SLO, days, seeds.
Out: `Sizing`: that number with its interval over seeds, the risk of each size.
Each seed is a bisection of its own between the provisioned number and twice that: safe is a size that brakes nothing
and keeps the SLO, and risk is taken to grow with size. What breaks first one server beyond is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from time import perf_counter
from typing import Final

from armillary.errors import InfeasibleError, InputError
from armillary.power.pool import Progress, in_processes
from armillary.power.slo import Slo, parse_slo
from armillary.power.topology import Row, load_row
from armillary.power.trial import Outcome, Plan, play_trial
from armillary.stats import Interval
from armillary.store import content_key, dumps_strict, writing_run
from armillary.timeline import RunInfo

KIND: Final = "power size"
SCHEMA: Final = 1
MOST: Final = 2.0  # times the provisioned number
NORMAL_95: Final = 1.96


@dataclass(frozen=True, slots=True)
class SeedSize:
    """The largest safe number of one seed; below the provisioned one: not even that is safe."""

    seed: int
    servers: int
    first_broken: tuple[str, ...]  # one server beyond: "brakes", limits of the SLO


@dataclass(frozen=True, slots=True)
class RiskPoint:
    """A size and the share of seeds in which it is not safe, with its 95 % interval (Wilson)."""

    servers: int
    unsafe: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizing:
    """The answer."""

    row: str
    policy: str
    provisioned_servers: int
    budget_w: float
    days: float
    mix: str
    slo: Slo
    servers: Interval  # least, median and greatest over the seeds; the least is safe for all of them
    oversubscription: Interval
    servers_per_mw: float  # at the least
    by_seed: tuple[SeedSize, ...]
    risk: tuple[RiskPoint, ...]
    outcomes: tuple[Outcome, ...]  # every run
    seed: int
    inputs: Mapping[str, str]
    run: RunInfo | None = None

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        figures = {name: getattr(self, name) for name in Sizing.__dataclass_fields__}
        frame = {name: figures.pop(name) for name in ("seed", "inputs", "run")}
        return {"schema": SCHEMA, "kind": KIND, **frame, "result": figures}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal."""
        servers, more = self.servers, self.oversubscription
        first = sorted({name for one in self.by_seed for name in one.first_broken})
        return [
            ("row", f"{self.row}, {self.budget_w / 1e3:.0f} kW, {self.mix}, {self.days:g} days, {self.policy}"),
            ("largest safe", f"{servers.low:.0f} servers ({more.low:+.0%}) in every seed"),
            ("over seeds", f"{servers.low:.0f} to {servers.high:.0f}, median {servers.value:g}"),
            ("density", f"{self.servers_per_mw:.0f} servers a MW"),
            ("one more breaks", ", ".join(first) or "nothing up to twice the provisioned number"),
        ]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write `result.json`, every run as CSV, and the page; return the folder.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        import polars as pl

        from armillary.power.figures_compare import size_page

        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
            rows = [asdict(one) | {"broken": ", ".join(one.broken)} for one in self.outcomes]
            run.write_text("outcomes.csv", pl.DataFrame(rows, infer_schema_length=None).write_csv())
            run.write_text("report.html", size_page(self))
        return folder


@dataclass(frozen=True, slots=True)
class _Job:
    plan: Plan
    policy: str
    seed: int


def size(
    *,
    row: str | Path | Row = "dgx-a100-40",
    policy: str = "polca",
    slo: str | Slo | None = None,
    days: float = 42.0,
    seeds: int = 3,
    mix: str = "inference",
    power_factor: float = 1.0,
    actuation_s: float | None = None,
    parameters: Mapping[str, int] | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Sizing:
    """Return the largest safe number of servers.

    Args:
        row: name, YAML file, or a row.
        policy: by name, or FILE.py:name.
        slo: limits such as "high-p99=5%,low-p50=5%"; those not named keep their defaults.
        days: that are watched.
        seeds: how many, counted from `seed` on.
        mix: inference, training or mixed.
        power_factor: on all power of GPUs above idle.
        actuation_s: seconds until a clock lock lands, instead of the row's.
        parameters: fields of the policy's state, such as derived thresholds.
        workers: processes.
        seed: the first one.
        progress: called with the share that is done.

    Raises:
        InputError: no seed, or an unknown name; as `power.simulate`.
        InfeasibleError: in some seed not even the provisioned number is safe; says what breaks.
    """
    started = perf_counter()
    device = load_row(row)
    if not 1 <= seeds <= 1000:
        raise InputError(f"{seeds} seeds", where="seeds", hint="1 to 1000")
    limits = slo if isinstance(slo, Slo) else parse_slo(slo)
    plan = Plan(
        device, days, mix, power_factor=power_factor, actuation_s=actuation_s, slo=limits, parameters=parameters or {}
    )
    jobs = [_Job(plan, policy, seed + at) for at in range(seeds)]
    answers = in_processes(_bisect, jobs, workers=workers, progress=progress)
    by_seed, outcomes = [answer[0] for answer in answers], [one for answer in answers for one in answer[1]]
    least = min(by_seed, key=lambda one: one.servers)
    if least.servers < device.servers:
        raise InfeasibleError(
            f"seed {least.seed}: not even {device.servers} servers are safe under {policy}: "
            f"{', '.join(least.first_broken)}; loosen the SLO, shorten the latency of locks or lower the load"
        )
    found = sorted(one.servers for one in by_seed)
    middle = (found[(len(found) - 1) // 2] + found[len(found) // 2]) / 2
    interval = Interval(found[0], middle, found[-1])
    tried = sorted({one.servers for one in outcomes} | set(found))
    return Sizing(
        row=device.name,
        policy=policy,
        provisioned_servers=device.servers,
        budget_w=device.budget_w,
        days=days,
        mix=mix,
        slo=limits,
        servers=interval,
        oversubscription=Interval(
            *(number / device.servers - 1.0 for number in (interval.low, interval.value, interval.high))
        ),
        servers_per_mw=found[0] / device.budget_w * 1e6,
        by_seed=tuple(by_seed),
        risk=tuple(RiskPoint(count, wilson(sum(one < count for one in found), len(found))) for count in tried),
        outcomes=tuple(outcomes),
        seed=seed,
        inputs={"row": content_key(device.model_dump(mode="json", by_alias=True)), "policy": policy},
        run=RunInfo.now(wall_s=perf_counter() - started),
    )


def wilson(hits: int, trials: int) -> Interval:
    """Return a share with its 95 % interval.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22, 1927.
    """
    share, z2 = hits / trials, NORMAL_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NORMAL_95 / (1 + z2 / trials) * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    return Interval(max(0.0, min(middle - half, share)), share, min(1.0, max(middle + half, share)))


def _bisect(job: _Job) -> tuple[SeedSize, list[Outcome]]:
    """Return the largest safe number of one seed, and every run."""
    provisioned = job.plan.row.servers
    low, high = provisioned - 1, int(MOST * provisioned) + 1
    outcomes: list[Outcome] = []
    broken: tuple[str, ...] = ()
    while high - low > 1:
        middle = (low + high) // 2
        try:
            (outcome,) = play_trial(job.plan, servers=middle, policies=(job.policy,), seed=job.seed)
        except InfeasibleError as refusal:
            high, broken = middle, (str(refusal),)  # idle servers alone exceed the budget
            continue
        outcomes.append(outcome)
        if outcome.safe:
            low = middle
        else:
            high, broken = middle, (*(("brakes",) if outcome.brakes else ()), *outcome.broken)
    return SeedSize(job.seed, low, broken), outcomes
