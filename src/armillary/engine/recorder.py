"""Step functions of whole numbers: their integral over time, exactly, and optionally every step.

In:  `record(recorder, series, now, value)` from a handler, whenever a value may have changed.
Out: `integral` (value x ticks, an exact Python int); `steps`, rows (tick, series, value), one a change.
Rows are taken out with `taken_steps` at any stop; where a run was cut leaves no mark on the joined rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from armillary.engine._jit import njit, type_of

RecordArray = npt.NDArray[np.void]

_LIMB: Final = 30  # integrals are kept in two limbs: watts x picoseconds leave 63 bits within days
_LOW: Final = (1 << _LIMB) - 1

SERIES = np.dtype(
    [
        ("since", np.int64),  # tick of the last call
        ("value", np.int64),  # present value, at most 2**31 in size
        ("high", np.int64),  # integral up to `since`: high * 2**30 + low
        ("low", np.int64),
        ("row", np.int64),  # its last row, -1: none
    ]
)
STEP = np.dtype([("tick", np.int64), ("series", np.int64), ("value", np.int64)])
USED = np.dtype([("rows", np.int64), ("lost", np.int64)])


class Recorder(NamedTuple):
    """Step functions that begin with 0 at tick 0."""

    series: RecordArray  # shape (series,), SERIES
    steps: RecordArray  # shape (room,), STEP; room 0 keeps integrals only
    used: RecordArray  # shape (1,), USED


RECORDER = type_of(Recorder(np.zeros(0, SERIES), np.zeros(0, STEP), np.zeros(1, USED)))


def new_recorder(series: int, *, room: int = 0) -> Recorder:
    """Return a recorder of `series` step functions that keeps up to `room` steps between stops (0: integrals only)."""
    recorder = Recorder(np.zeros(series, SERIES), np.zeros(room, STEP), np.zeros(1, USED))
    recorder.series["row"] = -1
    return recorder


@njit()
def record(recorder: Recorder, series: int, now: int, value: int) -> None:
    """Set series to `value` (at most 2**31 in size) from `now` on; `now` must not go back."""
    line = recorder.series[series]
    _integrate(line, now)
    if value == line["value"]:
        return
    line["value"] = value
    room = len(recorder.steps)
    if room == 0:
        return
    row = line["row"]
    if row >= 0 and recorder.steps[row]["tick"] == now:
        recorder.steps[row]["value"] = value
        return
    used = recorder.used[0]
    row = used["rows"]
    if row == room:
        used["lost"] += 1
        return
    used["rows"] = row + 1
    line["row"] = row
    step = recorder.steps[row]
    step["tick"] = now
    step["series"] = series
    step["value"] = value


@njit()
def present(recorder: Recorder, series: int) -> int:
    """The present value of a series."""
    return int(recorder.series[series]["value"])


@njit()
def room_left(recorder: Recorder) -> int:
    """Steps that still fit; a handler that finds few stops with CAPACITY, and the rows are taken out."""
    return len(recorder.steps) - int(recorder.used[0]["rows"])


@njit()
def _integrate(line: RecordArray, now: int) -> None:
    span = now - line["since"]
    low = line["low"] + line["value"] * (span & _LOW)
    line["high"] += line["value"] * (span >> _LIMB) + (low >> _LIMB)
    line["low"] = low & _LOW
    line["since"] = now


def integral(recorder: Recorder, series: int, until: int) -> int:
    """Return the integral of a series from tick 0 to `until` (not before its last change), in value x ticks."""
    line = recorder.series[series]
    done: int = int(line["high"]) * 2**_LIMB + int(line["low"])
    return done + int(line["value"]) * (until - int(line["since"]))


def taken_steps(recorder: Recorder) -> RecordArray:
    """Take the rows out, shape (rows,), and make room."""
    rows: RecordArray = recorder.steps[: int(recorder.used["rows"][0])].copy()
    recorder.used["rows"] = 0
    recorder.series["row"] = -1
    return rows


def joined_steps(parts: Sequence[RecordArray]) -> RecordArray:
    """Return all rows by (series, tick), with the last value of a tick, and without rows that change nothing."""
    rows: RecordArray = np.concatenate(parts) if parts else np.zeros(0, STEP)
    rows = rows[np.lexsort((rows["tick"], rows["series"]))]  # stable: rows of one tick stay in order
    if not len(rows):
        return rows
    last = np.append((rows["series"][1:] != rows["series"][:-1]) | (rows["tick"][1:] != rows["tick"][:-1]), True)
    rows = rows[last]
    first = np.append(True, rows["series"][1:] != rows["series"][:-1])
    before = np.where(first, 0, np.roll(rows["value"], 1))
    changes: RecordArray = rows[rows["value"] != before]
    return changes
