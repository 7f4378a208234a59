"""How fast a chip moves bytes between its scratchpad and the memories behind it.

In:  a `Chip`. Out: rates in bytes/s, latencies in seconds, queues, bytes as they lie in memory.
"""

from __future__ import annotations

import numpy as np

from armillary.hardware import Chip
from armillary.npu.geometry import IntArray


def transfer_rate(chip: Chip) -> tuple[float, float]:
    """Return (bytes/s, latency in s) of the backing memory: DRAM, or the host's memory over its link.

    The rate of DRAM is that of all its DMA engines together, where that is less.
    """
    if chip.dram is not None:
        engines = chip.dram.dma_engines * chip.dram.engine_rate.value if chip.dram.engine_rate else np.inf
        return min(chip.dram.rate.value, engines), chip.dram.latency.value
    assert chip.host_link is not None  # a chip has one of the two
    return chip.host_link.rate.value, chip.host_link.latency.value


def weight_rate(chip: Chip) -> tuple[float, float]:
    """Return (bytes/s, latency in s) of the memory that weights come from: their own, or that of the activations."""
    if chip.weight_memory is None:
        return transfer_rate(chip)
    return chip.weight_memory.rate.value, chip.weight_memory.latency.value


def encoded_bytes(weight_bytes: IntArray, chip: Chip) -> IntArray:
    """Return the bytes of weights as they lie in memory and move, shape as given."""
    if chip.weight_memory is None or chip.weight_memory.compression.value == 1:
        return weight_bytes
    return np.asarray(np.ceil(weight_bytes * chip.weight_memory.compression.value), np.int64)


def transfer_engines(chip: Chip) -> int:
    """Return the number of queues that move tiles: the DMA engines, or the one host link."""
    return chip.dram.dma_engines if chip.dram is not None else 1


def weight_engines(chip: Chip) -> int:
    """Return the number of queues that move weights."""
    return 1 if chip.weight_memory is not None else transfer_engines(chip)
