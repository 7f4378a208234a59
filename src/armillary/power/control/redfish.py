"""Servers and meters that speak Redfish.

In:  a `Transport`, the URL of a management controller, paths of the model. Out: a `Server`, `Part`s of the row.
Clock cap: OperatingSpeedRangeMHz of each GPU's Processor (SettingMax; lifted by setting it to AllowableMax). Limit and
power: EnvironmentMetrics (PowerLimitWatts.SetPoint, PowerWatts.Reading). Properties as in DMTF DSP0268; which of
them a model lets be written differs, and `check` shows it. Values of unknown origin: nothing is taken for a number but
a finite number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from armillary.power.control.contract import BackendError, Limits, Measured, Part
from armillary.power.control.site import Redfish
from armillary.power.control.transport import Transport


@dataclass(frozen=True, slots=True)
class RedfishServer:
    """One server behind a management controller."""

    name: str
    transport: Transport
    base: str
    paths: Redfish
    gpus: int
    ceiling_mw: int
    highest_mhz: dict[int, int] = field(default_factory=dict)
    "By GPU, as far as it has been read."

    def holds(self) -> Limits:
        """Read lock and limits of every GPU."""
        locks, limits = set[int](), list[int]()
        for number in range(1, self.gpus + 1):
            span = self._span(number)
            top = _number(span, "SettingMax")
            locks.add(0 if top >= _number(span, "AllowableMax") else round(top))
            limits.append(self._limit(number, "SetPoint"))
        return Limits(locks.pop() if len(locks) == 1 else None, tuple(limits))

    def lock(self, mhz: int) -> None:
        """Cap the clocks of all GPUs, going on past one that fails."""

        def one(number: int) -> None:
            url = self._processor(number)
            if mhz == 0 and number not in self.highest_mhz:
                self._span(number)
            self.transport.patch(url, {"OperatingSpeedRangeMHz": {"SettingMax": mhz or self.highest_mhz[number]}})

        self._all(one)

    def limit(self, limits_mw: tuple[int, ...]) -> None:
        """Set the limit of each GPU."""
        self._all(
            lambda number: self.transport.patch(
                self._metrics(number), {"PowerLimitWatts": {"SetPoint": limits_mw[number - 1] / 1000}}
            )
        )

    def lowest_limits_mw(self) -> tuple[int, ...]:
        """Return the lowest limit of each GPU."""
        return tuple(self._limit(number, "AllowableMin") for number in range(1, self.gpus + 1))

    def may_write(self) -> str | None:
        """Return why the first GPU cannot be commanded; some controllers say which methods a resource takes."""
        for url in (self._processor(1), self._metrics(1)):
            allow = self.transport.get(url).allow
            if allow is not None and "PATCH" not in allow.upper():
                return f"{url} takes {allow} only"
        return None

    def part(self) -> Part:
        """Return the server as a part of the row's power."""
        return Part(self.name, meter(self.transport, f"{self.base}{self.paths.chassis}"), self.ceiling_mw)

    def _span(self, number: int) -> Mapping[str, Any]:
        """Read the clock range of a GPU, and keep its highest clock: unlocking depends on no reading then."""
        span = _section(self.transport.get(self._processor(number)).body, "OperatingSpeedRangeMHz")
        self.highest_mhz[number] = round(_number(span, "AllowableMax"))
        return span

    def _processor(self, number: int) -> str:
        return self.base + self.paths.processor.replace("{n}", str(number))

    def _metrics(self, number: int) -> str:
        return self.base + self.paths.metrics.replace("{n}", str(number))

    def _limit(self, number: int, key: str) -> int:
        return round(_number(_section(self.transport.get(self._metrics(number)).body, "PowerLimitWatts"), key) * 1000)

    def _all(self, one: Callable[[int], None]) -> None:
        problems = []
        for number in range(1, self.gpus + 1):
            try:
                one(number)
            except BackendError as error:
                problems.append(f"GPU {number}: {error}")
        if problems:
            raise BackendError("; ".join(problems)[:300])


def meter(transport: Transport, url: str) -> Callable[[], Measured]:
    """Return what reads PowerWatts.Reading (a value or an excerpt of a sensor) at `url`."""

    def measure() -> Measured:
        section = _section(transport.get(url).body, "PowerWatts")
        stamp = section.get("ReadingTime")
        return Measured(round(_number(section, "Reading") * 1000), None if stamp is None else str(stamp)[:100])

    return measure


def _section(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = body.get(key)
    if not isinstance(section, dict):
        raise BackendError(f"the answer has no {key}")
    return section


def _number(section: Mapping[str, Any], key: str) -> float:
    value = section.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1e9:
        raise BackendError(f"{key} is no number")
    return float(value)
