"""The row as the controller reaches it: the schema of the file that `--topology` names.

In:  YAML. Out: `Site`, frozen: budget, meter, latencies, dead man, how to reach the servers, their priority.
The file holds no secret: a password stands in a file or in an environment variable, and the site names which.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from armillary.errors import InputError
from armillary.hardware.parts import Part, Text
from armillary.hardware.quantity import Quantity, Seconds, Watts
from armillary.store import load_model

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Strict = Annotated[bool, Field(strict=True)]
Mhz = Annotated[int, Field(strict=True, ge=1, le=10_000)]


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise InputError(f"{text[:80]!r} is not a URL", hint="write for example https://10.0.0.7")
    if parts.username is not None or parts.password is not None:
        raise InputError("a URL must not carry a password", hint="name it under redfish.password_file")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise InputError(f"{parts.hostname} would get the password in the clear", hint="use https")
    return text.rstrip("/")


class MeterAt(Part):
    """A meter of the whole row that speaks Redfish; without one, the servers are summed."""

    url: Text
    "Of the resource that carries PowerWatts.Reading, such as .../RackPDUs/1/Metrics."

    @field_validator("url")
    @classmethod
    def _check_url(cls, text: str) -> str:
        return _url(text)


class TelemetryTimes(Part):
    """When the power of the row is read."""

    period: Seconds = Quantity(2.0)
    delay: Seconds = Quantity(0.0)
    "How old a reading is when the meter shows it."
    meter: MeterAt | None = None


class Latencies(Part):
    """How long commands take to hold."""

    lock: Seconds = Quantity(40.0)
    brake: Seconds = Quantity(5.0)


class DeadMan(Part):
    """What happens when nothing is known of the row: low priority goes to this clock."""

    after: Seconds = Quantity(20.0)
    clock_mhz: Mhz = 1110


class Redfish(Part):
    """How the management controllers are spoken to. Paths differ by model: those of an HGX H100 are the default."""

    user: Text | None = None
    password_file: Text | None = None
    password_env: Text | None = None
    ca_file: Text | None = None
    "Certificates to trust beside those of the system."
    verify: Strict = True
    "False accepts any certificate: for a laboratory only."
    timeout: Seconds = Quantity(5.0)
    processor: Text = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_{n}"
    "Of GPU {n}, from 1; carries OperatingSpeedRangeMHz."
    metrics: Text = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_{n}/EnvironmentMetrics"
    "Of GPU {n}; carries PowerWatts and PowerLimitWatts."
    chassis: Text = "/redfish/v1/Chassis/HGX_Chassis_0/EnvironmentMetrics"
    "Of the server; carries PowerWatts."

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.password_file is not None and self.password_env is not None:
            raise InputError("two places for the password", hint="keep password_file or password_env")
        if (self.user is None) != (self.password_file is None and self.password_env is None):
            raise InputError("user and password go together", hint="give user and password_file (or password_env)")
        return self


class ServerAt(Part):
    """One server, or some GPUs of this host."""

    name: Text
    priority: Literal["low", "high"]
    gpus: Annotated[int, Field(strict=True, ge=1, le=64)] = 8
    "Number of GPUs (backends redfish and simulated)."
    devices: Annotated[tuple[Annotated[int, Field(strict=True, ge=0)] | Text, ...], Field(max_length=64)] = ()
    "GPUs of this host by index or UUID (backend nvml)."
    bmc: Text | None = None
    "URL of its management controller (backend redfish)."
    rated: Watts = Quantity(6500.0)
    "The most that it can draw."
    other: Watts = Quantity(0.0)
    "What it draws beside its GPUs, where only those are read."

    @field_validator("bmc")
    @classmethod
    def _check_url(cls, text: str | None) -> str | None:
        return None if text is None else _url(text)


class Site(Part):
    """A row of servers under one power budget."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    name: Text
    budget: Watts
    telemetry: TelemetryTimes = TelemetryTimes()
    latency: Latencies = Latencies()
    dead_man: DeadMan = DeadMan()
    redfish: Redfish = Redfish()
    policy: dict[Text, Annotated[int, Field(strict=True)]] = Field(default_factory=dict)
    "Parameters of the policy that differ from its own: t1_ppm, t2_ppm, low1_mhz ..."
    servers: Annotated[tuple[ServerAt, ...], Field(min_length=1, max_length=1024)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [server.name for server in self.servers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"two servers are named {twice[0]!r}", hint="give each its own name")
        if not any(server.priority == "low" for server in self.servers):
            raise InputError("no server has low priority", hint="the policy slows those down first: mark some low")
        period, after = self.telemetry.period.value, self.dead_man.after.value
        if period < 0.01:
            raise InputError(f"a telemetry period of {period:g} s is too short", hint="use 10 ms or more")
        if after < self.telemetry.delay.value + 2 * period:
            raise InputError(
                f"the dead man acts after {after:g} s, which any lost reading would reach",
                hint=f"use at least {self.telemetry.delay.value + 2 * period:g} s: the delay and two periods",
            )
        return self

    @property
    def budget_mw(self) -> int:
        """The budget, mW."""
        return round(self.budget.value * 1000)


def ms(quantity: Quantity) -> int:
    """Return seconds as whole milliseconds."""
    return round(quantity.value * 1000)


def load_site(path: Path | str) -> Site:
    """Read a topology file.

    Raises:
        InputError: what is wrong, with file and line.
    """
    return load_model(Path(path), Site)
