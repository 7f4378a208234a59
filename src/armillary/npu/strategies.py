"""Choose a strategy for every layer, so that the sum of all prices is least where no single change lowers it.

In:  seconds of each layer under each strategy, what writing an output to every tile adds, and what an activation costs
that does not fit, whole or in segments: its way out and in, and what its readers have to load more than once.
Out: the strategy of each layer, and the price of each of the three with all other layers as they are.
Model: an activation lies in segments if all layers that touch it are split over rows, whole in every tile otherwise.
price = sum over layers of seconds + sum over activations of (spill + reloads of its readers + [in every tile] x what
its writer pays for that).
Layer by layer the cheapest strategy is taken until none changes; every step lowers the sum, so that it ends. There are
two starts, all over rows and each layer by itself, of which the cheaper end is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.segments import Flows

_LESS = 1e-9  # share of a price by which another one must be lower


class Strategy(IntEnum):
    """How the tiles of a chip share a layer; where prices are equal, the first one is taken."""

    ROWS = 0  # output rows: weights in every tile, activations in segments if their other users allow it
    CHANNELS = 1  # output channels: weights in parts, activations in every tile
    ONE = 2  # one tile does it all and writes the result to every tile


@dataclass(frozen=True, slots=True)
class Prices:
    """Seconds; layer tables have shape (layers, strategies), infinite where a strategy gives one part only."""

    compute_s: FloatArray
    broadcast_s: FloatArray  # that writing the output to every tile adds
    spill_s: FloatArray  # of each activation in segments, and whole in every tile; shape (tensors, 2)
    # (activation, reader, seconds of loading more than once: in segments and whole, by the strategy of the reader)
    again_s: tuple[tuple[int, int, FloatArray], ...]


def choose(prices: Prices, flows: Flows) -> tuple[IntArray, FloatArray]:
    """Return the strategy of each layer, shape (layers,), and the prices, seconds, shape (layers, strategies)."""
    alone = prices.compute_s.argmin(axis=1)
    rows = np.where(np.isfinite(prices.compute_s[:, Strategy.ROWS]), int(Strategy.ROWS), alone)
    ends = [_Search(prices, flows, start.tolist()) for start in (rows, alone)]
    best = min(ends, key=lambda end: end.total())
    table = [[best.price(layer, strategy) for strategy in Strategy] for layer in range(len(alone))]
    return np.array(best.chosen, np.int64), np.array(table, np.float64).reshape(-1, len(Strategy))


class _Search:
    """One descent: the strategies so far and, for each activation, how many users keep it from segments."""

    def __init__(self, prices: Prices, flows: Flows, start: list[int]) -> None:
        self.chosen = start
        self._compute, self._broadcast = prices.compute_s.tolist(), prices.broadcast_s.tolist()
        self._spill, self._writer = prices.spill_s.tolist(), flows.writer
        self._again: list[list[tuple[int, list[list[float]]]]] = [[] for _ in flows.names]
        for tensor, reader, again_s in prices.again_s:
            self._again[tensor].append((reader, again_s.tolist()))
        self._touched: list[list[int]] = [[] for _ in start]
        self._against = np.where(flows.by_rows, 0, 1).tolist()
        for tensor, users in enumerate(flows.users):
            for layer in users:
                self._touched[layer].append(tensor)
                self._against[tensor] += start[layer] != Strategy.ROWS
        while self._sweep():
            pass

    def price(self, layer: int, strategy: int) -> float:
        """Return all terms of the sum that depend on the strategy of `layer`."""
        change = (strategy != Strategy.ROWS) - (self.chosen[layer] != Strategy.ROWS)
        total: float = self._compute[layer][strategy]
        before, self.chosen[layer] = self.chosen[layer], strategy
        for tensor in self._touched[layer]:
            total += self._of_tensor(tensor, self._against[tensor] + change > 0)
        self.chosen[layer] = before
        return total

    def _of_tensor(self, tensor: int, everywhere: bool) -> float:
        """Return the terms of one activation that lies in segments or whole in every tile."""
        total: float = self._spill[tensor][everywhere]
        writer = self._writer[tensor]
        if everywhere and writer >= 0:
            total += self._broadcast[writer][self.chosen[writer]]
        for reader, again_s in self._again[tensor]:
            total += again_s[everywhere][self.chosen[reader]]
        return total

    def total(self) -> float:
        """Return the sum of all prices."""
        total: float = sum(self._compute[layer][strategy] for layer, strategy in enumerate(self.chosen))
        return total + sum(self._of_tensor(tensor, against > 0) for tensor, against in enumerate(self._against))

    def _sweep(self) -> bool:
        """Give every layer its cheapest strategy; return whether one changed."""
        changed = False
        for layer, before in enumerate(self.chosen):
            prices = [self.price(layer, strategy) for strategy in Strategy]
            best = int(np.argmin(prices))
            if prices[best] < prices[before] * (1 - _LESS):
                for tensor in self._touched[layer]:
                    self._against[tensor] += (best != Strategy.ROWS) - (before != Strategy.ROWS)
                self.chosen[layer] = best
                changed = True
        return changed
