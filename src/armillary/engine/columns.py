"""Columns of a task graph as they are collected: what a caller gives, checked for shape and range, and frozen.

In:  single values or arrays of tasks; (row, index, value) entries of lists; dictionaries of resources.
Out: the arrays of which engine/graph.py makes a `TaskGraph`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.errors import InputError

# Column of a task -> (type, default).
TASK_COLUMNS: dict[str, tuple[type[np.generic], float]] = {
    "duration": (np.int64, 0),
    "latency": (np.int64, 0),
    "release": (np.int64, 0),
    "priority": (np.int32, 0),
    "sensitivity": (np.float64, 1.0),
    "bytes": (np.float64, 0.0),
    "rate_cap": (np.float64, np.inf),
    "weight": (np.int32, 1),
    "traffic_class": (np.int32, 0),
    "energy_fj": (np.int64, 0),
}
RESOURCE_DEFAULTS: dict[str, Any] = {
    "units": 0,
    "backfill": False,
    "capacity": 0.0,
    "quantum_bytes": 1.0,
    "depth": 1,
    "discipline": 0,
    "threshold": 1,
    "age_limit": 0,
    "class_cost": (1.0,),
}


def column(given: Any, count: int, dtype: type[np.generic], name: str) -> npt.NDArray[Any]:
    """Return one value for all, or an array, as the task column `name`, shape (count,).

    Raises:
        InputError: fractions in a column of whole numbers, another shape, or values that do not fit.
    """
    values = np.asarray(given)
    if np.issubdtype(dtype, np.integer) and not np.issubdtype(values.dtype, np.integer):
        raise InputError(
            f"task column {name!r} must be whole numbers, not {values.dtype}",
            hint="round with armillary.units.to_ticks",
        )
    if values.ndim and values.shape != (count,):
        raise InputError(f"task column {name!r} has shape {values.shape} for {count} tasks")
    info: Any = np.iinfo(np.dtype(dtype)) if np.issubdtype(dtype, np.integer) else None
    if info is not None and values.size and (values.min() < info.min or values.max() > info.max):
        raise InputError(f"task column {name!r} holds values that do not fit in {np.dtype(dtype).name}")
    return np.broadcast_to(values.astype(dtype), (count,))


def list_rows(row: Any, index: Any, value: Any, dtype: type[np.generic]) -> tuple[npt.NDArray[Any], ...]:
    """Return (row, index, value) of list entries, all of one length."""
    columns = (np.asarray(row, np.int64), np.asarray(index, np.int64), np.asarray(value, dtype))
    return tuple(one.ravel() for one in np.broadcast_arrays(*columns))


def joined(parts: list[npt.NDArray[Any]], dtype: type[np.generic]) -> npt.NDArray[Any]:
    """Return all parts of a column as one array."""
    return np.concatenate(parts) if parts else np.zeros(0, dtype)


def ragged(
    parts: list[tuple[npt.NDArray[Any], ...]], rows: int, dtype: type[np.generic]
) -> tuple[npt.NDArray[Any], ...]:
    """Return (offset, index, value) of entries added in any order, by row; the entries of a row keep their order.

    Raises:
        InputError: an entry of a row that does not exist.
    """
    row = joined([part[0] for part in parts], np.int64)
    index = joined([part[1] for part in parts], np.int64)
    value = joined([part[2] for part in parts], dtype)
    if row.size and (row.min() < 0 or row.max() >= rows):
        raise InputError(
            f"task {int(row.max() if row.max() >= rows else row.min())} does not exist", hint=f"there are {rows} tasks"
        )
    if np.any(row[1:] < row[:-1]):
        order = np.argsort(row, kind="stable")
        row, index, value = row[order], index[order], value[order]
    offset = np.zeros(rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=rows), out=offset[1:])
    return offset.astype(np.int32), index.astype(np.int32), value


def resource_columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return resources, each with every value of `RESOURCE_DEFAULTS`, as columns by name."""
    classes = max((len(row["class_cost"]) for row in rows), default=1)
    costs = np.ones((len(rows), classes))
    for index, row in enumerate(rows):
        costs[index, : len(row["class_cost"])] = row["class_cost"]
    pick = {name: [row[name] for row in rows] for name in ("name", "kind", *RESOURCE_DEFAULTS)}
    return {
        "names": tuple(pick["name"]),
        "kind": np.array(pick["kind"], np.int32),
        "units": np.array(pick["units"], np.int64),
        "backfill": np.array(pick["backfill"], np.bool_),
        "capacity": np.array(pick["capacity"], np.float64),
        "quantum_bytes": np.array(pick["quantum_bytes"], np.float64),
        "depth": np.array(pick["depth"], np.int32),
        "discipline": np.array(pick["discipline"], np.int32),
        "threshold": np.array(pick["threshold"], np.int32),
        "age_limit": np.array(pick["age_limit"], np.int64),
        "class_cost": costs,
    }
