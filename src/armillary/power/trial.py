"""One number of servers and one seed: a row without caps and under each policy, on the same requests.

In:  a `Plan` (row, days, mix, what varies), servers, policies, a seed.
Out: an `Outcome` a policy: brakes, trips, rises, latency and throughput against the uncapped row, energy, what the
     meter saw, and which limits of the SLO it breaks. The uncapped row is played once for all policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from armillary.power.slo import PROMISED, Slo
from armillary.power.topology import Row

if TYPE_CHECKING:
    from armillary.power.row.result import RowResult

UNCAPPED: Final = "uncapped"
JOULES_PER_KWH: Final = 3.6e6


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played, apart from servers, policies and seed."""

    row: Row
    days: float
    mix: str = "inference"
    power_factor: float = 1.0  # on all power of GPUs above idle
    actuation_s: float | None = None  # until a lock lands; None: as the row says
    slo: Slo = PROMISED
    price_per_kwh: float | None = None
    parameters: Mapping[str, int] = field(default_factory=dict)  # of the policies that have them


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one policy. Shares are of the budget; impacts are None where there are no such requests."""

    policy: str
    servers: int
    seed: int
    mix: str
    brakes: int
    breaker_trips: int
    ups_trips: int
    peak_utilisation: float
    mean_utilisation: float
    max_rise_2s: float
    max_rise_40s: float
    over_s: float  # true time over the budget
    seen_over_s: float  # the same as the meter showed it
    seen_peak_utilisation: float
    high_p50: float | None  # latency over the uncapped row, less 1
    high_p99: float | None
    low_p50: float | None
    low_p99: float | None
    high_throughput: float | None  # over the uncapped row, less 1
    low_throughput: float | None
    training_throughput: float | None
    low_capped: float  # share of the time
    high_capped: float
    braked: float
    tokens_per_s: float
    tokens_per_s_per_kw: float  # of the budget
    servers_per_mw: float  # of the budget
    energy_j: float
    energy_cost: float | None
    energy_j_per_token: float | None
    broken: tuple[str, ...]  # limits of the SLO

    @property
    def safe(self) -> bool:
        """No brake, and the SLO is kept."""
        return self.brakes == 0 and not self.broken


def play_trial(plan: Plan, *, servers: int, policies: Sequence[str], seed: int) -> tuple[Outcome, ...]:
    """Return the outcome of each policy, in their order.

    Raises:
        InputError, InfeasibleError: as `power.simulate`.
    """
    from armillary.power.row.run import policy_for, prepare, result_of, run_case

    case = prepare(
        row=plan.row,
        servers=servers,
        days=plan.days,
        mix=plan.mix,
        power_factor=plan.power_factor,
        actuation_s=plan.actuation_s,
        seed=seed,
    )
    reference = run_case(case, policy_for(case, UNCAPPED))
    outcomes = []
    for name in policies:
        policy = policy_for(case, name)
        own = {key: value for key, value in plan.parameters.items() if key in (policy.policy.state.names or ())}
        policy = policy_for(case, name, own)
        played = reference if policy.name == UNCAPPED else run_case(case, policy)
        outcomes.append(outcome_of(plan, result_of(case, played, reference)))
    return tuple(outcomes)


def outcome_of(plan: Plan, result: RowResult) -> Outcome:
    """Return what of a run is compared."""
    seconds, budget_kw = result.days * 86_400.0, result.budget_w / 1e3
    impact = {
        f"{priority}_{name}": getattr(latency, f"{name}_impact")
        for priority, latency in result.latency.items()
        for name in ("p50", "p99")
    }
    readings = result.readings_w[~np.isnan(result.readings_w)]
    return Outcome(
        policy=result.policy,
        servers=result.servers,
        seed=result.seed,
        mix=result.mix,
        brakes=result.brakes,
        breaker_trips=result.breaker_trips,
        ups_trips=result.ups_trips,
        peak_utilisation=result.peak_utilisation,
        mean_utilisation=result.mean_utilisation,
        max_rise_2s=result.max_rise_2s,
        max_rise_40s=result.max_rise_40s,
        over_s=result.over_budget_s,
        seen_over_s=float(np.count_nonzero(readings > result.budget_w)) * result.meter_s,
        seen_peak_utilisation=float(readings.max(initial=0.0)) / result.budget_w,
        high_throughput=result.throughput_impact["high"],
        low_throughput=result.throughput_impact["low"],
        training_throughput=result.throughput_impact["training"],
        low_capped=_held(result.time_in_state["low"], "uncapped"),
        high_capped=_held(result.time_in_state["high"], "uncapped"),
        braked=_held(result.time_in_state["brake"], "released"),
        tokens_per_s=result.tokens / seconds,
        tokens_per_s_per_kw=result.tokens / seconds / budget_kw,
        servers_per_mw=result.servers / budget_kw * 1e3,
        energy_j=result.energy_j,
        energy_cost=None if plan.price_per_kwh is None else result.energy_j / JOULES_PER_KWH * plan.price_per_kwh,
        energy_j_per_token=result.energy_j / result.tokens if result.tokens else None,
        broken=plan.slo.broken(impact),
        **impact,
    )


def _held(seconds: Mapping[str, float], free: str) -> float:
    """Return the share of time that is not spent in the state `free`."""
    total = sum(seconds.values())
    return 1.0 - seconds.get(free, 0.0) / total if total else 0.0
