"""The packed columns of the timeline view hold every task once, sorted, in rows without overlap."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.report import Counter, TimelineColumns, timeline_view
from armillary.report.palette import OTHER, PALETTE
from armillary.report.timeline_view import MAX_ROWS, rows_of


def unpacked(columns: TimelineColumns) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """Read the block as the browser does."""
    packed = re.search(r"octet-stream\">([^<]*)<", timeline_view(columns).html)
    assert packed
    data = zlib.decompress(base64.b64decode(packed[1]))
    size = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + size])
    arrays = {
        name: np.frombuffer(data, f"<{kind}", length, 4 + size + offset)
        for name, (kind, offset, length) in header["arrays"].items()
    }
    return header, arrays


@st.composite
def spans(draw: st.DrawFn) -> TimelineColumns:
    tasks = draw(st.integers(0, 40))
    whole = st.lists(st.integers(0, 12), min_size=tasks, max_size=tasks)
    start = np.array(draw(whole), np.float64)
    lane, kind = (np.array(draw(whole), np.int64) % size for size in (3, 2))
    return TimelineColumns(
        lanes=["a", "b", "c"],
        names=[f"task{number}" for number in range(max(tasks, 1))],
        kinds=["x", "y"],
        task_lane=lane,
        task_name=np.arange(tasks),
        task_kind=kind,
        start_s=start,
        end_s=start + np.array(draw(whole), np.float64),
        cause=np.array(draw(whole), np.int64) % max(tasks, 1) - (tasks == 0),
    )


@given(spans())
def test_every_task_is_packed_once_with_its_own_values(columns: TimelineColumns) -> None:
    header, arrays = unpacked(columns)
    task = arrays["task"]
    assert sorted(task.tolist()) == list(range(len(columns)))
    assert np.array_equal(arrays["start"], columns.start_s[task])
    assert np.array_equal(arrays["end"], columns.end_s[task])
    assert np.array_equal(arrays["kind"], columns.task_kind[task])
    assert [header["names"][index] for index in arrays["name"]] == [f"task{index}" for index in task]
    assert header["span"][1] == max(columns.end_s, default=0.0)


@given(spans())
def test_rows_hold_one_task_at_a_time_and_belong_to_one_lane(columns: TimelineColumns) -> None:
    _, arrays = unpacked(columns)
    offset, task = arrays["offset"], arrays["task"]
    assert offset[0] == 0
    assert offset[-1] == len(columns)
    for row, lane in enumerate(arrays["lane"]):
        own = slice(int(offset[row]), int(offset[row + 1]))
        assert np.all(columns.task_lane[task[own]] == lane)
        assert np.all(arrays["start"][own][1:] >= arrays["end"][own][:-1])
    assert set(arrays["lane"].tolist()) == {0, 1, 2}


@given(spans())
def test_causes_name_the_same_task_after_sorting(columns: TimelineColumns) -> None:
    _, arrays = unpacked(columns)
    task, cause = arrays["task"].astype(np.int64), arrays["cause"]
    assert columns.cause is not None
    for place, own in enumerate(task):
        expected = columns.cause[own]
        assert (task[cause[place]] if cause[place] >= 0 else -1) == expected


def test_more_overlap_than_rows_shares_the_row_that_is_free_first() -> None:
    count = MAX_ROWS + 5
    row, lane = rows_of(np.zeros(count, np.int64), np.zeros(count), np.arange(1.0, count + 1), 1)
    assert len(lane) == MAX_ROWS
    assert row[MAX_ROWS] == 0


def one_task(**changes: Any) -> TimelineColumns:
    zero = np.zeros(1, np.int64)
    columns = TimelineColumns(["lane"], ["name"], ["kind"], zero, zero, zero, np.zeros(1), np.ones(1))
    return dataclasses.replace(columns, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"end_s": np.array([-1.0])}, "an end that is not|end that is not before"),
        ({"start_s": np.array([np.nan])}, "finite start"),
        ({"task_lane": np.array([1])}, "task_lane points outside its 1 names"),
        ({"task_name": np.array([-1])}, "task_name points outside"),
        ({"bytes": np.zeros(2)}, "bytes has 2 entries for 1 tasks"),
        ({"cause": np.array([1])}, "cause points outside"),
        ({"kind_colours": {"kind": "red; } body"}}, "is not one; write for example"),
        ({"counters": [Counter("c", "W", np.array([1.0, 0.0]), np.zeros(2))]}, "times must ascend"),
        ({"counters": [Counter("c", "W", np.zeros(1), np.array([np.inf]))]}, "must be finite"),
    ],
)
def test_columns_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        timeline_view(one_task(**changes))


def test_kinds_keep_their_colours_and_the_rarest_turn_grey_when_there_are_too_many() -> None:
    kinds = [f"kind{number}" for number in range(len(PALETTE) + 2)]
    count = len(kinds)
    start = np.arange(count, dtype=np.float64)
    busy = np.array([0.1, *np.linspace(0.3, 0.9, count - 2), 0.2])
    columns = TimelineColumns(
        ["lane"],
        ["name"],
        kinds,
        np.zeros(count, np.int64),
        np.zeros(count, np.int64),
        np.arange(count),
        start,
        start + busy,
    )
    header, _ = unpacked(columns)
    assert header["colours"] == [OTHER, *PALETTE, OTHER]


def test_an_empty_run_is_drawn_as_empty_lanes() -> None:
    none = np.zeros(0, np.int64)
    header, arrays = unpacked(TimelineColumns(["lane"], [], [], none, none, none, np.zeros(0), np.zeros(0)))
    assert header["span"] == [0.0, 0.0]
    assert arrays["offset"].tolist() == [0, 0]
