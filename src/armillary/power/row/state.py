"""A row before its first tick.

In:  classes, lanes, requests, tables of batches and clocks, meter, actuators, breaker: plain arrays of `records.py`.
Out: `RowState`, all that `handler.advance` needs beside the calendar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine.calendar import NO_TIMER
from armillary.engine.deciding import Decider
from armillary.power.policies.contract import DECISION
from armillary.power.row import records as at

CHANGES = 1024  # landed commands to make room for at first; `more_room` doubles it


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
    until: int  # tick of its end
    ups_deadline: int
    heating: npt.NDArray[np.float64]  # heat of the breaker per tick at n per mille of the budget; below it, cooling
    log: int = 0  # decisions to keep
    opens: int = 0  # tick from which on power counts; before, the row warms up


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
    for name in ("head", "tail", "active"):
        lanes[name] = at.NOBODY
    lanes["timer"], lanes["speed"] = NO_TIMER, 1.0
    lanes["power_mw"] = classes["idle_mw"][lanes["group"]] * lanes["servers"]
    classes = classes.copy()
    classes["head"] = classes["tail"] = at.NOBODY
    requests = requests.copy()
    requests["started"] = requests["ended"] = at.NOBODY
    classes["batches"] = np.arange(len(classes)) * batches.shape[1]
    row["power_mw"] = int(lanes["power_mw"].sum())
    statistics = np.zeros(1, at.STATISTICS)
    statistics["sample"], statistics["bin"], statistics["over_since"] = watch.sample, watch.bin, -1
    if watch.opens == 0 and row["power_mw"][0] > budget_mw:
        statistics["over_since"] = 0
    statistics["bin_end"], statistics["ups_deadline"] = watch.bin, watch.ups_deadline
    statistics["closed"] = int(watch.opens > 0)
    statistics["share"] = min(int(row["power_mw"][0]) * 1000 // budget_mw, len(watch.heating) - 1)
    windows = np.zeros(len(watch.windows), at.WINDOW)
    windows["length"] = np.array(watch.windows) // watch.sample
    ring = 1 << int(windows["length"].max(initial=0) + 2).bit_length()
    windows["first"], windows["mask"] = np.arange(len(windows)) * ring, ring - 1
    return at.RowState(
        row=row,
        actuators=actuators,
        classes=classes,
        lanes=lanes,
        requests=requests,
        batches=np.ascontiguousarray(batches).reshape(-1),
        segments=segments,
        clocks=clocks,
        readings=np.full(watch.until // meter.period + 2, at.NOBODY),
        statistics=statistics,
        heating=np.ascontiguousarray(watch.heating),
        histogram=np.zeros(len(watch.heating), np.int64),
        windows=windows,
        minima=np.zeros(len(windows) * ring, at.MINIMUM),
        history=np.zeros(watch.until // watch.bin + 1, at.HISTORY),
        log=np.zeros(watch.log, DECISION),
        changes=np.zeros(CHANGES, at.CHANGED),
        seen=decider.seen,
        mind=decider.mind,
        command=decider.command,
        policy=decider.policy,
    )


def more_room(state: at.RowState) -> at.RowState:
    """Return the row with room for twice as many landed commands: what `Run` is given as `grow`."""
    return state._replace(changes=np.concatenate([state.changes, np.zeros_like(state.changes)]))


def clock_table(top_mhz: int, alpha: float) -> npt.NDArray[np.void]:
    """Return speed and dynamic power at every whole MHz up to the highest, relative to there."""
    table = np.zeros(top_mhz + 1, at.CLOCK)
    share = np.arange(top_mhz + 1) / top_mhz
    table["speed"], table["power"] = share, share**alpha
    return table
