"""What a derivation returns: thresholds, rises, what was judged, and the answer.

In:  built by `derive`. Out: `Derivation` with its JSON, its summary and its run folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from armillary.power.slo import Slo
from armillary.stats import Interval
from armillary.store import dumps_strict, writing_run

KIND = "power derive"
SCHEMA = 1
PPM = 1_000_000


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
    """The largest safe number of servers at a pair of thresholds."""

    t1: float
    t2: float
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
