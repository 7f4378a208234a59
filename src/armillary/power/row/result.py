"""What `power simulate` returns: how a row fared under a policy, against the same requests without any cap.

In:  built by `measure`. Out: `RowResult`; JSON, summary, run folder (with `readings.parquet`: what the meter showed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from armillary.timeline import Result
from armillary.units import format_quantity

READINGS_FILE = "readings.parquet"


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency of the requests of one priority, arrival to last token, and what the policy did to it."""

    requests: int
    p50_s: float | None
    p99_s: float | None
    p50_impact: float | None  # over the same quantile without any cap, - 1
    p99_impact: float | None
    mean_impact: float | None
    quantiles: tuple[tuple[float, float, float], ...]  # (level, seconds, seconds without any cap)


@dataclass(frozen=True, slots=True)
class ServiceFigures:
    """One service at one priority."""

    service: str
    priority: str
    servers: int
    requests: int
    p50_s: float | None
    p99_s: float | None
    p50_impact: float | None
    p99_impact: float | None
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class CapChange:
    """A command that landed."""

    time_s: float
    what: str  # low, high, brake
    mhz: int | None  # clock from then on; null: none


@dataclass(frozen=True, slots=True)
class History:
    """Power of the row in bins of `bin_s` seconds from the start of the watch."""

    bin_s: float
    mean_w: tuple[float, ...]
    peak_w: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class RowResult(Result):
    """Power, brakes, trips, latencies and caps of a row."""

    kind: ClassVar[str] = "power simulate"

    row: str
    policy: str
    parameters: Mapping[str, int]
    mix: str
    servers: int
    provisioned_servers: int
    budget_w: float
    days: float
    brakes: int  # times that the brake was engaged
    breaker_trips: int  # times that the breaker's heat would have tripped it
    ups_trips: int  # overloads that lasted beyond what the supply carries
    over_budget_s: float
    longest_over_budget_s: float
    peak_utilisation: float  # of the budget, at the sampling interval
    mean_utilisation: float
    p999_utilisation: float
    max_rise_2s: float  # of the budget
    max_rise_40s: float
    latency: Mapping[str, Latency]  # by priority
    throughput_impact: Mapping[str, float | None]  # tokens (training: iterations) within the watch, over uncapped, - 1
    services: tuple[ServiceFigures, ...]
    energy_j: float
    tokens: int
    requests: int
    training_iterations: int
    commands: int
    refused_commands: int
    time_in_state: Mapping[str, Mapping[str, float]]  # low, high, brake: seconds at each clock
    caps_timeline: tuple[CapChange, ...]
    histogram: tuple[int, ...]  # samples at n per mille of the budget
    history: History
    events: int
    readings_w: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)
    meter_s: float = 2.0  # between readings; NaN among them: lost

    def figures(self) -> dict[str, object]:
        """Return all figures but the readings, which have a file of their own."""
        return {name: value for name, value in super().figures().items() if name != "readings_w"}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal."""
        more = self.servers / self.provisioned_servers - 1.0
        rows = [
            ("row", f"{self.row}: {self.servers} servers ({more:+.0%}) under {format_quantity(self.budget_w, 'W')}"),
            ("policy", f"{self.policy}, {self.mix}, {self.days:g} days"),
            ("power", f"peak {self.peak_utilisation:.1%}, mean {self.mean_utilisation:.1%} of the budget"),
            ("largest rise", f"{self.max_rise_2s:.1%} within 2 s, {self.max_rise_40s:.1%} within 40 s"),
            ("brakes", f"{self.brakes}; breaker would trip {self.breaker_trips} times, supply {self.ups_trips} times"),
        ]
        for priority, latency in self.latency.items():
            if latency.p50_impact is not None and latency.p99_impact is not None:
                rows.append(
                    (
                        f"{priority} priority",
                        f"latency p50 {latency.p50_impact:+.2%}, p99 {latency.p99_impact:+.2%} over uncapped; "
                        f"throughput {self.throughput_impact[priority] or 0.0:+.2%}",
                    )
                )
        rows += [
            ("energy", format_quantity(self.energy_j, "J")),
            ("work", f"{self.requests} requests, {self.tokens} tokens, {self.training_iterations} training iterations"),
            ("bound by", self._bound()),
        ]
        return [*rows, *self.trust.rows()]

    def report_html(self) -> str:
        """Return the report page."""
        from armillary.power.figures_row import report

        return report(self)

    def files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return the writers of further files of the run folder."""
        return {READINGS_FILE: self._write_readings}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a run folder, readings included."""
        import polars as pl

        result = super().load(folder)
        shown = pl.read_parquet(folder / READINGS_FILE)["power_w"].to_numpy()
        object.__setattr__(result, "readings_w", shown)
        return result

    def _write_readings(self, path: Path) -> None:
        import polars as pl

        pl.DataFrame({"power_w": self.readings_w}).write_parquet(path)

    def _bound(self) -> str:
        room = 1.0 - self.peak_utilisation
        if self.brakes or self.breaker_trips:
            return "the budget: fewer servers, lower thresholds or faster actuators would avoid the brake"
        return f"nothing: {room:.1%} of the budget was left at the highest sample"
