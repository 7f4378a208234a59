"""A long run in bounded memory: requests come piece by piece, and those that are done leave.

In:  a `RowState` at a stop, requests of the next piece.
Out: the state with the requests that are still here and the new ones behind them; what the served ones took.
Renumbering requests at a stop changes no result: no event carries one but arrivals, which have all been played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.power.requests import RequestColumns
from armillary.power.row import records as at
from armillary.power.service_table import ServiceTable

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Served:
    """Requests that were served, in order of arrival within a piece; shape (requests,)."""

    group: npt.NDArray[np.int16]
    latency_s: npt.NDArray[np.float32]  # from arrival to the last token
    tokens: npt.NDArray[np.int32]
    ended_s: npt.NDArray[np.float32]


def served(state: at.RowState) -> Served:
    """Return the requests of `state` that have ended."""
    done = state.requests[state.requests["ended"] >= 0]
    return Served(
        group=done["group"].astype(np.int16),
        latency_s=((done["ended"] - done["arrived"]) * at.TICK_S).astype(np.float32),
        tokens=done["tokens"].astype(np.int32),
        ended_s=(done["ended"] * at.TICK_S).astype(np.float32),
    )


def joined(parts: Sequence[Served]) -> Served:
    """Return all of `parts`, one after the other."""
    return Served(
        group=np.concatenate([part.group for part in parts]),
        latency_s=np.concatenate([part.latency_s for part in parts]),
        tokens=np.concatenate([part.tokens for part in parts]),
        ended_s=np.concatenate([part.ended_s for part in parts]),
    )


def request_rows(columns: RequestColumns, tables: Sequence[ServiceTable]) -> npt.NDArray[np.void]:
    """Return the records (REQUEST) of `columns`."""
    rows = np.zeros(len(columns), at.REQUEST)
    rows["group"], rows["arrived"] = columns.group, columns.arrival
    rows["next"] = rows["started"] = rows["ended"] = at.NOBODY
    for group, table in enumerate(tables):
        chosen = np.flatnonzero(columns.group == group)
        rows[chosen] = table.fill(rows[chosen], columns.prompt[chosen], columns.output[chosen])
    return rows


def refilled(state: at.RowState, fresh: npt.NDArray[np.void]) -> tuple[at.RowState, int]:
    """Return the state without requests that have ended, with `fresh` ones, and the number of the first of these.

    Must be called at a stop at which every request of the state has arrived.
    """
    kept = np.flatnonzero(state.requests["ended"] < 0)
    number = np.full(len(state.requests) + 1, at.NOBODY)  # the last one stands for NOBODY
    number[kept] = np.arange(len(kept))
    requests = state.requests[kept]
    requests["next"] = number[requests["next"]]
    for name in ("head", "tail"):
        state.classes[name] = number[state.classes[name]]
    for name in ("head", "tail", "active"):
        state.lanes[name] = number[state.lanes[name]]
    prefilling = state.lanes["does"] == at.PREFILL
    state.lanes["serves"][prefilling] = number[state.lanes["serves"][prefilling]]
    return state._replace(requests=np.concatenate([requests, fresh])), len(kept)
