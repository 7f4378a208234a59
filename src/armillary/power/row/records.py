"""The records of a row in play: everything that its handler reads and changes.

In:  nothing. Out: record layouts and `RowState`.
Ticks are microseconds, powers whole milliwatts, clocks whole MHz. A *lane* is what serves requests: one server, or the
servers of one training job, which work in step. A *class* is a service at one priority: it has lanes and one queue.
Imports numba: import it inside functions only.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from armillary.engine.deciding import Decider
from armillary.engine.recorder import Recorder

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
        ("mark", np.float64),  # integral of power at the start of the window, mW x ticks
        ("mark_at", np.int64),
        ("brake_mhz", np.int64),  # clock to which the brake slows all servers down
        ("until", np.int64),  # tick at which training stops and the meter reads no more
        ("done", np.int64),  # requests served
        ("arrived", np.int64),
    ]
)
ACTUATOR = np.dtype(
    [
        ("mhz", np.int64),  # what holds: a lock (0: none), of the brake 0 or 1
        ("target", np.int64),  # in flight, -1: nothing
        ("latency", np.int64),  # ticks from a command to its landing
        ("lands", np.int64),  # tick
        ("commands", np.int64),
    ]
)
CLASS = np.dtype(
    [
        ("first", np.int64),  # lane
        ("lanes", np.int64),
        ("priority", np.int64),
        ("slots", np.int64),  # requests in decode on one lane
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
        ("serves", np.int64),  # request in prefill; segment of a training job
        ("tokens", np.float64),  # decoded by each request here since the run began
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
        ("started", np.int64),  # its prefill
        ("ended", np.int64),
    ]
)
BATCH = np.dtype([("step", np.float64), ("dynamic_mw", np.float64)])  # of decode with n requests, per class and n
SEGMENT = np.dtype([("work", np.float64), ("bound", np.float64), ("dynamic_mw", np.float64), ("next", np.int64)])
CLOCK = np.dtype([("speed", np.float64), ("power", np.float64)])  # f / f0, and the factor on dynamic power, per MHz
STATISTICS = np.dtype(
    [
        ("since", np.int64),  # tick of the last change of power
        ("sample", np.int64),  # ticks between samples
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
        ("integral", np.float64),  # mW x ticks since the start
    ]
)
WINDOW = np.dtype([("length", np.int64), ("head", np.int64), ("count", np.int64), ("rise_mw", np.int64)])
HISTORY = np.dtype([("energy", np.float64), ("peak_mw", np.int64)])  # mW x ticks, per bin


class RowState(NamedTuple):
    """All records of a row."""

    row: Any  # shape (1,), ROW
    actuators: Any  # shape (3,), ACTUATOR
    classes: Any
    lanes: Any
    requests: Any
    batches: Any  # shape (classes, largest batch + 1), BATCH
    segments: Any
    clocks: Any  # shape (largest MHz + 1,), CLOCK
    readings: Any  # shape (ring,), int64: readings on their way, mW
    statistics: Any  # shape (1,), STATISTICS
    heating: Any  # shape (per mille of the budget,), float64: heat per tick
    histogram: Any  # shape (per mille of the budget,), int64: samples
    windows: Any  # shape (windows,), WINDOW
    minima: Any  # shape (windows, ring, 2), int64: (power, last sample) of a sliding minimum
    history: Any  # shape (bins,), HISTORY
    log: Any  # shape (decisions kept,), int64 rows of SEEN and COMMAND
    logged: Any  # shape (1,), int64
    locks: Recorder  # what holds: lock of low and high priority in MHz, brake
    energy: Recorder  # exact integral of the power of the row
    decider: Decider
