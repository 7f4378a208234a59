"""Policies against each other over numbers of servers and seeds, with what changes when assumptions are off.

In:  a row, policies, sizes, seeds, days, a mix.
Out: `Comparison`: one outcome a run, one line a policy and size with intervals over seeds, the largest safe size of
     each policy, the headroom of inference and training, ablations.
All policies play the same requests of a seed; the uncapped row is played once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from armillary.errors import InputError
from armillary.power.headroom import Headroom, headroom
from armillary.power.pool import Progress, in_processes
from armillary.power.slo import Slo, parse_slo
from armillary.power.topology import Row, load_row
from armillary.power.trial import Outcome, Plan, play_trial
from armillary.stats import Interval
from armillary.store import content_key, dumps_strict, writing_run
from armillary.timeline import RunInfo

KIND: Final = "power compare"
SCHEMA: Final = 1
POLICIES: Final = ("polca", "one-threshold-low", "one-threshold-all", "no-cap")
GROWTH: Final = (1.0, 1.1, 1.2, 1.3, 1.35, 1.4, 1.5)  # sizes over what the budget is provisioned for
MOST_SEEDS: Final = 1000
HEADROOM_DAYS: Final = 7.0
ABLATION_GROWTH: Final = 1.3
LATENCIES_S: Final = (1.0, 10.0, 40.0, 80.0, 120.0)
HUNGRIER: Final = 1.05
LOSSES_PER_DAY, LOSS_S = 24.0, 60.0
SENSOR_GAIN: Final = 0.05  # of a board's meter, arXiv 2312.02741


@dataclass(frozen=True, slots=True)
class Line:
    """One policy at one size: intervals are least, mean and greatest over the seeds."""

    policy: str
    servers: int
    oversubscription: float  # 0.3 = 30 % more servers than provisioned
    seeds: int
    safe_seeds: int  # without brake, within the SLO
    brakes: Interval
    breaker_trips: Interval
    ups_trips: Interval
    peak_utilisation: Interval
    max_rise_2s: Interval
    max_rise_40s: Interval
    high_p50: Interval | None
    high_p99: Interval | None
    low_p50: Interval | None
    low_p99: Interval | None
    high_throughput: Interval | None
    low_throughput: Interval | None
    low_capped: Interval
    high_capped: Interval
    braked: Interval
    tokens_per_s_per_kw: Interval
    servers_per_mw: float
    energy_j: Interval
    energy_cost: Interval | None


@dataclass(frozen=True, slots=True)
class LargestSafe:
    """The largest of the compared sizes up to which every one is safe; None where not even the least is."""

    policy: str
    servers: int | None  # for every seed
    servers_by_seed: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Ablation:
    """One assumption changed."""

    what: str
    outcome: Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """All of it."""

    row: str
    provisioned_servers: int
    budget_w: float
    days: float
    mix: str
    slo: Slo
    price_per_kwh: float | None
    lines: tuple[Line, ...]
    largest_safe: tuple[LargestSafe, ...]
    headroom: tuple[Headroom, ...]
    ablations: tuple[Ablation, ...]
    outcomes: tuple[Outcome, ...]
    seed: int
    inputs: Mapping[str, str]
    run: RunInfo | None = None

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        figures = {key: value for key, value in _fields(self).items() if key not in ("seed", "inputs", "run")}
        frame = {"schema": SCHEMA, "kind": KIND, "seed": self.seed, "inputs": self.inputs}
        return {**frame, "result": figures, "run": self.run}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal."""
        rows = [("row", f"{self.row}, {self.budget_w / 1e3:.0f} kW, {self.mix}, {self.days:g} days")]
        for found in self.largest_safe:
            own = [line for line in self.lines if line.policy == found.policy]
            most = "not even the least size is safe"
            if found.servers is not None:
                line = next(line for line in own if line.servers == found.servers)
                most = (
                    f"{found.servers} servers ({line.oversubscription:+.0%}), {line.servers_per_mw:.0f} a MW, "
                    f"{line.tokens_per_s_per_kw.value:.3g} tokens/s a kW"
                )
            brakes = ", ".join(f"{line.brakes.value:.3g}" for line in own)
            rows.append((found.policy, f"largest safe: {most}; brakes by size: {brakes}"))
        rows += [
            (
                f"headroom, {one.mix}",
                f"{one.total:.1%} of the budget: rating {one.rated:.1%}, phases {one.phases:.1%}, "
                f"multiplexing {one.multiplexing:.1%}, idle {one.idle:.1%}",
            )
            for one in self.headroom
        ]
        rows += [
            (one.what, f"{one.outcome.brakes} brakes, true peak {one.outcome.peak_utilisation:.1%}, "
             f"seen {one.outcome.seen_peak_utilisation:.1%}{_broken(one.outcome)}")
            for one in self.ablations
        ]  # fmt: skip
        return rows

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write `result.json`, tables as CSV and Parquet, and the page; return the folder.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        import polars as pl

        from armillary.power.figures_compare import page

        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
            rows = [asdict(one) | {"broken": ", ".join(one.broken)} for one in self.outcomes]
            frame = pl.DataFrame(rows, infer_schema_length=None)
            run.write_text("outcomes.csv", frame.write_csv())
            run.write_with("outcomes.parquet", frame.write_parquet)
            run.write_text("report.html", page(self))
        return folder


@dataclass(frozen=True, slots=True)
class _Job:
    """What one process plays."""

    plan: Plan
    servers: int
    seed: int
    policies: tuple[str, ...]


def compare(
    *,
    row: str | Path | Row = "dgx-a100-40",
    policies: Sequence[str] | None = None,
    servers: Sequence[int] | None = None,
    days: float = 42.0,
    seeds: int = 3,
    mix: str = "inference",
    slo: str | Slo | None = None,
    energy_price: float | None = None,
    power_factor: float = 1.0,
    ablations: bool = False,
    workers: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Comparison:
    """Compare `policies` on `row`.

    Args:
        row: name, YAML file, or a row.
        policies: by name, or FILE.py:name; by default POLCA, its two baselines with one threshold, and no cap.
        servers: sizes; by default 1 to 1.5 times what the budget is provisioned for.
        days: that are watched.
        seeds: how many, counted from `seed` on.
        mix: inference, training or mixed.
        slo: limits such as "high-p99=5%,low-p50=5%"; those not named keep their defaults.
        energy_price: of a kWh, in any currency.
        power_factor: on all power of GPUs above idle.
        ablations: change one assumption after the other at +30 % servers, under the first policy.
        workers: processes.
        seed: the first one.
        progress: called with the share that is done.

    Raises:
        InputError: no policy, size or seed, or an unknown name; as `power.simulate`.
        InfeasibleError: as `power.simulate`.
    """
    started = perf_counter()
    device = load_row(row)
    policies = POLICIES if policies is None else tuple(policies)
    sizes = sorted({round(growth * device.servers) for growth in GROWTH} if servers is None else set(servers))
    if not policies or not sizes or not 1 <= seeds <= MOST_SEEDS:
        raise InputError("nothing to compare", where="policies, servers, seeds", hint="at least one of each")
    if energy_price is not None and not energy_price >= 0:
        raise InputError(f"a price of {energy_price}", where="energy_price", hint="at least 0")
    limits = slo if isinstance(slo, Slo) else parse_slo(slo)
    plan = Plan(device, days, mix, power_factor=power_factor, slo=limits, price_per_kwh=energy_price)
    # The largest rows take longest: begin with them, so that the workers end together.
    jobs = [_Job(plan, size, seed + at, tuple(policies)) for size in reversed(sizes) for at in range(seeds)]
    changes = list(_ablations(plan)) if ablations else []
    jobs += [_Job(changed, round(ABLATION_GROWTH * device.servers), seed, (policies[0],)) for _, changed in changes]
    answers = in_processes(_play, jobs, workers=workers, progress=progress)
    main, extra = answers[: len(jobs) - len(changes)], answers[len(jobs) - len(changes) :]
    outcomes = sorted(
        (outcome for answer in main for outcome in answer),
        key=lambda one: (policies.index(one.policy) if one.policy in policies else 0, one.servers, one.seed),
    )
    names = tuple(dict.fromkeys(one.policy for one in outcomes))
    return Comparison(
        row=device.name,
        provisioned_servers=device.servers,
        budget_w=device.budget_w,
        days=days,
        mix=mix,
        slo=limits,
        price_per_kwh=energy_price,
        lines=tuple(
            _line([one for one in outcomes if (one.policy, one.servers) == (name, size)], device.servers)
            for name in names
            for size in sizes
        ),
        largest_safe=tuple(_largest_safe([one for one in outcomes if one.policy == name]) for name in names),
        headroom=tuple(
            headroom(device, servers=device.servers, mix=kind, days=min(days, HEADROOM_DAYS), seed=seed)
            for kind in ("inference", "training")
        ),
        ablations=tuple(Ablation(what, found[0]) for (what, _), found in zip(changes, extra, strict=True)),
        outcomes=tuple(outcomes),
        seed=seed,
        inputs={"row": content_key(device.model_dump(mode="json", by_alias=True)), "policies": ", ".join(policies)},
        run=RunInfo.now(wall_s=perf_counter() - started),
    )


def with_losses(row: Row, per_day: float, seconds: float) -> Row:
    """Return the row with telemetry that is lost `per_day` times a day, for `seconds` each."""
    telemetry = row.telemetry
    lost = {"losses_per_day": per_day, "loss": type(telemetry.loss)(seconds)}
    return row.model_copy(update={"telemetry": telemetry.model_copy(update=lost)})


def with_gain_error(row: Row, share: float) -> Row:
    """Return the row with a meter whose gain is off by up to `share`."""
    telemetry = row.telemetry
    wrong = telemetry.model_copy(update={"gain_error": type(telemetry.gain_error)(share)})
    return row.model_copy(update={"telemetry": wrong})


def _ablations(plan: Plan) -> Iterator[tuple[str, Plan]]:
    """Yield what is changed, and the plan with it."""
    yield "as planned", plan
    yield f"workloads {HUNGRIER - 1:.0%} hungrier", replace(plan, power_factor=plan.power_factor * HUNGRIER)
    for latency in LATENCIES_S:
        yield f"locks land after {latency:g} s", replace(plan, actuation_s=latency)
    lost = with_losses(plan.row, LOSSES_PER_DAY, LOSS_S)
    yield f"telemetry lost {LOSSES_PER_DAY:g} times a day for {LOSS_S:g} s", replace(plan, row=lost)
    yield f"meter off by up to {SENSOR_GAIN:.0%}", replace(plan, row=with_gain_error(plan.row, SENSOR_GAIN))


def _play(job: _Job) -> tuple[Outcome, ...]:
    return play_trial(job.plan, servers=job.servers, policies=job.policies, seed=job.seed)


def _line(outcomes: Sequence[Outcome], provisioned: int) -> Line:
    first = outcomes[0]
    spread = {name: _interval([getattr(one, name) for one in outcomes]) for name in _SPREAD}
    return Line(
        policy=first.policy,
        servers=first.servers,
        oversubscription=first.servers / provisioned - 1.0,
        seeds=len(outcomes),
        safe_seeds=sum(one.safe for one in outcomes),
        servers_per_mw=first.servers_per_mw,
        **spread,  # type: ignore[arg-type]
    )


_SPREAD: Final = tuple(
    name
    for name in Line.__dataclass_fields__
    if name not in ("policy", "servers", "oversubscription", "seeds", "safe_seeds", "servers_per_mw")
)


def _interval(values: Sequence[float | None]) -> Interval | None:
    """Return least, mean and greatest; None where there is no value."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    mean = sum(known) / len(known)
    return Interval(min(*known, mean), mean, max(*known, mean))


def _largest_safe(outcomes: Sequence[Outcome]) -> LargestSafe:
    by_seed = []
    for seed in sorted({one.seed for one in outcomes}):
        largest = None
        for one in sorted((one for one in outcomes if one.seed == seed), key=lambda one: one.servers):
            if not one.safe:
                break
            largest = one.servers
        by_seed.append(largest)
    every = None if None in by_seed else min(size for size in by_seed if size is not None)
    return LargestSafe(outcomes[0].policy, every, tuple(by_seed))


def _broken(outcome: Outcome) -> str:
    return f"; breaks {', '.join(outcome.broken)}" if outcome.broken else ""


def _fields(comparison: Comparison) -> dict[str, Any]:
    return {name: getattr(comparison, name) for name in Comparison.__dataclass_fields__}
