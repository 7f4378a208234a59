"""Thresholds, clocks and the largest safe number of servers, from a history of row power.

In:  readings, how long commands take, what clocks do (`Response`, of any GPU), the SLO.
Out: `Derivation`: T2 with its interval, T1 and clocks that let most servers in, that number with its interval, and
     every candidate that was judged.
Model: T2 = 1 - largest rise within the latency of a lock - margin (POLCA, arXiv 2308.12908); the rise of more servers
       under the same budget grows with their number (all loads rise together: the safe side). T1 and the clocks are
       swept; a candidate is judged by replaying the history, scaled to more servers, under POLCA.
Intervals come from resampling whole days (`history.resampled_days`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError, InputError
from armillary.power.derive_result import Candidate, Derivation, MapCell, Rise, Thresholds
from armillary.power.history import PowerHistory, daily_largest, largest_interval, resampled_days
from armillary.power.response import Latencies, Response
from armillary.power.slo import PROMISED, Slo
from armillary.stats import Interval

if TYPE_CHECKING:
    from armillary.power.replay import ReplayDays

FloatArray = npt.NDArray[np.float64]

RISES_S = (2.0, 5.0, 40.0)
GAPS = (0.03, 0.06, 0.09, 0.12, 0.15)  # of T1 below T2
LOSSES_LOW1 = (0.01, 0.03, 0.05)  # of latency that the first lock of low priority may cost
LOSSES_LOW2 = (0.05, 0.075, 0.10, 0.15)
LOSSES_HIGH2 = (0.01, 0.025, 0.05)
MOST_SERVERS = 2.0  # times those of the history
LEVELS = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)  # of T1 and T2 in the map
QUANTILES = {"p50": 0.5, "p99": 0.99}


def derive_thresholds(
    history: PowerHistory,
    *,
    response: Response,
    latencies: Latencies,
    slo: Slo = PROMISED,
    margin: float = 0.0,
    hysteresis: float = 0.05,
    threshold_map: bool = False,
    resamples: int = 500,
    seed: int = 0,
    inputs: Mapping[str, str] | None = None,
) -> Derivation:
    """Return thresholds, clocks and servers for a row with this history.

    Args:
        history: readings without caps, of at least one day for an interval.
        response: what clocks do; of another GPU, to derive anew for it.
        latencies: of meter and actuators.
        slo: what customers are promised.
        margin: that T2 keeps below what the rises allow, share of the budget.
        hysteresis: below each threshold at which it lets go.
        threshold_map: also judge every pair of T1 and T2 from 60 to 95 %, at the clocks that were found.
        resamples: of days.
        seed: of the resampling.
        inputs: recorded with the result.

    Raises:
        InputError: a margin or hysteresis outside 0 to 1.
        InfeasibleError: power rises so fast that no threshold is safe, or the history itself brakes.
    """
    for name, share in (("margin", margin), ("hysteresis", hysteresis)):
        if not 0.0 <= share < 1.0:
            raise InputError(f"a share of {share}", where=name, hint="0 to 1")
    latency_s = max(latencies.low_s, latencies.high_s)
    daily = daily_largest(history, latency_s)
    rise = largest_interval(daily, resamples=resamples, seed=seed)
    t2 = Interval(*(1.0 - margin - share for share in (rise.high, rise.value, rise.low)))
    judge = _Judge(history, response, latencies, slo, rise.value, margin)
    first = judge.start(hysteresis)
    judged = _sweep(judge, first)
    relative = max(judged, key=lambda one: judged[one].merit)
    best = judged[relative]
    if best.servers < history.servers:
        raise InfeasibleError(
            f"not even the {history.servers} servers of the history stay under their budget: no thresholds are safe; "
            "raise the budget, loosen the SLO or shorten the latency of locks"
        )
    days = judge.play(best.thresholds, best.servers)
    return Derivation(
        gpu=response.gpu.name,
        history_servers=history.servers,
        history_days=history.days,
        interval_s=history.interval_s,
        peak_utilisation=float(np.nanmax(history.utilisation)),
        latency_s=latency_s,
        margin=margin,
        rises=tuple(
            Rise(within, largest_interval(daily_largest(history, within), resamples=resamples, seed=seed))
            for within in sorted({*RISES_S, latency_s})
            if within >= history.interval_s
        ),
        t2=t2,
        thresholds=best.thresholds,
        servers=_servers_interval(judge, relative, best.servers, resampled_days(history.days, resamples, seed)),
        impact=impacts(days.held.sum(axis=0), response),
        slo=slo,
        candidates=tuple(judged.values()),
        threshold_map=tuple(_map(judge, relative)) if threshold_map else (),
        seed=seed,
        inputs=inputs or {},
    )


def impacts(held: FloatArray, response: Response) -> dict[str, float]:
    """Return quantiles of the slow-down by priority, weighted by the load that ran at each clock.

    Args:
        held: load at each clock, shape (2, MHz), low priority first.
        response: what clocks cost.
    """
    found = {}
    for index, priority in enumerate(("low", "high")):
        clocks = np.flatnonzero(held[index])[::-1]
        lost, weight = response.loss(clocks, low=index == 0), np.cumsum(held[index][clocks])
        for name, quantile in QUANTILES.items():
            at = np.searchsorted(weight, quantile * weight[-1]) if len(clocks) else 0
            found[f"{priority}_{name}"] = float(lost[at]) if len(clocks) else 0.0
    return found


def mean_impacts(held: FloatArray, response: Response) -> tuple[float, float]:
    """Return the mean slow-down of low and of high priority, weighted by load."""
    clocks = np.maximum(1, np.arange(held.shape[1]))
    low, high = (
        float(held[index] @ response.loss(clocks, low=index == 0) / max(held[index].sum(), 1e-300)) for index in (0, 1)
    )
    return low, high


@dataclass(frozen=True, slots=True)
class _Judge:
    """Plays candidates on one history."""

    history: PowerHistory
    response: Response
    latencies: Latencies
    slo: Slo
    rise: float  # of the history's servers
    margin: float

    def t2(self, servers: int) -> float:
        """Return the second threshold for that many servers."""
        return 1.0 - self.rise * servers / self.history.servers - self.margin

    def start(self, hysteresis: float) -> Thresholds:
        """Return thresholds in the middle of the sweep, with T1 as a gap below a T2 of 1."""
        response = self.response
        return Thresholds(
            t1=1.0 - GAPS[2],
            t2=1.0,
            hysteresis=hysteresis,
            low1_mhz=response.lowest_clock(LOSSES_LOW1[1], low=True),
            low2_mhz=response.lowest_clock(LOSSES_LOW2[1], low=True),
            high2_mhz=response.lowest_clock(LOSSES_HIGH2[1], low=False),
        )

    def at(self, relative: Thresholds, servers: int) -> Thresholds:
        """Return thresholds whose T1 is a gap below T2, for that many servers."""
        t2 = round(self.t2(servers), 4)
        return replace(relative, t1=round(t2 - (relative.t2 - relative.t1), 4), t2=t2)

    def play(self, set_to: Thresholds, servers: int) -> ReplayDays:
        """Replay the history at `servers` under thresholds as they are."""
        from armillary.power.policies.polca import DEFAULTS, polca
        from armillary.power.replay import replay

        mind = DEFAULTS | set_to.mind()
        return replay(self.history, servers, policy=polca, mind=mind, response=self.response, latencies=self.latencies)

    def safe(self, set_to: Thresholds, servers: int) -> bool:
        """Return whether nothing brakes and the SLO is kept."""
        if set_to.t1 - set_to.hysteresis <= 0:
            return False
        days = self.play(set_to, servers)
        return not days.brakes.sum() and not self.slo.broken(impacts(days.held.sum(axis=0), self.response))

    def most(self, thresholds: Callable[[int], Thresholds]) -> int:
        """Return the largest number up to which every number is safe; below the history's, if even that is not.

        `thresholds` gives those to set at a number of servers. One spike may hit a lock at 54 servers and miss it at
        55, so that no bisection would do.
        """
        most = self.history.servers - 1
        while most < self.history.servers * MOST_SERVERS and self.safe(thresholds(most + 1), most + 1):
            most += 1
        return most

    def candidate(self, relative: Thresholds) -> Candidate:
        """Judge one candidate."""
        servers = self.most(lambda number: self.at(relative, number))
        servers_played = max(servers, self.history.servers)
        set_to = self.at(relative, servers_played)
        held = self.play(set_to, servers_played).held.sum(axis=0)
        return Candidate(set_to, servers, *mean_impacts(held, self.response))


def _sweep(judge: _Judge, first: Thresholds) -> dict[Thresholds, Candidate]:
    """Sweep T1, then each clock, keeping the best of what came before; by thresholds relative to a T2 of 1."""
    low2, low1, high2 = (
        [judge.response.lowest_clock(loss, low=low) for loss in losses]
        for losses, low in ((LOSSES_LOW2, True), (LOSSES_LOW1, True), (LOSSES_HIGH2, False))
    )
    sweeps: list[Callable[[Thresholds], list[Thresholds]]] = [
        lambda best: [replace(best, t1=best.t2 - gap) for gap in GAPS],
        lambda best: [replace(best, low2_mhz=clock) for clock in low2],
        lambda best: [replace(best, low1_mhz=clock) for clock in low1],
        lambda best: [replace(best, high2_mhz=clock) for clock in high2],
    ]
    judged: dict[Thresholds, Candidate] = {}
    best = first
    for sweep in sweeps:
        for tried in sweep(best):
            if tried not in judged and tried.low2_mhz <= tried.low1_mhz:
                judged[tried] = judge.candidate(tried)
        best = max(judged, key=lambda one: judged[one].merit)
    return judged


def _map(judge: _Judge, relative: Thresholds) -> list[MapCell]:
    """Return a cell for each pair of thresholds, the same for every number of servers."""
    pairs = [replace(relative, t1=t1, t2=t2) for t2 in LEVELS for t1 in LEVELS if t1 < t2]
    return [MapCell(pair.t1, pair.t2, judge.most(lambda _, pair=pair: pair)) for pair in pairs]  # type: ignore[misc]


def _servers_interval(judge: _Judge, relative: Thresholds, found: int, resamples_of: npt.NDArray[np.int64]) -> Interval:
    """Return the largest safe number with its 95 % interval over resampled days, thresholds as they are."""
    slo, response, days = judge.slo, judge.response, judge.history.days
    # Few days give few different draws: how often each day is in each, and how often that draw came up.
    counts = np.stack([np.bincount(draw, minlength=days) for draw in resamples_of])
    counts, times = np.unique(counts, axis=0, return_counts=True)
    largest = np.full(len(counts), judge.history.servers - 1)
    going = np.ones(len(counts), bool)
    for servers in range(judge.history.servers, int(judge.history.servers * MOST_SERVERS) + 1):
        played = judge.play(judge.at(relative, servers), servers)
        brakes = counts @ played.brakes
        for draw in np.flatnonzero(going):
            held = np.tensordot(counts[draw], played.held, axes=1)
            going[draw] = brakes[draw] == 0 and not slo.broken(impacts(held, response))
        largest[going] = servers
        if not going.any():
            break
    largest = np.repeat(largest, times)
    low, high = np.quantile(largest, [0.025, 0.975])
    return Interval(min(float(low), found), float(found), max(float(high), found))
