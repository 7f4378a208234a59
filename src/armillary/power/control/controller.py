"""The loop: read, ask the policy, guard, command; once a period of the meter.

In:  a policy with its parameters, telemetry, actuators, a clock. Out: orders to the actuators, events, `DECISION` rows.
The policy is the function of the row simulator and sees the same record; `decisions` are the same bytes for the same
telemetry. Beside it stands the dead man, who trusts no policy: when nothing has been decided on a reading younger than
`dead_man_ms`, low priority is sent to `dead_man_mhz`, past whatever is in flight. To him, a policy that
fails is the same as a reading that does not come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from armillary.engine.policy import Policy
from armillary.power.control.calls import Calls
from armillary.power.control.clock import Clock
from armillary.power.control.levers import Group, Tell
from armillary.power.control.restorable import Book, Restorable
from armillary.power.control.telemetry import Telemetry
from armillary.power.policies.contract import (
    BRAKE_ENGAGING,
    BRAKE_OFF,
    BRAKE_ON,
    BRAKE_RELEASING,
    DECISION,
    ENGAGE,
    NOTHING_IN_FLIGHT,
    RELEASE,
    UNLOCK,
)

LEAVE = -1
PPM = 1_000_000
SAFE_PPM = 840_000  # share of the budget below which a brake may go: T2 less its hysteresis, as in the specification


@dataclass(frozen=True, slots=True)
class Times:
    """Period of the loop and limits of silence, ms, and the clock of the dead man."""

    period_ms: int
    dead_man_ms: int
    dead_man_mhz: int
    budget_mw: int


@dataclass(slots=True)
class Controller:
    """A policy on a row.

    `step` is one turn; `run` turns until it is stopped, `release` gives everything back.
    """

    policy: Policy
    mind: Any
    "Shape (1,): what the policy remembers (`policy.new_state`)."
    telemetry: Telemetry
    low: Group
    high: Group
    brake: Group
    times: Times
    clock: Clock
    calls: Calls
    tell: Tell
    book: Book
    "What the servers held before."
    servers: Sequence[Restorable]
    keep: int = 0
    "Decisions to keep in `decisions`, newest last."
    decisions: list[bytes] = field(default_factory=list)
    dead_man: bool = False
    "Whether the dead man has acted and no decision has been made on a fresh reading since."
    decided_ms: int = 0
    "When the newest reading was taken that a decision was made on."
    _was_lost: bool = False

    @property
    def groups(self) -> Sequence[Group]:
        """All actuators."""
        return self.low, self.high, self.brake

    def run(self, until_ms: int | None, stop: Event) -> None:
        """Turn at every multiple of the period until `stop` is set or `until_ms` has come."""
        period = self.times.period_ms
        due = (self.clock.now_ms() // period + 1) * period
        while until_ms is None or due <= until_ms:
            self.clock.wait_until(due, stop)
            if stop.is_set():
                return
            now = self.clock.now_ms()
            if now >= due + period:
                self.tell("late", by_ms=now - due)
            self.step(now)
            due = (max(due, self.clock.now_ms()) // period + 1) * period

    def step(self, now_ms: int) -> None:
        """Turn once."""
        self._look(now_ms)
        row = self._decide(now_ms)
        command = row["command"][0]
        self.low.order(int(command["low_mhz"]), now_ms, "policy")
        self.high.order(int(command["high_mhz"]), now_ms, "policy")
        self.brake.order(int(command["brake"]), now_ms, "policy")
        self._guard(now_ms)
        self._act(now_ms)

    def release(self, within_ms: int, stop: Event) -> bool:
        """Give everything back and wait until it holds; True when it does.

        The brake of a row that is not known to be out of danger stays on: it is the next start's to decide.
        """
        now = self.clock.now_ms()
        keep_brake = self.brake.heading == ENGAGE and not self._is_safe(now)
        for group in (self.low, self.high):
            group.order(UNLOCK, now, "restore", supersede=True)
        if keep_brake:
            self.tell("brake_kept", power_mw=self.telemetry.power_mw, age_ms=self.telemetry.age_ms(now))
        else:
            self.brake.order(RELEASE, now, "restore", supersede=True)
        end = now + within_ms
        while True:
            self._act(now)
            if all(group.settled and group.target == NOTHING_IN_FLIGHT for group in self.groups):
                return not keep_brake
            if now >= end:
                return False
            self.clock.wait_until(now + self.times.period_ms, stop)
            now = max(self.clock.now_ms(), now + 1)
            self.calls.settle([call for group in self.groups for call in group.probe(now)])
            for group in self.groups:
                group.fold(now)

    def _look(self, now_ms: int) -> None:
        """Read the row and what its actuators hold."""
        under_way = self.telemetry.probe(now_ms)
        for group in self.groups:
            under_way += group.probe(now_ms)
        self.calls.settle(under_way)
        self.telemetry.fold()
        for group in self.groups:
            group.fold(now_ms)
        lost = not self.telemetry.fresh
        if lost != self._was_lost:
            self.tell("telemetry_lost" if lost else "telemetry_back", problem=self.telemetry.problem if lost else None)
        self._was_lost = lost

    def _decide(self, now_ms: int) -> Any:
        """Ask the policy, and return what it saw and said as one row of `DECISION`, shape (1,)."""
        row = np.zeros(1, DECISION)
        seen, command = row["seen"], row["command"]
        seen["now_ms"], seen["power_mw"], seen["budget_mw"] = now_ms, self.telemetry.power_mw, self.times.budget_mw
        seen["age_ms"], seen["lost"] = self.telemetry.age_ms(now_ms), not self.telemetry.fresh
        seen["low_mhz"], seen["low_target_mhz"] = self.low.held, self.low.target
        seen["high_mhz"], seen["high_target_mhz"] = self.high.held, self.high.target
        seen["brake"] = _brake_of(self.brake)
        for name in ("low_mhz", "high_mhz", "brake"):
            command[name] = LEAVE
        try:
            self.policy(seen.copy(), self.mind[0], command)
        except Exception as error:  # a user's policy must not take the controller down
            for name in ("low_mhz", "high_mhz", "brake"):
                command[name] = LEAVE
            self.tell("policy_failed", problem=f"{type(error).__name__}: {error}"[:300])
        else:
            if self.telemetry.fresh and self.telemetry.taken_ms is not None:
                self.decided_ms = max(self.decided_ms, self.telemetry.taken_ms)
        if self.keep:
            self.decisions.append(row.tobytes())
            del self.decisions[: -self.keep]
        self.tell("decision", **_plain(row["seen"][0]), **{f"to_{k}": v for k, v in _plain(command[0]).items()})
        return row

    def _guard(self, now_ms: int) -> None:
        """Act as the dead man where nothing has been decided for too long."""
        if now_ms - self.decided_ms <= self.times.dead_man_ms:
            if self.dead_man:
                self.dead_man = False
                self.tell("dead_man_over")
            return
        if not self.dead_man:
            self.dead_man = True
            self.tell("dead_man", silent_ms=now_ms - self.decided_ms)
        if not 0 < self.low.heading <= self.times.dead_man_mhz:
            self.low.order(self.times.dead_man_mhz, now_ms, "dead man", supersede=True)

    def _act(self, now_ms: int) -> None:
        """Write what is due, and take up what comes back at once."""
        self.calls.settle([call for group in self.groups for call in group.push(now_ms)])
        for group in self.groups:
            group.fold(now_ms)

    def _is_safe(self, now_ms: int) -> bool:
        """Whether a young reading says that the row has room."""
        young = self.telemetry.taken_ms is not None and self.telemetry.age_ms(now_ms) <= self.times.dead_man_ms
        return young and self.telemetry.power_mw * PPM < self.times.budget_mw * SAFE_PPM


def _brake_of(brake: Group) -> int:
    if brake.target != NOTHING_IN_FLIGHT:
        return BRAKE_ENGAGING if brake.target == ENGAGE else BRAKE_RELEASING
    return BRAKE_ON if brake.held == ENGAGE else BRAKE_OFF


def _plain(record: Any) -> dict[str, int]:
    return {name: int(record[name]) for name in record.dtype.names}
