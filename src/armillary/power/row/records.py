"""The records of a row in play: everything that its handler reads and changes.

In:  nothing. Out: record layouts and `RowState`.
Ticks are microseconds, powers whole milliwatts, clocks whole MHz. A *lane* is what serves requests: one server, or the
servers of one training job, which work in step. A *class* is a service at one priority: it has lanes and one queue.
Imports numba: import it inside functions only.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from armillary.engine._state_type import StateType
from armillary.engine.deciding import Decider
from armillary.power.policies.contract import COMMAND, DECISION, SEEN

TICK_S: Final = 1e-6
MS: Final = 1_000  # ticks
LOW, HIGH, BRAKE = range(3)  # actuators; the first two are priorities as well
NOBODY: Final = -1
IDLE, PREFILL, DECODE, TRAINING = range(4)  # what a lane does

ROW = np.dtype(
    [
        ("budget_mw", np.int64),
        ("power_mw", np.int64),
        ("meter_period", np.int64),  # ticks between readings
        ("meter_delay", np.int64),  # ticks until a reading arrives
        ("reading", np.int64),  # readings taken so far
        ("lost", np.int64),  # 1 while readings are lost
        ("last_mw", np.int64),  # newest reading that arrived
        ("last_at", np.int64),  # tick of that reading, -1: none yet
        ("brakes", np.int64),  # times that the brake was engaged
        ("refused", np.int64),  # commands to an actuator with another one in flight
        ("gain_ppm", np.int64),  # of the meter
        ("window", np.int64),  # ticks before a reading over which the meter averages, 0: it shows the present power
        ("metered", np.int64),  # integral of power since the start of that window, mW x ticks
        ("mark_at", np.int64),  # that start
        ("brake_mhz", np.int64),  # clock to which the brake slows all servers down
        ("until", np.int64),  # tick at which training stops, the meter reads no more and statistics close
        ("logged", np.int64),  # decisions in the log
        ("changed", np.int64),  # rows of `changes`
        ("done", np.int64),  # requests served
        ("arrived", np.int64),
    ]
)
ACTUATOR = np.dtype(
    [
        ("mhz", np.int64),  # what holds: a lock (0: none), of the brake 0 or 1
        ("target", np.int64),  # in flight, -1: nothing
        ("latency", np.int64),  # ticks from a command to its landing
        ("commands", np.int64),
    ]
)
CLASS = np.dtype(
    [
        ("first", np.int64),  # lane
        ("lanes", np.int64),
        ("priority", np.int64),
        ("slots", np.int64),  # requests in decode on one lane
        ("batches", np.int64),  # first row of its table of batches
        ("buffer", np.int64),  # requests that wait at a lane
        ("head", np.int64),  # queue of the class
        ("tail", np.int64),
        ("queued", np.int64),
        ("decode_bound", np.float64),  # share of a decode step that scales with the clock
        ("idle_mw", np.int64),  # of one server
        ("busy_mw", np.int64),  # fans and processors of one server that has work, on top
    ]
)
LANE = np.dtype(
    [
        ("group", np.int64),  # class
        ("servers", np.int64),
        ("does", np.int64),
        ("load", np.int64),  # requests here: waiting, in prefill, in decode
        ("head", np.int64),  # waiting
        ("tail", np.int64),
        ("active", np.int64),  # first request in decode, linked by `next`
        ("decoding", np.int64),
        ("serves", np.int64),  # request in prefill; segment of a training job, at first the one to begin with
        ("tokens", np.float64),  # decoded by each request here since it was idle; segments a training job has done
        ("step", np.float64),  # ticks of one decode step at full clock
        ("left", np.float64),  # ticks of the present work at full clock
        ("since", np.int64),
        ("speed", np.float64),
        ("bound", np.float64),  # share of the present work that scales with the clock
        ("timer", np.int64),
        ("dynamic_mw", np.float64),  # of one server's GPUs above idle, at full clock
        ("power_mw", np.int64),  # of all servers of the lane
    ]
)
REQUEST = np.dtype(
    [
        ("group", np.int32),
        ("next", np.int32),
        ("prefill", np.int64),  # ticks at full clock
        ("prefill_mw", np.int32),  # dynamic power of a server's GPUs
        ("prefill_bound", np.float32),
        ("tokens", np.int32),  # to generate
        ("cache_step", np.float32),  # ticks that reading its key-value cache adds to each decode step
        ("finish", np.float64),  # tokens of the lane at which it is done
        ("arrived", np.int64),
        ("started", np.int64),  # its prefill
        ("ended", np.int64),
    ]
)
BATCH = np.dtype([("step", np.float64), ("dynamic_mw", np.float64)])  # of decode with n requests, per class and n
SEGMENT = np.dtype([("work", np.float64), ("bound", np.float64), ("dynamic_mw", np.float64), ("next", np.int64)])
CLOCK = np.dtype([("speed", np.float64), ("power", np.float64)])  # f / f0, and the factor on dynamic power, per MHz
STATISTICS = np.dtype(
    [
        ("since", np.int64),  # tick up to which all is accounted for
        ("share", np.int64),  # present power in per mille of the budget
        ("sample", np.int64),  # ticks between samples
        ("next", np.int64),  # tick of the next sample
        ("samples", np.int64),
        ("peak_mw", np.int64),
        ("heat", np.float64),  # of the breaker, 1 trips it
        ("trips", np.int64),
        ("over_since", np.int64),  # tick since which the row is over its budget, -1: it is not
        ("over_longest", np.int64),
        ("ups_deadline", np.int64),
        ("ups_trips", np.int64),
        ("over", np.int64),  # ticks over budget
        ("bin", np.int64),  # ticks of one bin of the history
        ("bin_index", np.int64),  # present bin
        ("bin_end", np.int64),
        ("closed", np.int64),  # 1: the watch has not begun, or is over
    ]
)
WINDOW = np.dtype(
    [
        ("length", np.int64),  # samples
        ("head", np.int64),  # of its ring in `minima`
        ("count", np.int64),
        ("first", np.int64),  # row of `minima` at which its ring begins
        ("mask", np.int64),  # rows of that ring, a power of two, - 1
        ("rise_mw", np.int64),  # largest so far
    ]
)
MINIMUM = np.dtype([("power_mw", np.int64), ("last", np.int64)])  # power, and the last sample that had it
HISTORY = np.dtype([("energy", np.int64), ("peak_mw", np.int64)])  # mW x ticks, per bin: whole numbers, exact
CHANGED = np.dtype([("tick", np.int64), ("actuator", np.int64), ("mhz", np.int64)])  # a command that landed


class RowState(NamedTuple):
    """All records of a row, one-dimensional: compiled code gets a table of where they lie."""

    row: Any  # shape (1,), ROW
    actuators: Any  # shape (3,), ACTUATOR
    classes: Any
    lanes: Any
    requests: Any
    batches: Any  # BATCH; a class has largest batch + 1 rows
    segments: Any
    clocks: Any  # shape (largest MHz + 1,), CLOCK
    readings: Any  # shape (readings,), int64: all that the meter showed, mW; -1: lost or not yet taken
    statistics: Any  # shape (1,), STATISTICS
    heating: Any  # shape (per mille of the budget,), float64: heat per tick
    histogram: Any  # shape (per mille of the budget,), int64: samples
    windows: Any  # shape (windows,), WINDOW
    minima: Any  # shape (windows x ring,), MINIMUM: sliding minima
    history: Any  # shape (bins,), HISTORY
    log: Any  # shape (decisions kept,), DECISION
    changes: Any  # shape (room,), CHANGED: locks and brakes as they landed
    seen: Any  # shape (1,), SEEN
    mind: Any  # int64: what the policy remembers
    command: Any  # shape (1,), COMMAND
    policy: Any  # shape (1,), int64: where its code lies, 0: it runs in Python

    @property
    def decider(self) -> Decider:
        """The policy's own records, for `decide`."""
        return Decider(self.seen, self.mind, self.command, self.policy)


FIELDS: Final[dict[str, Any]] = {
    "row": ROW, "actuators": ACTUATOR, "classes": CLASS, "lanes": LANE, "requests": REQUEST, "batches": BATCH,
    "segments": SEGMENT, "clocks": CLOCK, "readings": np.int64, "statistics": STATISTICS, "heating": np.float64,
    "histogram": np.int64, "windows": WINDOW, "minima": MINIMUM, "history": HISTORY, "log": DECISION,
    "changes": CHANGED, "seen": SEEN, "mind": np.int64, "command": COMMAND, "policy": np.int64,
}  # fmt: skip
ROW_STATE: Final = StateType("armillary.power.RowState", FIELDS)
