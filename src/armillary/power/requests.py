"""Requests of a row: generated from a load, piece by piece.

In:  the classes of a row (service and priority, servers, sizes), a `LoadCurve`, a seed.
Out: `RequestColumns` of one piece of time after the other; requests never depend on a policy.
Model: each class is a Poisson process whose rate follows the load: rate(t) = servers x load(t) x rate of a busy one.
       Request i arrives where the integral of the rate reaches the sum of its first i unit exponentials, so that with
       more servers the same requests (prompts, outputs) come earlier, in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.engine.hash import component_id, uniforms
from armillary.power.load import LoadCurve
from armillary.power.topology import Sizes

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_GAP, _PROMPT, _OUTPUT = range(3)  # streams of draws
PIECE_S: Final = 21_600.0


@dataclass(frozen=True, slots=True)
class RequestColumns:
    """Requests in order of arrival, shape (requests,)."""

    arrival: IntArray  # ticks
    group: IntArray  # class of the row: service and priority
    prompt: IntArray  # tokens
    output: IntArray  # tokens

    def __len__(self) -> int:
        return len(self.arrival)

    def between(self, first: int, last: int) -> RequestColumns:
        """Return the requests that arrive from tick `first` to before tick `last`."""
        chosen = slice(*np.searchsorted(self.arrival, [first, last]))
        return RequestColumns(*(column[chosen] for column in (self.arrival, self.group, self.prompt, self.output)))


@dataclass(frozen=True, slots=True)
class Source:
    """Where the requests of one class come from."""

    name: str  # of service and priority: names its draws
    prompt: Sizes
    output: Sizes
    rate_per_s: float  # of all its servers at load 1


def generate(
    sources: Sequence[Source], curve: LoadCurve, *, seed: int, tick_s: float, piece_s: float = PIECE_S
) -> Iterator[RequestColumns]:
    """Yield the requests of one piece of the curve after the other, piece k of [k x piece_s, (k + 1) x piece_s)."""
    edges_s: FloatArray = np.arange(len(curve.load) + 1, dtype=np.float64) * curve.bin_s
    work = np.concatenate([[0.0], np.cumsum(curve.load) * curve.bin_s])  # busy seconds at rate 1
    streams = [_Stream(source, seed, edges_s, work) for source in sources]
    pieces = int(np.ceil(curve.seconds / piece_s))
    for piece in range(pieces):
        end_s = min((piece + 1) * piece_s, curve.seconds)
        parts = [stream.until(end_s, tick_s) for stream in streams]
        sizes = [len(part[0]) for part in parts]
        columns = [np.concatenate([np.zeros(0, np.int64), *(part[at] for part in parts)]) for at in range(3)]
        group = np.repeat(np.arange(len(sources)), sizes)
        order = np.lexsort((group, columns[0]))
        yield RequestColumns(columns[0][order], group[order], columns[1][order], columns[2][order])


class _Stream:
    """The requests of one class, drawn as far as they are needed."""

    def __init__(self, source: Source, seed: int, edges_s: FloatArray, work: FloatArray) -> None:
        self._source, self._seed, self._edges_s, self._work = source, seed, edges_s, work
        self._component = component_id(f"power.requests.{source.name}")
        self._drawn = 0  # requests so far
        self._sum = 0.0  # of their exponentials

    def until(self, end_s: float, tick_s: float) -> tuple[IntArray, IntArray, IntArray]:
        """Return arrival, prompt and output of the requests before `end_s` that were not returned yet."""
        rate = self._source.rate_per_s
        goal = rate * float(np.interp(end_s, self._edges_s, self._work))
        parts: list[FloatArray] = []
        first, total = self._drawn, self._sum
        while total < goal:
            count = int((goal - total) * 1.05) + 64
            sums = total + np.cumsum(-np.log(uniforms(count, self._seed, self._component, self._drawn, _GAP)))
            parts.append(sums)
            self._drawn += count
            total = float(sums[-1])
        sums = np.concatenate(parts) if parts else np.zeros(0)
        sums = sums[sums < goal]
        self._drawn = first + len(sums)
        self._sum = float(sums[-1]) if len(sums) else self._sum
        arrival_s = np.interp(sums / rate, self._work, self._edges_s) if rate else sums
        sizes = [
            _sizes(span, uniforms(len(sums), self._seed, self._component, first, stream))
            for span, stream in ((self._source.prompt, _PROMPT), (self._source.output, _OUTPUT))
        ]
        return np.floor(arrival_s / tick_s).astype(np.int64), sizes[0], sizes[1]


def _sizes(span: Sizes, uniform: FloatArray) -> IntArray:
    return span.low + np.floor(uniform * (span.high - span.low + 1)).astype(np.int64)
