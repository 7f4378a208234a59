"""The timeline view: lanes of tasks and strips of counters that zoom, as one packed block of columns.

In:  `TimelineColumns`: plain columns, one entry a task, and counters as step functions.
Out: a `Block` that assets/timeline_*.js draws on a canvas.
Tasks are sorted by row and start here, so that the browser only searches.
Tasks that overlap in one lane (a server of several units) get rows of their own, first fit.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError
from armillary.report.markup import Block, clean, escape, pack
from armillary.report.palette import OTHER, PALETTE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]

# More rows than this in one lane would be hairlines: later tasks then share the row that is free first.
MAX_ROWS = 64


@dataclass(frozen=True, slots=True)
class Counter:
    """A step function under the lanes: `value[i]` holds from `time_s[i]` to the next entry, the last one to the end."""

    name: str
    unit: str
    time_s: FloatArray
    value: FloatArray
    limit: float | None = None  # drawn as a line: size of the scratchpad, budget of power


@dataclass(frozen=True, slots=True)
class TimelineColumns:
    """What happened, as columns; task columns have shape (tasks,)."""

    lanes: Sequence[str]
    names: Sequence[str]
    kinds: Sequence[str]
    task_lane: IntArray
    task_name: IntArray  # index into names
    task_kind: IntArray  # index into kinds
    start_s: FloatArray
    end_s: FloatArray
    bytes: FloatArray | None = None
    energy_j: FloatArray | None = None
    cause: IntArray | None = None  # the task whose end or release let it start; -1: none
    counters: Sequence[Counter] = ()
    kind_colours: Mapping[str, str] = field(default_factory=dict)  # where a kind must have a colour of its own

    def __len__(self) -> int:
        return len(self.start_s)


def timeline_view(columns: TimelineColumns, *, height_px: int = 460) -> Block:
    """Return the timeline view of `columns`.

    Args:
        columns: the tasks and counters to show.
        height_px: most that the lanes may take; more lanes get thinner, then scroll.

    Raises:
        InputError: columns of unlike length, an index out of range, a time that is not finite, an end before its start.
    """
    _check(columns)
    data = _packed(columns)
    summary = f"Timeline of {len(columns)} tasks in {len(columns.lanes)} lanes"
    return Block(
        f'<div class="timeline" data-height="{height_px}" data-label="{escape(summary)}">'
        f'<script type="application/octet-stream">{data}</script>'
        "<noscript>The timeline is drawn by JavaScript.</noscript></div>"
    )


def rows_of(lane: IntArray, start_s: FloatArray, end_s: FloatArray, lanes: int) -> tuple[IntArray, IntArray]:
    """Give each task a row so that tasks of one row do not overlap.

    Args:
        lane, start_s, end_s: shape (tasks,).
        lanes: number of lanes.

    Returns:
        The row of each task, shape (tasks,), and the lane of each row, ascending; an empty lane keeps one row.
    """
    order = np.lexsort((end_s, start_s, lane))
    bounds = np.searchsorted(lane[order], np.arange(lanes + 1))
    row = np.zeros(len(lane), np.int64)
    lane_of_row: list[int] = []
    for index in range(lanes):
        tasks = order[bounds[index] : bounds[index + 1]]
        starts, ends = start_s[tasks], end_s[tasks]
        first = len(lane_of_row)
        if len(tasks) < 2 or bool(np.all(starts[1:] >= ends[:-1])):
            row[tasks] = first
            lane_of_row.append(index)
            continue
        local = _first_fit(starts.tolist(), ends.tolist())
        row[tasks] = first + np.array(local)
        lane_of_row.extend([index] * (max(local) + 1))
    return row, np.array(lane_of_row, np.int64)


def _first_fit(starts: list[float], ends: list[float]) -> list[int]:
    free_at: list[float] = []
    rows = []
    for start, end in zip(starts, ends, strict=True):
        row = next((number for number, free in enumerate(free_at) if free <= start), len(free_at))
        if row == MAX_ROWS:
            row = min(range(MAX_ROWS), key=free_at.__getitem__)
        if row == len(free_at):
            free_at.append(end)
        else:
            free_at[row] = max(free_at[row], end)
        rows.append(row)
    return rows


def _packed(columns: TimelineColumns) -> str:
    row, lane_of_row = rows_of(columns.task_lane, columns.start_s, columns.end_s, len(columns.lanes))
    order = np.lexsort((columns.end_s, columns.start_s, row))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    arrays: dict[str, npt.NDArray[Any]] = {
        "start": columns.start_s[order].astype("<f8"),
        "end": columns.end_s[order].astype("<f8"),
        "name": columns.task_name[order].astype("<u4"),
        "kind": columns.task_kind[order].astype("<u2"),
        "task": order.astype("<u4"),
        "offset": np.searchsorted(row[order], np.arange(len(lane_of_row) + 1)).astype("<u4"),
        "lane": lane_of_row.astype("<u4"),
    }
    if columns.bytes is not None:
        arrays["bytes"] = columns.bytes[order].astype("<f4")
    if columns.energy_j is not None:
        arrays["energy"] = columns.energy_j[order].astype("<f4")
    if columns.cause is not None:
        # Causes name tasks by their number; here by their place in the sorted columns.
        cause = columns.cause[order]
        arrays["cause"] = np.where(cause >= 0, place[np.maximum(cause, 0)], -1).astype("<i4")
    for number, counter in enumerate(columns.counters):
        arrays[f"time{number}"] = counter.time_s.astype("<f8")
        arrays[f"value{number}"] = counter.value.astype("<f8")
    return pack(_with_header(_header(columns), arrays))


def _header(columns: TimelineColumns) -> dict[str, Any]:
    ends = [
        float(columns.end_s.max(initial=0.0)),
        *(float(counter.time_s[-1]) for counter in columns.counters if len(counter.time_s)),
    ]
    return {
        "lanes": [clean(name) for name in columns.lanes],
        "names": [clean(name) for name in columns.names],
        "kinds": [clean(name) for name in columns.kinds],
        "colours": _colours(columns),
        "span": [min(0.0, float(columns.start_s.min(initial=0.0))), max(ends)],
        "counters": [{"name": clean(c.name), "unit": c.unit, "limit": c.limit} for c in columns.counters],
    }


def _colours(columns: TimelineColumns) -> list[str]:
    """One colour a kind, in their order; when there are too many, the busiest kinds get one and the rest are grey."""
    open_kinds = [index for index, kind in enumerate(columns.kinds) if kind not in columns.kind_colours]
    if len(open_kinds) > len(PALETTE):
        busy_s = np.bincount(columns.task_kind, weights=columns.end_s - columns.start_s, minlength=len(columns.kinds))
        open_kinds = sorted(sorted(open_kinds, key=lambda index: -busy_s[index])[: len(PALETTE)])
    given = {index: PALETTE[rank] for rank, index in enumerate(open_kinds)}
    return [columns.kind_colours.get(kind, given.get(index, OTHER)) for index, kind in enumerate(columns.kinds)]


def _with_header(header: dict[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Lay out: length of the header (u4), header (JSON), then each array at a multiple of 8 bytes after the header."""
    layout, body = {}, bytearray()
    for name, array in arrays.items():
        body.extend(b"\0" * (-len(body) % 8))
        layout[name] = [array.dtype.str[1:], len(body), len(array)]
        body.extend(array.tobytes())
    text = json.dumps({**header, "arrays": layout}, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return len(text).to_bytes(4, "little") + text + bytes(body)


def _check(columns: TimelineColumns) -> None:
    tasks = len(columns)
    optional = [(name, getattr(columns, name)) for name in ("bytes", "energy_j", "cause")]
    required = [(name, getattr(columns, name)) for name in ("task_lane", "task_name", "task_kind", "end_s")]
    for name, column in [*required, *((name, column) for name, column in optional if column is not None)]:
        if len(column) != tasks:
            raise InputError(f"column {name} has {len(column)} entries for {tasks} tasks", where="timeline view")
    for name, column, size in (
        ("task_lane", columns.task_lane, len(columns.lanes)),
        ("task_name", columns.task_name, len(columns.names)),
        ("task_kind", columns.task_kind, len(columns.kinds)),
    ):
        if tasks and not 0 <= int(column.min()) <= int(column.max()) < size:
            raise InputError(f"column {name} points outside its {size} names", where="timeline view")
    if columns.cause is not None and tasks and int(columns.cause.max()) >= tasks:
        raise InputError("column cause points outside the tasks", where="timeline view")
    finite = bool(np.isfinite(columns.start_s).all() and np.isfinite(columns.end_s).all())
    if not finite or bool(np.any(columns.end_s < columns.start_s)):
        raise InputError("every task needs a finite start and an end that is not before it", where="timeline view")
    for kind, colour in columns.kind_colours.items():
        if not re.fullmatch("#[0-9a-f]{6}", colour):
            raise InputError(
                f"colour {clean(colour)[:20]!r} of kind {clean(kind)!r} is not one", hint='write for example "#2f6fb3"'
            )
    for counter in columns.counters:
        if len(counter.time_s) != len(counter.value) or bool(np.any(np.diff(counter.time_s) < 0)):
            raise InputError("times must ascend and have one value each", where=f"counter {clean(counter.name)!r}")
        if not (np.isfinite(counter.time_s).all() and np.isfinite(counter.value).all()):
            raise InputError("times and values must be finite", where=f"counter {clean(counter.name)!r}")
