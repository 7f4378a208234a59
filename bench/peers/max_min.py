"""Flows on several links in NumPy: max-min fair rates by progressive filling, recomputed at every event.

In:  chains of transfers over links of equal capacity, as columns. Out: the end of every transfer, in ticks (floats).
Equal rates for all open flows; the link that fills first fixes its flows (Bertsekas, Gallager, Data Networks, 6.5.2).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def fair_rates(crossed: IntArray, capacity: FloatArray) -> FloatArray:
    """Max-min fair rate of each flow.

    Args:
        crossed: links of each flow, shape (flows, links a flow).
        capacity: of each link, shape (links,).
    """
    rate = np.zeros(len(crossed))
    is_open = np.ones(len(crossed), np.bool_)
    left = capacity.copy()
    while is_open.any():
        load = np.bincount(crossed[is_open].ravel(), minlength=len(capacity))
        level = np.where(load > 0, left / np.maximum(load, 1), np.inf)
        link = int(np.argmin(level))
        fixed = is_open & (crossed == link).any(axis=1)
        rate[fixed] = level[link]
        left -= level[link] * np.bincount(crossed[fixed].ravel(), minlength=len(capacity))
        is_open &= ~fixed
    return rate


def play_chains(amount: FloatArray, crossed: IntArray, capacity: FloatArray, chains: int) -> FloatArray:
    """End of each transfer of `amount` bytes; transfer i + chains begins when transfer i ends (a whole tick, up)."""
    end = np.zeros(len(amount))
    active = np.arange(chains)
    left = amount[:chains].copy()
    now = 0.0
    while len(active):
        rate = fair_rates(crossed[active], capacity)
        due = now + np.ceil(left / rate)
        then = due.min()
        left = np.maximum(0.0, left - rate * (then - now))
        now = then
        over = due == now
        end[active[over]] = now
        following = active[over] + chains
        following = following[following < len(amount)]
        active = np.concatenate([active[~over], following])
        left = np.concatenate([left[~over], amount[following]])
    return end
