"""The power of the row as the controller may believe it: fresh, plausible, with its true age.

In:  parts of the row that are measured by themselves (one row meter, or every server), a clock in ms.
Out: `power_mw`, whether a reading came in this tick, its age; what was wrong where none came.
Model: a reading is as old as the start of the call that brought it plus the delay of the meter: neither the date of the
meter nor ours is asked, so no skew of a clock can make an old reading young. The same stamp twice is no new reading.
A part that cannot be read counts at its ceiling, as long as most parts can be read; else nothing came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from armillary.power.control.calls import Call, Calls
from armillary.power.control.contract import GpuReading, Measured, Part

IMPLAUSIBLE = 1.5  # times the ceiling of a part: no meter that works shows more


@dataclass(slots=True)
class _Watch:
    """One part, and the call that is under way for it."""

    part: Part
    call: Call | None = None
    asked_ms: int = 0
    stamp: str | None = None
    seen: bool = False


@dataclass(slots=True)
class Telemetry:
    """The readings of a row."""

    parts: Sequence[Part]
    calls: Calls
    delay_ms: int
    power_mw: int = 0
    taken_ms: int | None = None
    "When the newest reading was taken."
    fresh: bool = False
    "Whether a reading came in this tick."
    problem: str | None = None
    gpus: tuple[GpuReading, ...] = ()
    _watches: list[_Watch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watches = [_Watch(part) for part in self.parts]

    def age_ms(self, now_ms: int) -> int:
        """Return the age of the newest reading; without one, the time since the start."""
        return now_ms if self.taken_ms is None else now_ms - self.taken_ms

    def probe(self, now_ms: int) -> list[Call]:
        """Ask every part that is not being asked, and return what is under way."""
        for watch in self._watches:
            if watch.call is None:
                watch.call, watch.asked_ms = self.calls.submit(watch.part.measure), now_ms
        return [watch.call for watch in self._watches if watch.call is not None]

    def fold(self) -> None:
        """Take up the answers that are there."""
        power, taken, missing, problem = 0, None, 0, None
        gpus: list[GpuReading] = []
        for watch in self._watches:
            measured, asked_ms, wrong = _answer(watch)
            if measured is None:
                missing += 1
                power += watch.part.ceiling_mw
                problem = f"{watch.part.name}: {wrong}"
                continue
            power += measured.power_mw
            taken = asked_ms if taken is None else min(taken, asked_ms)
            gpus += measured.gpus
        self.problem = problem
        self.fresh = taken is not None and 2 * missing <= len(self._watches)
        if self.fresh and taken is not None:
            self.power_mw, self.taken_ms = power, taken - self.delay_ms
        if gpus:
            self.gpus = tuple(gpus)


def _answer(watch: _Watch) -> tuple[Measured | None, int, str]:
    """Return the new reading of a part and when it was asked for, or what was wrong."""
    call = watch.call
    if call is None or not call.done():
        return None, 0, "no answer yet"
    watch.call = None
    try:
        measured = call.result()
    except Exception as error:  # whatever a device does, the row goes on without this reading
        return None, 0, f"{type(error).__name__}: {error}"
    if not 0 < measured.power_mw <= IMPLAUSIBLE * watch.part.ceiling_mw:
        return None, 0, f"{measured.power_mw} mW is not plausible"
    if watch.seen and measured.stamp is not None and measured.stamp == watch.stamp:
        return None, 0, "the meter shows the same reading again"
    watch.seen, watch.stamp = True, measured.stamp
    return measured, watch.asked_ms, ""
