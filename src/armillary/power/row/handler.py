"""The handler of a row: requests arrive, lanes finish, the meter reads, commands travel and land.

In:  `advance(state, calendar, until)`. Out: a `Reason`; all results are in the records.
A reading of the meter is taken every period and arrives `meter_delay` later (a whole number of periods); then the policy
is asked. What it commands is sent in an event of the same tick, and lands after the latency of its actuator.
"""

from __future__ import annotations

from armillary.engine._jit import njit, type_of
from armillary.engine.calendar import CALENDAR, CHANGE, INT64, Calendar
from armillary.engine.deciding import LEAVE, ask
from armillary.engine.drive import drive
from armillary.engine.recorder import record, room_left
from armillary.engine.timers import start, stop
from armillary.engine.trace import Reason
from armillary.power.policies.contract import BRAKE_ENGAGING, BRAKE_OFF, BRAKE_ON, BRAKE_RELEASING, ENGAGE
from armillary.power.row.lanes import LANE_DONE, arrive, begin_segment, lane_done, reclock
from armillary.power.row.records import BRAKE, HIGH, LOW, MS, NOBODY, RowState
from armillary.power.row.state import EXAMPLE
from armillary.power.row.statistics import settle

ARRIVES, READS, MARKS, SENDS, LANDS, TELEMETRY, TRAINS = 0, 2, 3, 4, 5, 6, 7  # beside LANE_DONE
_CAPACITY = int(Reason.CAPACITY)
ROW_STATE = type_of(EXAMPLE)


@njit(inner=True)
def handle(state: RowState, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    if kind == ARRIVES:
        arrive(state, calendar, now, payload)
    elif kind == LANE_DONE:
        lane_done(state, calendar, now, payload)
    elif kind == READS:
        _read(state, calendar, now)
    elif kind == MARKS:
        _mark(state, now)
    elif kind == SENDS:
        _send(state, calendar, now)
    elif kind == LANDS:
        _land(state, calendar, now, payload)
    elif kind == TELEMETRY:
        state.row[0]["lost"] = payload
    else:
        begin_segment(state, calendar, now, payload)


@njit(inner=True)
def _read(state: RowState, calendar: Calendar, now: int) -> None:
    """Take a reading, hand the policy the newest one that has arrived, and ask it."""
    row, ring = state.row[0], len(state.readings)
    settle(state, now)
    shown = float(row["power_mw"])
    if row["window"] > 0 and now > row["mark_at"]:
        shown = (state.statistics[0]["integral"] - row["mark"]) / float(now - row["mark_at"])
    state.readings[row["reading"] % ring] = NOBODY if row["lost"] else int(shown * row["gain_ppm"] / 1e6 + 0.5)
    if row["window"] > 0:
        start(calendar, now + row["meter_period"] - row["window"], CHANGE, MARKS, 0)
    delay = row["meter_delay"] // row["meter_period"]
    arrived = NOBODY
    if row["reading"] >= delay:
        arrived = state.readings[(row["reading"] - delay) % ring]
    row["reading"] += 1
    if arrived >= 0:
        row["last_mw"], row["last_at"] = arrived, now - row["meter_delay"]
    seen = state.decider.seen[0]
    seen["now_ms"] = now // MS
    seen["power_mw"] = row["last_mw"]
    seen["budget_mw"] = row["budget_mw"]
    seen["age_ms"] = (now - row["last_at"]) // MS if row["last_at"] >= 0 else now // MS
    seen["lost"] = 1 if arrived < 0 else 0
    seen["low_mhz"], seen["low_target_mhz"] = state.actuators[LOW]["mhz"], state.actuators[LOW]["target"]
    seen["high_mhz"], seen["high_target_mhz"] = state.actuators[HIGH]["mhz"], state.actuators[HIGH]["target"]
    seen["brake"] = _brake(state)
    ask(calendar, state.decider)
    start(calendar, now, CHANGE, SENDS, 0)


@njit(inner=True)
def _mark(state: RowState, now: int) -> None:
    """The next reading averages from here on."""
    settle(state, now)
    row = state.row[0]
    row["mark"], row["mark_at"] = state.statistics[0]["integral"], now


@njit(inner=True)
def _brake(state: RowState) -> int:
    brake = state.actuators[BRAKE]
    if brake["target"] >= 0:
        return BRAKE_ENGAGING if brake["target"] == ENGAGE else BRAKE_RELEASING
    return BRAKE_ON if brake["mhz"] == ENGAGE else BRAKE_OFF


@njit(inner=True)
def _send(state: RowState, calendar: Calendar, now: int) -> None:
    """Send what the policy commanded."""
    command = state.decider.command[0]
    if state.logged[0] < len(state.log):
        _log(state)
    _order(state, calendar, now, LOW, command["low_mhz"])
    _order(state, calendar, now, HIGH, command["high_mhz"])
    _order(state, calendar, now, BRAKE, command["brake"])
    command["low_mhz"] = command["high_mhz"] = command["brake"] = LEAVE
    if room_left(state.locks) < 4:
        stop(calendar, _CAPACITY)


@njit(inner=True)
def _log(state: RowState) -> None:
    """Keep what the policy saw and commanded."""
    line, seen, command = state.log[state.logged[0]], state.decider.seen[0], state.decider.command[0]
    line["seen"] = seen
    line["command"] = command
    state.logged[0] += 1


@njit(inner=True)
def _order(state: RowState, calendar: Calendar, now: int, index: int, value: int) -> None:
    """Send `value` to an actuator, unless it is there already, or another one is on its way."""
    actuator = state.actuators[index]
    if value < 0 or value == actuator["target"] or (actuator["target"] < 0 and value == actuator["mhz"]):
        return
    if actuator["target"] >= 0:
        state.row[0]["refused"] += 1
        return
    actuator["target"] = value
    actuator["commands"] += 1
    if index == BRAKE and value == ENGAGE:
        state.row[0]["brakes"] += 1
    start(calendar, now + actuator["latency"], CHANGE, LANDS, index)


@njit(inner=True)
def _land(state: RowState, calendar: Calendar, now: int, index: int) -> None:
    """A command has arrived: let it hold, and rescale the work in progress."""
    actuator = state.actuators[index]
    actuator["mhz"], actuator["target"] = actuator["target"], -1
    record(state.locks, index, now, actuator["mhz"])
    for lane in range(len(state.lanes)):
        if index == BRAKE or state.classes[state.lanes[lane]["group"]]["priority"] == index:
            reclock(state, calendar, now, lane)


@njit(INT64(ROW_STATE, CALENDAR, INT64))
def advance(state: RowState, calendar: Calendar, until: int) -> int:
    return drive(state, calendar, until, handle)
