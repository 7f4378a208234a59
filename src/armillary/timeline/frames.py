"""The timeline as polars tables.

In:  a `Timeline` and the name of a table. Out: "tasks" (a row per task), "resources" (a row per resource), "counters"
(rows counter, unit, time_s, value: each value holds from its time to that of the next row of its counter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import IntArray, Ragged, ResourceKind
from armillary.engine.trace import Status
from armillary.errors import unknown_name
from armillary.timeline.causes import Cause
from armillary.timeline.counters import power_counter, resource_counter
from armillary.timeline.power import FEMTOJOULE
from armillary.timeline.usage import held_ticks, utilisations

if TYPE_CHECKING:
    import polars

    from armillary.timeline.timeline import Timeline


def frame(timeline: Timeline, name: str) -> polars.DataFrame:
    """Return the table called `name`.

    Raises:
        InputError: there is none.
    """
    tables: dict[str, Callable[[Timeline], polars.DataFrame]] = {
        "tasks": _tasks,
        "resources": _resources,
        "counters": _counters,
    }
    if name not in tables:
        raise unknown_name("table", name, tables)
    return tables[name](timeline)


def _tasks(timeline: Timeline) -> polars.DataFrame:
    import polars as pl

    started = timeline.start >= 0
    stop = timeline.stop
    none = ~started
    seconds = {
        "start_s": timeline.start * timeline.tick_s,
        "end_s": stop * timeline.tick_s,
        "duration_s": (stop - timeline.start) * timeline.tick_s,
        "waited_s": (timeline.start - timeline.ready) * timeline.tick_s,
    }
    return pl.DataFrame(
        {
            "task": np.arange(len(timeline)),
            "name": pl.Series(timeline.labels, dtype=pl.String).gather(timeline.label),
            "kind": pl.Series(timeline.kinds, dtype=pl.String).gather(timeline.kind),
            **{name: pl.Series(np.where(none, np.nan, values), nan_to_null=True) for name, values in seconds.items()},
            "cause": pl.Series(timeline.cause.astype(np.int64)).replace(-1, None),
            "cause_kind": _names(Cause, timeline.cause_kind),
            "status": _names(Status, timeline.status),
            "bytes": timeline.bytes,
            "energy_j": timeline.energy_fj * FEMTOJOULE,
        }
    )


def _names(names: type[Cause] | type[Status], values: np.ndarray) -> polars.Series:
    import polars as pl

    words = [member.name.lower().replace("_", " ") for member in names]
    return pl.Series(words, dtype=pl.String).gather(values.astype(np.int64))


def _resources(timeline: Timeline) -> polars.DataFrame:
    import polars as pl

    table = timeline.resources
    flows = (table.kind == ResourceKind.LINK) | (table.kind == ResourceKind.ARBITER)
    tasks = _count(timeline, timeline.demands) + _count(timeline, timeline.crossings)
    tasks += np.bincount(timeline.leases.pool, minlength=len(table))
    started_bytes = np.where(timeline.start >= 0, timeline.bytes, 0.0)
    crossed = np.repeat(started_bytes, np.diff(timeline.crossings.offset))
    return pl.DataFrame(
        {
            "resource": pl.Series(table.names, dtype=pl.String),
            "kind": [ResourceKind(kind).name.lower() for kind in table.kind.tolist()],
            "units": pl.Series(np.where(flows, -1, table.units)).replace(-1, None),
            "capacity_per_s": pl.Series(np.where(flows, table.capacity, np.nan), nan_to_null=True),
            "uses": tasks,
            "held_unit_s": held_ticks(timeline) * timeline.tick_s,
            "bytes": np.bincount(timeline.crossings.index, weights=crossed, minlength=len(table)),
            "utilisation": utilisations(timeline),
        }
    )


def _count(timeline: Timeline, lists: Ragged) -> IntArray:
    started = np.repeat(timeline.start >= 0, np.diff(lists.offset))
    return np.bincount(lists.index[started], minlength=len(timeline.resources))


def _counters(timeline: Timeline) -> polars.DataFrame:
    import polars as pl

    counters = [
        *(resource_counter(timeline, index) for index in range(len(timeline.resources))),
        power_counter(timeline),
    ]
    return pl.concat(
        pl.DataFrame({"time_s": counter.tick * timeline.tick_s, "value": counter.value}).select(
            pl.lit(counter.name).alias("counter"), pl.lit(counter.unit).alias("unit"), "time_s", "value"
        )
        for counter in counters
    )
