"""The handler of a row: requests arrive, lanes finish, the meter reads, commands travel and land.

In:  `advance(state, calendar, until)`. Out: a `Reason`; all results are in the records.
A reading of the meter is taken every period and arrives `meter_delay` later (a whole number of periods); then the
policy is asked. What it commands is sent in an event of the same tick, and lands after the latency of its actuator.
"""

from __future__ import annotations

from typing import Any

from armillary.engine._jit import JIT, njit
from armillary.engine._state_type import TABLE, caster, table_of
from armillary.engine.calendar import CALENDAR, CHANGE, INT64, Calendar
from armillary.engine.deciding import LEAVE, Decider, ask
from armillary.engine.drive import drive
from armillary.engine.timers import start, stop
from armillary.engine.trace import Reason
from armillary.power.policies.contract import BRAKE_ENGAGING, BRAKE_OFF, BRAKE_ON, BRAKE_RELEASING, ENGAGE
from armillary.power.row.lanes import LANE_DONE, arrive, begin_segment, lane_done, reclock
from armillary.power.row.records import BRAKE, HIGH, LOW, MS, NOBODY, ROW_STATE, RowState
from armillary.power.row.statistics import close, open_watch, settle

ARRIVES, READS, MARKS, SENDS, LANDS, TELEMETRY, TRAINS, CLOSES, OPENS = 0, 2, 3, 4, 5, 6, 7, 8, 9  # beside LANE_DONE
_CAPACITY = int(Reason.CAPACITY)
_as_row = caster(ROW_STATE)


@njit(inner=True)
def handle(state: RowState, calendar: Calendar, now: int, kind: int, payload: int) -> None:
    """Play one event; `payload` is a request, a lane, an actuator, or 1 while telemetry is lost."""
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
    elif kind == CLOSES:
        close(state, now)
    elif kind == OPENS:
        open_watch(state, now)
    else:
        begin_segment(state, calendar, now, payload)


@njit(inner=True)
def _read(state: RowState, calendar: Calendar, now: int) -> None:
    """Take a reading, hand the policy the newest one that has arrived, and ask it."""
    row = state.row[0]
    shown = row["power_mw"]
    if row["window"] > 0:
        settle(state, now)
        if now > row["mark_at"]:
            shown = row["metered"] // (now - row["mark_at"])
        start(calendar, now + row["meter_period"] - row["window"], CHANGE, MARKS, 0)
    number = row["reading"]
    if row["lost"] == 0:
        # Rounded half up in whole numbers: mW x ppm of a large row leave 63 bits at 9 GW.
        state.readings[number] = (shown * row["gain_ppm"] + 500_000) // 1_000_000
    row["reading"] = number + 1
    arrived = NOBODY
    delay = row["meter_delay"] // row["meter_period"]
    if number >= delay:
        arrived = state.readings[number - delay]
    if arrived >= 0:
        row["last_mw"], row["last_at"] = arrived, now - row["meter_delay"]
    seen = state.seen[0]
    seen["now_ms"] = now // MS
    seen["power_mw"] = row["last_mw"]
    seen["budget_mw"] = row["budget_mw"]
    seen["age_ms"] = (now - row["last_at"]) // MS if row["last_at"] >= 0 else now // MS
    seen["lost"] = 1 if arrived < 0 else 0
    seen["low_mhz"], seen["low_target_mhz"] = state.actuators[LOW]["mhz"], state.actuators[LOW]["target"]
    seen["high_mhz"], seen["high_target_mhz"] = state.actuators[HIGH]["mhz"], state.actuators[HIGH]["target"]
    seen["brake"] = _brake(state)
    ask(calendar, Decider(state.seen, state.mind, state.command, state.policy))
    # A compiled policy has decided by now; a Python one will have, by the next event.
    command = state.command[0]
    silent = command["low_mhz"] == LEAVE and command["high_mhz"] == LEAVE and command["brake"] == LEAVE
    decided = JIT and state.policy[0] != 0
    if not decided or not silent or row["logged"] < state.log.shape[0]:
        start(calendar, now, CHANGE, SENDS, 0)


@njit(inner=True)
def _mark(state: RowState, now: int) -> None:
    """The next reading averages from here on."""
    settle(state, now)
    row = state.row[0]
    row["metered"] = 0
    row["mark_at"] = now


@njit(inner=True)
def _brake(state: RowState) -> int:
    brake = state.actuators[BRAKE]
    if brake["target"] >= 0:
        return BRAKE_ENGAGING if brake["target"] == ENGAGE else BRAKE_RELEASING
    return BRAKE_ON if brake["mhz"] == ENGAGE else BRAKE_OFF


@njit(inner=True)
def _send(state: RowState, calendar: Calendar, now: int) -> None:
    """Send what the policy commanded."""
    command = state.command[0]
    row = state.row[0]
    if row["logged"] < state.log.shape[0]:
        line = state.log[row["logged"]]
        line["seen"] = state.seen[0]
        line["command"] = command
        row["logged"] += 1
    _order(state, calendar, now, LOW, command["low_mhz"])
    _order(state, calendar, now, HIGH, command["high_mhz"])
    _order(state, calendar, now, BRAKE, command["brake"])
    command["low_mhz"] = command["high_mhz"] = command["brake"] = LEAVE
    if state.changes.shape[0] - row["changed"] < 4:
        stop(calendar, _CAPACITY)


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
    change = state.changes[state.row[0]["changed"]]
    change["tick"], change["actuator"], change["mhz"] = now, index, actuator["mhz"]
    state.row[0]["changed"] += 1
    for lane in range(state.lanes.shape[0]):
        if index == BRAKE or state.classes[state.lanes[lane]["group"]]["priority"] == index:
            reclock(state, calendar, now, lane)


@njit(INT64(TABLE, CALENDAR, INT64))
def _play(table: Any, calendar: Calendar, until: int) -> int:
    return drive(_as_row(table), calendar, until, handle)


def advance(state: RowState, calendar: Calendar, until: int) -> int:
    """Play all events up to and including tick `until`; returns a `Reason`. What `Run` is given."""
    if JIT:
        return int(_play(table_of(state, ROW_STATE), calendar, until))
    return drive(state, calendar, until, handle)
