"""Replay of the Azure LLM inference traces, or of any trace with their columns.

In:  a CSV file with TIMESTAMP, ContextTokens, GeneratedTokens, in ascending time.
Out: `Trace`, and its requests as pieces for a row: spread over the classes of the row by their servers.
Which class a request goes to is drawn from its number alone; with r times the servers the trace is played r times as
fast, so that the load of a server stays.
Source: Azure/AzurePublicDataset, CC-BY.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armillary.engine.hash import component_id, uniforms
from armillary.errors import InputError
from armillary.power.csv_columns import read_columns
from armillary.power.requests import PIECE_S, RequestColumns

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trace:
    """Requests of a trace in order of arrival, shape (requests,)."""

    time_s: FloatArray  # from the first request on
    prompt: IntArray
    output: IntArray

    @property
    def seconds(self) -> float:
        """From the first to the last request."""
        return float(self.time_s[-1])


def read_trace(path: str | Path) -> Trace:
    """Read a trace.

    Raises:
        InputError: no such file, a column is missing, a prompt below 1 or an output below 0, unsorted times, or a
            value that is no number; names the line.
    """
    columns = read_columns(path, ("TIMESTAMP", "ContextTokens", "GeneratedTokens"))
    prompt = columns.numbers("ContextTokens", least=1.0, whole=True)
    output = columns.numbers("GeneratedTokens", least=0.0, whole=True)
    if max(prompt.max(), output.max()) > 1_000_000:
        raise InputError("a request of more than a million tokens", where=str(path))
    stamps = columns.times("TIMESTAMP")
    time = np.array([(stamp - stamps[0]).total_seconds() for stamp in stamps])
    columns.ascending(time)
    return Trace(time, prompt.astype(np.int64), output.astype(np.int64))


def trace_pieces(
    trace: Trace,
    servers: Sequence[int],
    *,
    scale: float,
    seed: int,
    start_s: float,
    tick_s: float,
    piece_s: float = PIECE_S,
) -> Iterator[tuple[float, RequestColumns]]:
    """Yield (end in seconds, requests) of one piece of time after the other.

    Args:
        trace: what is played.
        servers: of each class of the row: its share of the requests.
        scale: how many times as fast.
        seed: of the drawing of classes.
        start_s: time of the first request.
        tick_s: of the row.
        piece_s: length of a piece.
    """
    bounds = np.cumsum(servers) / sum(servers)
    drawn = uniforms(len(trace.time_s), seed, component_id("power.trace"), 0, 0)
    group = np.minimum(np.searchsorted(bounds, drawn, side="right"), len(servers) - 1)
    at_s = start_s + trace.time_s / scale
    arrival = np.floor(at_s / tick_s).astype(np.int64)
    end_s = float(at_s[-1]) + tick_s
    for piece in range(int(np.ceil(end_s / piece_s))):
        last_s = min((piece + 1) * piece_s, end_s)
        chosen = slice(*np.searchsorted(at_s, [piece * piece_s, last_s]))
        order = np.lexsort((group[chosen], arrival[chosen]))
        columns = [column[chosen][order] for column in (arrival, group, trace.prompt, trace.output)]
        yield last_s, RequestColumns(*columns)
