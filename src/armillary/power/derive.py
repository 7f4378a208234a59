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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError, InputError
from armillary.power.history import PowerHistory, daily_largest, largest_interval, resampled_days
from armillary.power.response import Latencies, Response
from armillary.power.slo import PROMISED, Slo
from armillary.stats import Interval
from armillary.store import dumps_strict, writing_run

if TYPE_CHECKING:
    from armillary.power.replay import ReplayDays

FloatArray = npt.NDArray[np.float64]

KIND = "power derive"
SCHEMA = 1
PPM = 1_000_000
RISES_S = (2.0, 5.0, 40.0)
GAPS = (0.03, 0.06, 0.09, 0.12, 0.15)  # of T1 below T2
LOSSES_LOW1 = (0.01, 0.03, 0.05)  # of latency that the first lock of low priority may cost
LOSSES_LOW2 = (0.05, 0.075, 0.10, 0.15)
LOSSES_HIGH2 = (0.01, 0.025, 0.05)
MOST_SERVERS = 2.0  # times those of the history
MARGINS = (0.0, 0.01, 0.02, 0.03, 0.05)  # of the map
QUANTILES = {"p50": 0.5, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What POLCA is set to: shares of the budget, MHz."""

    t1: float
    t2: float
    hysteresis: float
    low1_mhz: int
    low2_mhz: int
    high2_mhz: int

    def mind(self) -> dict[str, int]:
        """Return the parameters of the policy `polca`."""
        shares = {"t1_ppm": self.t1, "t2_ppm": self.t2, "hysteresis_ppm": self.hysteresis}
        whole = {name: round(share * PPM) for name, share in shares.items()}
        clocks = {"low1_mhz": self.low1_mhz, "low2_mhz": self.low2_mhz, "high2_mhz": self.high2_mhz}
        return whole | clocks | {"release_ppm": whole["t2_ppm"] - whole["hysteresis_ppm"]}


@dataclass(frozen=True, slots=True)
class Rise:
    """The largest rise of row power within a time, share of the budget."""

    within_s: float
    largest: Interval


@dataclass(frozen=True, slots=True)
class Candidate:
    """Thresholds that were judged, and the most servers that brake nothing and keep the SLO under them."""

    thresholds: Thresholds
    servers: int
    low_mean_impact: float  # at that number, weighted by load
    high_mean_impact: float

    @property
    def merit(self) -> tuple[int, float]:
        """More servers first, then less impact."""
        return self.servers, -self.low_mean_impact - self.high_mean_impact


@dataclass(frozen=True, slots=True)
class MapCell:
    """The largest safe number of servers where T2 keeps a margin and T1 a gap below it."""

    margin: float
    gap: float
    servers: int


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a history says on thresholds and servers."""

    gpu: str
    history_servers: int
    history_days: int
    interval_s: float
    peak_utilisation: float
    latency_s: float
    margin: float
    rises: tuple[Rise, ...]
    t2: Interval  # of the history's own servers
    thresholds: Thresholds  # to set at `servers`
    servers: Interval  # largest safe number
    impact: Mapping[str, float]  # high_p50, high_p99, low_p50, low_p99 at `servers.value`
    slo: Slo
    candidates: tuple[Candidate, ...]
    threshold_map: tuple[MapCell, ...]  # empty unless it was asked for
    seed: int
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        figures = asdict(self)
        frame = {name: figures.pop(name) for name in ("seed", "inputs")}
        return {"schema": SCHEMA, "kind": KIND, **frame, "result": figures}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal."""
        set_to, servers = self.thresholds, self.servers
        return [
            (
                "history",
                f"{self.history_days} days of {self.history_servers} servers, peak {self.peak_utilisation:.1%}",
            ),
            *(
                (
                    f"rise within {one.within_s:g} s",
                    f"{one.largest.value:.1%} ({one.largest.low:.1%} .. {one.largest.high:.1%})",
                )
                for one in self.rises
            ),
            ("T2", f"{self.t2.value:.1%} ({self.t2.low:.1%} .. {self.t2.high:.1%}) for {self.history_servers} servers"),
            (
                "largest safe",
                f"{servers.value:.0f} servers ({servers.low:.0f} .. {servers.high:.0f} over resampled days)",
            ),
            ("set there", f"T1 {set_to.t1:.1%}, T2 {set_to.t2:.1%}, hysteresis {set_to.hysteresis:.1%}"),
            (
                "clocks",
                f"low {set_to.low1_mhz} MHz over T1, {set_to.low2_mhz} over T2; high {set_to.high2_mhz} ({self.gpu})",
            ),
            ("impact", ", ".join(f"{name.replace('_', ' ')} {value:+.1%}" for name, value in self.impact.items())),
            ("bound by", f"the largest rise within {self.latency_s:g} s; faster actuators would raise T2"),
            ("trust", "an open-loop replay of this history; confirm with armillary power size"),
        ]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write `result.json`, the candidates as CSV, and the page; return the folder.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        import polars as pl

        from armillary.power.figures_derive import page

        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
            rows = [asdict(one.thresholds) | {"servers": one.servers} for one in self.candidates]
            run.write_text("candidates.csv", pl.DataFrame(rows).write_csv())
            run.write_text("report.html", page(self))
        return folder


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
        threshold_map: also judge every pair of a margin of T2 and a gap of T1, at the clocks that were found.
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
    days = judge.play(relative, best.servers)
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

    def play(self, relative: Thresholds, servers: int) -> ReplayDays:
        """Replay the history at `servers`."""
        from armillary.power.policies.polca import DEFAULTS, polca
        from armillary.power.replay import replay

        mind = DEFAULTS | self.at(relative, servers).mind()
        return replay(self.history, servers, policy=polca, mind=mind, response=self.response, latencies=self.latencies)

    def safe(self, relative: Thresholds, servers: int) -> bool:
        """Return whether nothing brakes and the SLO is kept."""
        at = self.at(relative, servers)
        if at.t1 - at.hysteresis <= 0:
            return False
        days = self.play(relative, servers)
        return not days.brakes.sum() and not self.slo.broken(impacts(days.held.sum(axis=0), self.response))

    def most(self, relative: Thresholds) -> int:
        """Return the largest number up to which every number is safe; below the history's, if even that is not.

        One spike may hit a lock at 54 servers and miss it at 55, so that no bisection would do.
        """
        most = self.history.servers - 1
        while most < self.history.servers * MOST_SERVERS and self.safe(relative, most + 1):
            most += 1
        return most

    def candidate(self, relative: Thresholds) -> Candidate:
        """Judge one candidate."""
        servers = self.most(relative)
        servers_played = max(servers, self.history.servers)
        held = self.play(relative, servers_played).held.sum(axis=0)
        return Candidate(self.at(relative, servers_played), servers, *mean_impacts(held, self.response))


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
    """Return a cell for each pair of margin and gap."""
    return [
        MapCell(margin, gap, replace(judge, margin=margin).most(replace(relative, t1=relative.t2 - gap)))
        for margin in MARGINS
        for gap in GAPS
    ]


def _servers_interval(judge: _Judge, relative: Thresholds, found: int, resamples_of: npt.NDArray[np.int64]) -> Interval:
    """Return the largest safe number with its 95 % interval over resampled days, thresholds as they are."""
    slo, response = judge.slo, judge.response
    largest = np.full(len(resamples_of), judge.history.servers - 1)
    going = np.ones(len(resamples_of), bool)
    for servers in range(judge.history.servers, int(judge.history.servers * MOST_SERVERS) + 1):
        days = judge.play(relative, servers)
        brakes = days.brakes[resamples_of].sum(axis=1)
        for draw in np.flatnonzero(going):
            held = days.held[resamples_of[draw]].sum(axis=0)
            going[draw] = brakes[draw] == 0 and not slo.broken(impacts(held, response))
        largest[going] = servers
        if not going.any():
            break
    low, high = np.quantile(largest, [0.025, 0.975])
    return Interval(min(float(low), found), float(found), max(float(high), found))
