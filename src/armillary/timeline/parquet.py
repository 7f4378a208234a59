"""The timeline on disk: one Parquet file that any tool can read, and back without loss.

In:  a `Timeline`, or a file. Out: `timeline.parquet`: a row per task; what it held, crossed and leased as lists;
resources, rate steps and the schema version in the file's metadata (keys `armillary_schema`, `armillary_timeline`).
A lease stands in the row of the member that took it. Files are written whole or not at all (store/atomic.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from armillary.engine.graph import Ragged
from armillary.engine.trace import RateSteps, Reason
from armillary.errors import InputError
from armillary.store import dumps_strict, read_manifest, writing_run
from armillary.timeline.timeline import LeaseSpans, ResourceTable, Timeline

if TYPE_CHECKING:
    import polars

SCHEMA = 1
TIMELINE_FILE = "timeline.parquet"
KIND = "timeline"

COLUMNS: dict[str, type[np.generic]] = {
    "start": np.int64,
    "end": np.int64,
    "ready": np.int64,
    "cause": np.int32,
    "cause_kind": np.uint8,
    "status": np.uint8,
    "latency": np.int64,
    "duration": np.int64,
    "bytes": np.float64,
    "energy_fj": np.int64,
}
LISTS: dict[str, type[np.generic]] = {
    "demand_server": np.int32,
    "demand_units": np.int64,
    "crossing_link": np.int32,
    "crossing_cost": np.float64,
    "lease_pool": np.int32,
    "lease_units": np.int64,
    "lease_end": np.int64,
}


def save_timeline(timeline: Timeline, folder: Path, *, overwrite: bool = False) -> None:
    """Write a run folder that holds `timeline` alone; see `Timeline.save`."""
    with writing_run(folder, kind=KIND, about={"digest": timeline.digest()}, overwrite=overwrite) as run:
        run.write_with(TIMELINE_FILE, lambda path: write_timeline(timeline, path))


def load_timeline(folder: Path) -> Timeline:
    """Read the timeline of a finished run folder; see `Timeline.load`."""
    if TIMELINE_FILE not in read_manifest(folder, verify=True).files:
        raise InputError(f"holds no {TIMELINE_FILE}", where=str(folder))
    return read_timeline(folder / TIMELINE_FILE)


def write_timeline(timeline: Timeline, path: Path) -> None:
    """Write `timeline` to the Parquet file `path`."""
    import polars as pl

    leases, rows = timeline.leases, len(timeline)
    by_task = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(leases.task, minlength=rows))])
    table = pl.DataFrame(
        {
            "label": pl.Series(timeline.labels, dtype=pl.String).gather(timeline.label),
            "kind": pl.Series(timeline.kinds, dtype=pl.String).gather(timeline.kind),
            **{name: getattr(timeline, name) for name in COLUMNS},
        }
    )
    demands, crossings = timeline.demands, timeline.crossings
    table = pl.concat(
        [
            table,
            _lists(demands.offset, demand_server=demands.index, demand_units=demands.value),
            _lists(crossings.offset, crossing_link=crossings.index, crossing_cost=crossings.value),
            _lists(by_task, lease_pool=leases.pool, lease_units=leases.units, lease_end=leases.end),
        ],
        how="horizontal",
    )
    resources, steps = timeline.resources, timeline.rate_steps
    about = {
        "tick_s": timeline.tick_s,
        "reason": timeline.reason.name,
        "now": timeline.now,
        "resources": {
            "name": resources.names,
            "kind": resources.kind,
            "units": resources.units,
            "capacity": resources.capacity,
        },
        "rate_steps": {"tick": steps.tick, "resource": steps.resource, "value": steps.value},
    }
    metadata = {"armillary_schema": str(SCHEMA), "armillary_timeline": dumps_strict(about, indent=None)}
    table.write_parquet(path, metadata=metadata)


def read_timeline(path: Path) -> Timeline:
    """Read a Parquet file that `write_timeline` wrote.

    Raises:
        InputError: not such a file, another schema, or columns that do not fit together.
    """
    import polars as pl

    broken = (pl.exceptions.PolarsError, OSError, ValueError, KeyError, TypeError, AttributeError)
    try:
        metadata = pl.read_parquet_metadata(path)
        schema, about = metadata["armillary_schema"], json.loads(metadata["armillary_timeline"])
    except broken as error:
        raise InputError("is not a timeline of Armillary", where=str(path)) from error
    if schema != str(SCHEMA):
        raise InputError(f"has timeline schema {schema}", where=str(path), hint=f"known: {SCHEMA}")
    try:
        timeline = _from_table(pl.read_parquet(path), about)
    except broken as error:
        raise InputError("is not a timeline of Armillary", where=str(path)) from error
    _check(timeline, path)
    return timeline


def _lists(offset: npt.NDArray[Any], **columns: npt.NDArray[Any]) -> polars.DataFrame:
    """Return columns of lists, one a task; null where a task has none."""
    import polars as pl

    lengths = np.diff(offset)
    entries = pl.DataFrame({"row": np.repeat(np.arange(len(lengths)), lengths), **columns})
    lists = entries.group_by("row", maintain_order=True).agg(pl.all())
    rows = pl.DataFrame({"row": np.arange(len(lengths))})
    return rows.join(lists, on="row", how="left", maintain_order="left").drop("row")


def _from_table(table: polars.DataFrame, about: dict[str, Any]) -> Timeline:
    kinds, kind = _names(table["kind"])
    labels, label = _names(table["label"])
    columns: dict[str, Any] = {
        name: table[name].to_numpy().astype(dtype, copy=False) for name, dtype in COLUMNS.items()
    }
    lists = {name: _values(table[name], dtype) for name, dtype in LISTS.items()}
    resources, steps = about["resources"], about["rate_steps"]
    by_task = np.diff(_offset(table["lease_pool"]))
    task = np.repeat(np.arange(len(table), dtype=np.int32), by_task)
    return Timeline(
        tick_s=float(about["tick_s"]),
        reason=Reason[about["reason"]],
        now=int(about["now"]),
        resources=ResourceTable(
            names=tuple(str(name) for name in resources["name"]),
            kind=np.array(resources["kind"], np.int32),
            units=np.array(resources["units"], np.int64),
            capacity=np.array(resources["capacity"], np.float64),
        ),
        kinds=kinds,
        labels=labels,
        kind=kind,
        label=label,
        demands=Ragged(_offset(table["demand_server"]), lists["demand_server"], lists["demand_units"]),
        crossings=Ragged(_offset(table["crossing_link"]), lists["crossing_link"], lists["crossing_cost"]),
        leases=LeaseSpans(task, lists["lease_pool"], lists["lease_units"], columns["start"][task], lists["lease_end"]),
        rate_steps=RateSteps(
            np.array(steps["tick"], np.int64),
            np.array(steps["resource"], np.int32),
            np.array(steps["value"], np.float64),
        ),
        **columns,
    )


def _names(series: polars.Series) -> tuple[tuple[str, ...], npt.NDArray[np.int32]]:
    """Return the different texts in order of first use, and the index of each row's."""
    import polars as pl

    names = series.unique(maintain_order=True)
    index = series.cast(pl.Enum(names)).to_physical().to_numpy().astype(np.int32)
    return tuple(names.to_list()), index


def _offset(series: polars.Series) -> npt.NDArray[np.int32]:
    lengths = series.list.len().fill_null(0).to_numpy()
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)]).astype(np.int32)


def _values(series: polars.Series, dtype: type[np.generic]) -> npt.NDArray[Any]:
    return series.drop_nulls().explode().to_numpy().astype(dtype, copy=False)


def _check(timeline: Timeline, path: Path) -> None:
    """Refuse columns that would lead outside an array or run backwards."""
    tasks, resources = len(timeline), len(timeline.resources)
    table = timeline.resources
    demands, crossings, leases = timeline.demands, timeline.crossings, timeline.leases
    steps = timeline.rate_steps
    sizes = {len(column) for column in (table.names, table.kind, table.units, table.capacity)}
    apart = [len(demands.index) != len(demands.value), len(crossings.index) != len(crossings.value)]
    apart += [len({len(leases.task), len(leases.pool), len(leases.units), len(leases.end)}) > 1]
    apart += [len(sizes) > 1, len({len(steps.tick), len(steps.resource), len(steps.value)}) > 1]
    if any(apart):
        raise InputError("has columns of unequal length", where=str(path))
    bounds = (
        (timeline.cause, -1, tasks),
        (demands.index, 0, resources),
        (crossings.index, 0, resources),
        (leases.pool, 0, resources),
        (steps.resource, 0, resources),
    )
    if any(index.size and (index.min() < low or index.max() >= high) for index, low, high in bounds):
        raise InputError("names a task or resource that it does not hold", where=str(path))
    ended = timeline.end >= 0
    backwards = np.any(timeline.end[ended] < timeline.start[ended]) or np.any(leases.end < leases.start)
    if backwards or not 0 < timeline.tick_s <= 1 or np.any(timeline.start > timeline.now):
        raise InputError("has times that run backwards", where=str(path))
