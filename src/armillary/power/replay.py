"""A history of row power, played again under a policy: what it would have commanded, and what the row would have drawn.

In:  readings, what clocks do to power, a policy, latencies. Out: by day: brakes, time over budget, peak, and how much
     load ran at which clock.
Open loop: work does not stretch under a lock, as it does in the row simulator; a play takes a fraction of a second, so
that hundreds of thresholds can be judged. Meter, actuators and policy are those of the simulator: a reading shows the
present power and arrives `delay` readings later; a command lands after the latency of its actuator.
Imports numba: import it inside functions only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import JIT, njit
from armillary.engine._state_type import TABLE, StateType, caster, table_of
from armillary.engine.calendar import CALENDAR, CHANGE, INT64, POLICY, Calendar, new_calendar
from armillary.engine.deciding import LEAVE, Decider, ask, decide, new_decider
from armillary.engine.drive import Run, drive
from armillary.engine.policy import Policy
from armillary.engine.timers import start
from armillary.engine.trace import Reason
from armillary.errors import ArmillaryError
from armillary.power.history import DAY_S, PowerHistory
from armillary.power.policies.contract import (
    BRAKE_ENGAGING,
    BRAKE_OFF,
    BRAKE_ON,
    BRAKE_RELEASING,
    COMMAND,
    ENGAGE,
    SEEN,
)
from armillary.power.response import Latencies, Response

FloatArray = npt.NDArray[np.float64]

MS: Final = 1_000  # ticks of 1 us
READS, SENDS, LANDS = range(3)
LOW, HIGH, BRAKE = range(3)
LOST: Final = -1

ROW = np.dtype(
    [
        ("budget_mw", np.int64),
        ("floor_mw", np.int64),
        ("low_share", np.float64),
        ("period", np.int64),
        ("delay", np.int64),  # readings
        ("reading", np.int64),
        ("last_mw", np.int64),
        ("last_at", np.int64),
        ("brake_mhz", np.int64),
        ("day", np.int64),  # readings of one day
    ]
)
ACTUATOR = np.dtype([("mhz", np.int64), ("target", np.int64), ("latency", np.int64)])
DAY = np.dtype([("brakes", np.int64), ("over", np.int64), ("peak_mw", np.int64)])


class Replay(NamedTuple):
    """All records of a replay."""

    row: Any  # shape (1,)
    actuators: Any  # shape (3,)
    uncapped: Any  # shape (readings,), mW, -1: lost
    shown: Any  # shape (readings,), mW under the policy
    factor: Any  # shape (top MHz + 1,): on dynamic power
    days: Any  # shape (days,)
    held: Any  # shape (days x 2 x (top MHz + 1),): load of each priority at each clock, mW readings
    seen: Any
    mind: Any
    command: Any
    policy: Any


@njit(inline=True, inner=True)
def handle(state: Replay, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    """Play one event; `payload` is the actuator at which a command lands."""
    if kind == READS:
        _read(state, calendar, now)
    elif kind == SENDS:
        _send(state, calendar, now)
    else:
        actuator = state.actuators[payload]
        actuator["mhz"], actuator["target"] = actuator["target"], -1


@njit(inline=True, inner=True)
def _clock(state: Replay, priority: int) -> int:
    if state.actuators[BRAKE]["mhz"] > 0:
        return int(state.row[0]["brake_mhz"])
    lock = state.actuators[priority]["mhz"]
    return int(lock) if lock > 0 else int(state.factor.shape[0]) - 1


@njit(inline=True, inner=True)
def _read(state: Replay, calendar: Calendar, now: int) -> None:
    """Draw the power of this reading under what holds, count it, and ask the policy on the one that arrives."""
    row = state.row[0]
    number = row["reading"]
    day = state.days[number // row["day"]]
    uncapped = state.uncapped[number]
    if uncapped < 0:
        state.shown[number] = LOST
    else:
        dynamic = max(0.0, float(uncapped - row["floor_mw"]))
        low, high = _clock(state, LOW), _clock(state, HIGH)
        share = row["low_share"] * state.factor[low] + (1.0 - row["low_share"]) * state.factor[high]
        drawn = uncapped - int(dynamic * (1.0 - share) + 0.5)
        state.shown[number] = drawn
        day["peak_mw"] = max(day["peak_mw"], drawn)
        if drawn > row["budget_mw"]:
            day["over"] += 1
        clocks = state.factor.shape[0]
        first = number // row["day"] * 2 * clocks
        state.held[first + low] = state.held[first + low] + dynamic * row["low_share"]
        at_high = first + clocks + high
        state.held[at_high] = state.held[at_high] + dynamic * (1.0 - row["low_share"])
    arrived = LOST
    if number >= row["delay"]:
        arrived = state.shown[number - row["delay"]]
    row["reading"] += 1
    if row["reading"] < state.uncapped.shape[0]:
        start(calendar, now + row["period"], POLICY, READS, 0)
    if arrived >= 0:
        row["last_mw"], row["last_at"] = arrived, now - row["delay"] * row["period"]
    seen = state.seen[0]
    seen["now_ms"] = now // MS
    seen["power_mw"] = row["last_mw"]
    seen["budget_mw"] = row["budget_mw"]
    seen["age_ms"] = (now - row["last_at"]) // MS if row["last_at"] >= 0 else now // MS
    seen["lost"] = 1 if arrived < 0 else 0
    seen["low_mhz"], seen["low_target_mhz"] = state.actuators[LOW]["mhz"], state.actuators[LOW]["target"]
    seen["high_mhz"], seen["high_target_mhz"] = state.actuators[HIGH]["mhz"], state.actuators[HIGH]["target"]
    brake = state.actuators[BRAKE]
    if brake["target"] >= 0:
        seen["brake"] = BRAKE_ENGAGING if brake["target"] == ENGAGE else BRAKE_RELEASING
    else:
        seen["brake"] = BRAKE_ON if brake["mhz"] == ENGAGE else BRAKE_OFF
    ask(calendar, Decider(state.seen, state.mind, state.command, state.policy))
    # A compiled policy has decided by now; a Python one will have, by the next event.
    command = state.command[0]
    silent = command["low_mhz"] == LEAVE and command["high_mhz"] == LEAVE and command["brake"] == LEAVE
    if not (JIT and state.policy[0] != 0 and silent):
        start(calendar, now, CHANGE, SENDS, 0)


@njit(inline=True, inner=True)
def _send(state: Replay, calendar: Calendar, now: int) -> None:
    command = state.command[0]
    row = state.row[0]
    if command["brake"] == ENGAGE and state.actuators[BRAKE]["target"] < 0 and state.actuators[BRAKE]["mhz"] == 0:
        state.days[(row["reading"] - 1) // row["day"]]["brakes"] += 1
    _order(state, calendar, now, LOW, command["low_mhz"])
    _order(state, calendar, now, HIGH, command["high_mhz"])
    _order(state, calendar, now, BRAKE, command["brake"])
    command["low_mhz"] = command["high_mhz"] = command["brake"] = LEAVE


@njit(inline=True, inner=True)
def _order(state: Replay, calendar: Calendar, now: int, index: int, value: int) -> None:
    actuator = state.actuators[index]
    if value >= 0 and actuator["target"] < 0 and value != actuator["mhz"]:
        actuator["target"] = value
        start(calendar, now + actuator["latency"], CHANGE, LANDS, index)


@dataclass(frozen=True, slots=True, eq=False)
class ReplayDays:
    """What came of a replay, by day."""

    brakes: npt.NDArray[np.int64]  # shape (days,)
    over: npt.NDArray[np.int64]  # readings over budget
    peak_mw: npt.NDArray[np.int64]
    held: FloatArray  # shape (days, 2, MHz): load (low, high priority) that ran at each clock


REPLAY = StateType(
    "armillary.power.Replay",
    {
        "row": ROW,
        "actuators": ACTUATOR,
        "uncapped": np.dtype(np.int64),
        "shown": np.dtype(np.int64),
        "factor": np.dtype(np.float64),
        "days": DAY,
        "held": np.dtype(np.float64),
        "seen": SEEN,
        "mind": np.dtype(np.int64),
        "command": COMMAND,
        "policy": np.dtype(np.int64),
    },
)
_as_replay = caster(REPLAY)


@njit(INT64(TABLE, CALENDAR, INT64))
def _play(table: Any, calendar: Calendar, until: int) -> int:
    return drive(_as_replay(table), calendar, until, handle)


def advance(state: Replay, calendar: Calendar, until: int) -> int:
    """Play all events up to and including tick `until`; returns a `Reason`."""
    if JIT:
        return int(_play(table_of(state, REPLAY), calendar, until))
    return drive(state, calendar, until, handle)


def replay(
    history: PowerHistory,
    servers: int,
    *,
    policy: Policy,
    mind: dict[str, int],
    response: Response,
    latencies: Latencies,
    compiled: bool = True,
) -> ReplayDays:
    """Play `history`, scaled from its own servers to `servers` under the same budget, under `policy`.

    Args:
        history: readings without caps.
        servers: of the row that is judged; their loads are taken to rise and fall together, the worst case.
        policy: what commands.
        mind: its parameters.
        response: what clocks do.
        latencies: of meter and actuators.
        compiled: whether the policy runs within the kernel.
    """
    scale = servers / history.servers
    power_mw = np.where(np.isnan(history.power_w), LOST, np.rint(np.nan_to_num(history.power_w) * scale * 1e3))
    row = np.zeros(1, ROW)
    row["budget_mw"], row["floor_mw"] = round(history.budget_w * 1e3), round(response.floor_w * servers * 1e3)
    row["low_share"], row["period"] = response.low_share, round(history.interval_s * 1e6)
    row["delay"], row["last_at"], row["brake_mhz"] = latencies.delay_readings, -1, latencies.brake_mhz
    row["day"] = max(1, round(DAY_S / history.interval_s))
    days = int((len(power_mw) - 1) // row["day"][0]) + 1
    actuators = np.zeros(3, ACTUATOR)
    actuators["target"] = -1
    actuators["latency"] = np.rint(np.array([latencies.low_s, latencies.high_s, latencies.brake_s]) * 1e6)
    decider = new_decider(policy, compiled=compiled, **mind)
    factor = response.power_factor(np.maximum(1, np.arange(response.top_mhz + 1)))
    state = Replay(
        row, actuators, power_mw.astype(np.int64), np.zeros(len(power_mw), np.int64), factor, np.zeros(days, DAY),
        np.zeros(days * 2 * len(factor)), decider.seen, decider.mind, decider.command, decider.policy,
    )  # fmt: skip
    calendar = new_calendar(timers=16, burst=4)
    start(calendar, int(row["period"][0]), POLICY, READS, 0)
    run = Run(advance, state, calendar, decide=lambda played: decide(policy, decider))
    reason = run.advance()
    if reason != Reason.IDLE:
        raise ArmillaryError(f"a replay stopped for {reason.name}")
    return ReplayDays(state.days["brakes"], state.days["over"], state.days["peak_mw"], state.held.reshape(days, 2, -1))
