"""What a row is: the pydantic schema of `rows/*.yaml` and of the user's own row files, and how one is loaded.

In:  a name (case, `-` and `_` do not count) or the path of a YAML file.
Out: `Row`, frozen, in base units, every number with its source: servers, services and their priorities, budget,
     breaker, telemetry, actuators, thresholds, load over the week, training jobs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from armillary.hardware.parts import Count, Part, Text
from armillary.hardware.quantity import FRACTION, Dimension, Hertz, Number, Quantity, Seconds, Watts
from armillary.store import Catalogue, says_kind

Fraction = Annotated[Quantity, Dimension(FRACTION, zero=True)]
Whole = Annotated[int, Field(strict=True, ge=0, le=1000)]


class Sizes(Part):
    """A range of whole numbers, all equally likely."""

    low: Count
    high: Count

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"{self.low} to {self.high} is no range; put the smaller one first")
        return self


class Server(Part):
    """One server of the row."""

    gpu: Text
    "A GPU of the catalogue, or a YAML file."
    gpus: Count
    tensor_parallel: Count
    "GPUs of one instance of a model; a server holds one instance."
    rated: Watts
    "What the power budget counts for it."
    other_idle: Watts
    "All but the GPUs, without work."
    other_busy: Watts
    "All but the GPUs, with work."

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tensor_parallel != self.gpus:
            raise ValueError(f"tensor_parallel {self.tensor_parallel} on {self.gpus} GPUs: an instance takes them all")
        if not self.other_idle.value <= self.other_busy.value < self.rated.value:
            raise ValueError("other_idle <= other_busy < rated")
        return self


class Service(Part):
    """One service and its part of the row."""

    name: Text
    model: Text
    "A language model of the catalogue."
    prompt: Sizes
    "Tokens."
    output: Sizes
    "Tokens."
    share: Fraction
    "Of the servers."
    high: Fraction
    "Of its servers: those of high priority."
    batch: Count
    "Requests in decode together on one server."
    buffer: Whole
    "Further requests that may wait at a server."


class Telemetry(Part):
    """How the power of the row is seen."""

    period: Seconds
    delay: Seconds
    window: Seconds
    "Before a reading, over which it averages; 0: present power."
    gain_error: Fraction
    "Largest; drawn once a run."
    losses_per_day: Annotated[float, Field(ge=0, le=1000)]
    loss: Seconds
    "Length of one loss of telemetry."

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.period.value < 1e-3:
            raise ValueError(f"a period of {self.period.value:g} s; at least 1 ms")
        periods = self.delay.value / self.period.value
        if abs(periods - round(periods)) > 1e-6:
            raise ValueError(f"delay {self.delay.value:g} s is no whole number of periods of {self.period.value:g} s")
        if self.window.value > self.period.value:
            raise ValueError("window: at most the period")
        return self


class Actuators(Part):
    """What commands take to land."""

    path: Literal["out-of-band", "in-band"]
    out_of_band: Seconds
    in_band: Seconds
    brake: Seconds
    brake_clock: Hertz
    "Clock to which the brake slows all GPUs down."

    @property
    def clock_latency_s(self) -> float:
        """Seconds until a clock lock lands on the path that is used."""
        return (self.out_of_band if self.path == "out-of-band" else self.in_band).value


class TripPoint(Part):
    """One point of the curve of a thermal breaker."""

    load: Annotated[float, Field(gt=1, le=20)]
    "Power over budget."
    trips_after: Seconds


class Breaker(Part):
    """What happens over the budget."""

    curve: Annotated[tuple[TripPoint, ...], Field(min_length=1)]
    cools_in: Seconds
    "From just below tripping to cold, under budget."
    ups_deadline: Seconds
    "How long the supply carries an overload."

    @model_validator(mode="after")
    def _falling(self) -> Self:
        pairs = zip(self.curve, self.curve[1:], strict=False)
        if any(not (a.load < b.load and a.trips_after.value > b.trips_after.value) for a, b in pairs):
            raise ValueError("curve: list the points by rising load; more load must trip sooner")
        return self


class Thresholds(Part):
    """Of POLCA: shares of the budget, and clocks."""

    t1: Fraction
    t2: Fraction
    hysteresis: Fraction
    brake_at: Number
    release_at: Fraction
    low_at_t1: Hertz
    low_at_t2: Hertz
    high_at_t2: Hertz

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        t1, t2, brake = self.t1.value, self.t2.value, self.brake_at.value
        if not t1 < t2 < brake:
            raise ValueError(f"t1 {t1:g}, t2 {t2:g}, brake_at {brake:g} are out of order; t1 < t2 < brake_at")
        if not self.hysteresis.value < t1:
            raise ValueError(f"hysteresis {self.hysteresis.value:g} reaches below 0; less than t1 {t1:g}")
        if not self.release_at.value < brake:
            raise ValueError(f"release_at {self.release_at.value:g}: less than brake_at {brake:g}")
        if not self.low_at_t2.value <= self.low_at_t1.value:
            raise ValueError("low_at_t2 is above low_at_t1; the second threshold must cap harder")
        return self


class Load(Part):
    """How busy the servers are over the week, at full clock; 1 is all that they can serve."""

    peak: Fraction
    "On a working day at its busiest hour, noise and bursts aside."
    night: Fraction
    "Of the peak: at the quietest hour."
    weekend: Fraction
    "Of a working day."
    peak_hour: Annotated[float, Field(ge=0, lt=24)]
    noise: Fraction
    "Standard deviation of slow noise, of the load."
    noise_time: Seconds
    "After which slow noise has forgotten most of itself."
    bursts_per_day: Annotated[float, Field(ge=0, le=10_000)]
    burst: Fraction
    "Mean height of a burst, of the load."
    burst_time: Seconds
    "Mean length of a burst."


class TrainingJob(Part):
    """A job that trains on several servers in step."""

    name: Text
    servers: Count
    iteration: Seconds
    dip: Fraction
    "Power at the end of an iteration, of the power limit of the GPUs."
    dip_share: Fraction
    "Of an iteration."
    bound: Fraction
    "Share of the time at the plateau that scales with the clock."


class Row(Part):
    """One row: servers behind one breaker."""

    schema_version: Literal[1] = Field(alias="schema")
    kind: Literal["row"]
    name: Text
    summary: Text
    sources: tuple[Text, ...]
    servers: Annotated[int, Field(strict=True, ge=1, le=10_000)]
    "For which the budget is provisioned; more of them oversubscribe it."
    budget: Watts | None = None
    "By default servers x rated power."
    server: Server
    services: Annotated[tuple[Service, ...], Field(min_length=1)]
    telemetry: Telemetry
    actuators: Actuators
    breaker: Breaker
    thresholds: Thresholds
    load: Load
    training: Annotated[tuple[TrainingJob, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [service.name for service in self.services]
        if len(set(names)) < len(names):
            raise ValueError(f"services: two are called {max(names, key=names.count)!r}")
        shares = sum(service.share.value for service in self.services)
        if abs(shares - 1.0) > 1e-6:
            raise ValueError(f"services: the shares add up to {shares:g}, not 1")
        if not self.server.other_idle.value * self.servers < self.budget_w:
            raise ValueError(f"budget: {self.budget_w:g} W do not even carry {self.servers} idle servers")
        return self

    @property
    def budget_w(self) -> float:
        """Power budget of the row, watts."""
        return self.budget.value if self.budget is not None else self.servers * self.server.rated.value


_ROWS: Final = Catalogue("row", "armillary.power", "rows", Row)


def row_names() -> tuple[str, ...]:
    """Return the names of the rows that come with Armillary, sorted."""
    return _ROWS.names()


def load_row(name_or_path: str | Path | Row) -> Row:
    """Return the row called `name_or_path`, or the one that the YAML file there describes.

    Raises:
        InputError: no such name (with the nearest ones) or file, or the file is not a valid row (file:line).
    """
    return name_or_path if isinstance(name_or_path, Row) else _ROWS.load(name_or_path)


def row_text(name_or_path: str | Path) -> str:
    """Return the YAML of a row with its comments and sources.

    Raises:
        InputError: as `load_row`.
    """
    return _ROWS.text(name_or_path)


def is_row_file(path: Path) -> bool:
    """Return True if the YAML file `path` says that it describes a row (`kind: row`)."""
    return says_kind(path, "row")


def row_schema() -> dict[str, Any]:
    """Return the JSON Schema of row files."""
    return _ROWS.schema()
