"""What a benchmark is and what it yields.

In:  `Benchmark`: an id, a function that measures, what bounds it, a target. Out: `Figure`, one row of table and JSON.
A target on a ratio is a gate (it cancels the speed of the machine); a target on the value itself is reported.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


class Skipped(Exception):  # noqa: N818  (nothing is wrong: a peer is not installed)
    """A benchmark that cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the `ratio` or on the `value`: at least that much, or at most."""

    of: Literal["ratio", "value"]
    bound: float
    at_most: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` meets the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True, slots=True)
class Measured:
    """What a benchmark's function returns, in the benchmark's unit; `peer_value` None: no peer, or none installed."""

    value: float
    peer_value: float | None = None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One figure to measure.

    Args:
        id: room and name, `engine.fifo_dag`.
        unit: of value and peer value.
        measure: prepares, checks that ours and the peer's results are equal, and times both.
        bounded_by: one line on what limits the figure.
        peer: what the peer is; None if there is none.
        target: what it should reach; None: reported only.
    """

    id: str
    unit: str
    measure: Callable[[], Measured]
    bounded_by: str
    target: Target | None
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A benchmark that ran."""

    benchmark: Benchmark
    measured: Measured

    @property
    def ratio(self) -> float | None:
        """Value over the peer's value."""
        peer_value = self.measured.peer_value
        return None if peer_value is None else self.measured.value / peer_value

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None without one, and where its ratio could not be taken."""
        target = self.benchmark.target
        if target is None:
            return None
        against = self.ratio if target.of == "ratio" else self.measured.value
        return None if against is None else target.holds(against)

    @property
    def fails(self) -> bool:
        """Whether a gate is missed: targets on ratios are gates."""
        target = self.benchmark.target
        return target is not None and target.of == "ratio" and self.ok is False

    def row(self) -> dict[str, Any]:
        """Return the figure as a JSON object."""
        target = self.benchmark.target
        return {
            "id": self.benchmark.id,
            "value": self.measured.value,
            "unit": self.benchmark.unit,
            "peer": self.benchmark.peer,
            "peer_value": self.measured.peer_value,
            "ratio": self.ratio,
            "floor": target and {"of": target.of, "at_most" if target.at_most else "at_least": target.bound},
            "ok": self.ok,
        }
