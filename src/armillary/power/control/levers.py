"""Actuators of a row: one value for a group of servers, written to each, tried again, read back until it holds.

In:  orders (`Group.order`), answers of devices. Out: what holds (`held`), what is in flight (`target`), as
`contract.SEEN` shows them. Model of one lever: WRITE (tried again with back-off) -> WAIT (accepted, read back each
tick) -> HOLD (read back once in a while; a change by someone else is written over).
A group has landed when all its levers hold. One that cannot be reached must not stop the policy for ever: after
`give_up_ms` the group counts as landed without it, while its lever is tried on and on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from armillary.power.control.calls import Call, Calls
from armillary.power.policies.contract import NOTHING_IN_FLIGHT

FIRST_RETRY_MS: Final = 1_000
LAST_RETRY_MS: Final = 8_000
VERIFY_MS: Final = 60_000  # between two readings of a lever that holds
NEVER: Final = 2**62
SWALLOWED: Final = 1.5  # times the latency, after which an accepted write that does not hold is written again


class Tell(Protocol):
    """Where events go: audit log, metrics."""

    def __call__(self, kind: str, /, **fields: object) -> None:
        """Take one event."""


class Stage(Enum):
    """How far a lever is."""

    WRITE = "write"
    WAIT = "wait"
    HOLD = "hold"


@dataclass(slots=True)
class Lever:
    """One value on one server."""

    server: str
    write: Callable[[int], None]
    holds: Callable[[int], bool]
    wanted: int = 0
    stage: Stage = Stage.HOLD
    tries: int = 0
    due_ms: int = NEVER
    "When to write again, or to read back; never, until it has been told something."
    accepted_ms: int = 0
    call: Call | None = None
    writes: bool = False
    "What is under way: a write, else a reading."
    value: int = 0
    "What the call under way is about."

    def order(self, value: int, now_ms: int) -> None:
        """Want `value` from now on."""
        self.wanted, self.stage, self.tries, self.due_ms = value, Stage.WRITE, 0, now_ms


@dataclass(slots=True)
class Group:
    """One actuator of the row."""

    name: str
    levers: Sequence[Lever]
    latency_ms: int
    period_ms: int
    calls: Calls
    tell: Tell
    held: int = 0
    target: int = NOTHING_IN_FLIGHT
    ordered_ms: int = 0

    @property
    def give_up_ms(self) -> int:
        """After this long in flight, the group counts as landed without the levers that do not hold."""
        return 2 * self.latency_ms + 4 * self.period_ms

    @property
    def heading(self) -> int:
        """What it will hold: the target, else what holds."""
        return self.target if self.target != NOTHING_IN_FLIGHT else self.held

    @property
    def failing(self) -> int:
        """Levers that do not take what they are told, after more than one try."""
        return sum(lever.stage is Stage.WRITE and lever.tries > 1 for lever in self.levers)

    @property
    def settled(self) -> bool:
        """Whether every lever holds what it was told."""
        return all(lever.stage is Stage.HOLD for lever in self.levers)

    def order(self, value: int, now_ms: int, why: str, *, supersede: bool = False) -> bool:
        """Want `value`: nothing to do where it is there or on its way; refused while another is in flight.

        Args:
            value: MHz, 0 to unlock; of the brake 0 or 1; negative: leave.
            now_ms: the time.
            why: for the audit log: policy, dead-man, restore.
            supersede: let it overtake what is in flight.
        """
        if value < 0 or value == self.heading:
            return False
        if self.target != NOTHING_IN_FLIGHT and not supersede:
            self.tell("refused", actuator=self.name, value=value, in_flight=self.target)
            return False
        self.start(value, now_ms, why)
        return True

    def start(self, value: int, now_ms: int, why: str) -> None:
        """Send `value` to all levers, whatever they were told before."""
        self.target, self.ordered_ms = value, now_ms
        for lever in self.levers:
            lever.order(value, now_ms)
        self.tell("order", actuator=self.name, value=value, why=why)

    def probe(self, now_ms: int) -> list[Call]:
        """Read back what is due, and return all calls under way."""
        for lever in self.levers:
            if lever.call is None and lever.stage is not Stage.WRITE and now_ms >= lever.due_ms:
                self._start(lever, writes=False)
        return [lever.call for lever in self.levers if lever.call is not None]

    def push(self, now_ms: int) -> list[Call]:
        """Write what is due, and return all calls under way."""
        for lever in self.levers:
            if lever.call is None and lever.stage is Stage.WRITE and now_ms >= lever.due_ms:
                self._start(lever, writes=True)
        return [lever.call for lever in self.levers if lever.call is not None]

    def fold(self, now_ms: int) -> None:
        """Take up the answers that are there; land when all levers hold, or when it has taken too long."""
        for lever in self.levers:
            if lever.call is not None and lever.call.done():
                self._take(lever, lever.call, now_ms)
        if self.target == NOTHING_IN_FLIGHT:
            return
        late = now_ms - self.ordered_ms >= self.give_up_ms
        if self.settled or late:
            missing = [lever.server for lever in self.levers if lever.stage is not Stage.HOLD]
            self.held, self.target = self.target, NOTHING_IN_FLIGHT
            self.tell("incomplete" if missing else "landed", actuator=self.name, value=self.held, missing=missing)

    def _start(self, lever: Lever, *, writes: bool) -> None:
        value = lever.wanted
        lever.writes, lever.value = writes, value
        ask = (lambda: lever.write(value)) if writes else (lambda: lever.holds(value))
        lever.call = self.calls.submit(ask)

    def _take(self, lever: Lever, call: Call, now_ms: int) -> None:
        """Take up one answer."""
        lever.call = None
        try:
            answer = call.result()
        except Exception as error:  # whatever a device does is one more reason to try again
            self._failed(lever, f"{type(error).__name__}: {error}", now_ms)
            if lever.stage is Stage.WAIT and self._overdue(lever, now_ms):
                lever.stage = Stage.WRITE  # whoever cannot be read back may still be told
            return
        if lever.value != lever.wanted:
            return  # about an order that has been overtaken
        if lever.writes:
            lever.stage, lever.accepted_ms, lever.due_ms = Stage.WAIT, now_ms, now_ms
        elif answer:
            lever.stage, lever.tries, lever.due_ms = Stage.HOLD, 0, now_ms + VERIFY_MS
        elif lever.stage is Stage.HOLD:
            self.tell("drift", actuator=self.name, server=lever.server, value=lever.wanted)
            lever.order(lever.wanted, now_ms)
        elif self._overdue(lever, now_ms):
            self._failed(lever, "accepted, but does not hold", now_ms)
            lever.stage = Stage.WRITE

    def _overdue(self, lever: Lever, now_ms: int) -> bool:
        """Whether an accepted write should hold by now."""
        return now_ms - lever.accepted_ms >= SWALLOWED * self.latency_ms + 2 * self.period_ms

    def _failed(self, lever: Lever, problem: str, now_ms: int) -> None:
        lever.tries += 1
        lever.due_ms = now_ms + min(LAST_RETRY_MS, FIRST_RETRY_MS << min(lever.tries - 1, 8))
        self.tell(
            "failed",
            actuator=self.name, server=lever.server, value=lever.value, writes=lever.writes, tries=lever.tries,
            problem=problem,
        )  # fmt: skip
