"""A row before its first tick.

In:  classes, lanes, requests, tables of batches and clocks, meter, actuators, breaker: plain arrays of `records.py`.
Out: `RowState`, all that `handler.advance` needs beside the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.engine.calendar import NO_TIMER
from armillary.engine.deciding import Decider, new_decider
from armillary.engine.policy import policy
from armillary.engine.recorder import new_recorder
from armillary.power.policies.contract import COMMAND, DECISION, SEEN
from armillary.power.row import records as at

LOCK_ROOM = 4096  # changes of locks kept between stops


@dataclass(frozen=True, slots=True)
class Meter:
    """How the power of the row is read, in ticks."""

    period: int
    delay: int  # a whole number of periods
    window: int = 0  # before a reading, over which it averages; at most a period; 0: present power
    gain_ppm: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Control:
    """What commands reach the row, in ticks and MHz."""

    low_latency: int
    high_latency: int
    brake_latency: int
    brake_mhz: int


@dataclass(frozen=True, slots=True)
class Watch:
    """What is kept of the power of the row, in ticks."""

    sample: int
    windows: tuple[int, ...]  # over which the largest rise is sought
    bin: int
    until: int
    ups_deadline: int
    heating: npt.NDArray[np.float64]  # heat of the breaker per tick at n per mille of the budget; below it, cooling
    log: int = 0  # decisions to keep


@policy(state=np.dtype([("asked", np.int64)]), seen=SEEN, command=COMMAND)
def _leave_alone(seen: Any, mind: Any, command: Any) -> None:
    mind["asked"] += 1


def new_state(
    *,
    budget_mw: int,
    classes: npt.NDArray[np.void],
    lanes: npt.NDArray[np.void],
    requests: npt.NDArray[np.void],
    batches: npt.NDArray[np.void],
    segments: npt.NDArray[np.void],
    clocks: npt.NDArray[np.void],
    meter: Meter,
    control: Control,
    watch: Watch,
    decider: Decider,
) -> at.RowState:
    """Return a row at rest at tick 0, all servers idle."""
    row = np.zeros(1, at.ROW)
    row["budget_mw"], row["brake_mhz"] = budget_mw, control.brake_mhz
    row["meter_period"], row["meter_delay"] = meter.period, meter.delay
    row["until"] = watch.until
    row["window"], row["gain_ppm"], row["last_at"] = meter.window, meter.gain_ppm, -1
    actuators = np.zeros(3, at.ACTUATOR)
    actuators["target"] = -1
    actuators["latency"] = control.low_latency, control.high_latency, control.brake_latency
    lanes = lanes.copy()
    for name in ("head", "tail", "active", "serves"):
        lanes[name] = at.NOBODY
    lanes["timer"], lanes["speed"] = NO_TIMER, 1.0
    lanes["power_mw"] = classes["idle_mw"][lanes["group"]] * lanes["servers"]
    classes = classes.copy()
    classes["head"] = classes["tail"] = at.NOBODY
    requests = requests.copy()
    requests["started"] = requests["ended"] = at.NOBODY
    statistics = np.zeros(1, at.STATISTICS)
    statistics["sample"], statistics["bin"], statistics["over_since"] = watch.sample, watch.bin, -1
    statistics["ups_deadline"] = watch.ups_deadline
    windows = np.zeros(len(watch.windows), at.WINDOW)
    windows["length"] = np.array(watch.windows) // watch.sample
    ring = int(windows["length"].max(initial=0)) + 3
    row["power_mw"] = int(lanes["power_mw"].sum())
    state = at.RowState(
        row=row,
        actuators=actuators,
        classes=classes,
        lanes=lanes,
        requests=requests,
        batches=batches,
        segments=segments,
        clocks=clocks,
        readings=np.full(meter.delay // meter.period + 1, at.NOBODY),
        statistics=statistics,
        heating=watch.heating,
        histogram=np.zeros(len(watch.heating), np.int64),
        windows=windows,
        minima=np.zeros((len(windows), ring, 2), np.int64),
        history=np.zeros(-(-watch.until // watch.bin), at.HISTORY),
        log=np.zeros(watch.log, DECISION),
        logged=np.zeros(1, np.int64),
        locks=new_recorder(3, room=LOCK_ROOM),
        energy=new_recorder(1),
        decider=decider,
    )
    state.energy.series["value"] = state.row["power_mw"]
    return state


def clock_table(top_mhz: int, alpha: float) -> npt.NDArray[np.void]:
    """Return speed and dynamic power at every whole MHz up to the highest, relative to there."""
    table = np.zeros(top_mhz + 1, at.CLOCK)
    share = np.arange(top_mhz + 1) / top_mhz
    table["speed"], table["power"] = share, share**alpha
    return table


EXAMPLE = new_state(
    budget_mw=1,
    classes=np.zeros(1, at.CLASS),
    lanes=np.zeros(1, at.LANE),
    requests=np.zeros(1, at.REQUEST),
    batches=np.zeros((1, 2), at.BATCH),
    segments=np.zeros(1, at.SEGMENT),
    clocks=clock_table(1, 1.0),
    meter=Meter(1, 0),
    control=Control(0, 0, 0, 1),
    watch=Watch(1, (1,), 1, 1, 1, np.zeros(2)),
    decider=new_decider(_leave_alone, compiled=False),
)
"The smallest row: the type of all."
