"""The resources of a chip in the event engine.

In:  a `Chip` and the bytes that cached weights take. Out: `Queues`, the resource numbers in a `GraphBuilder`.
Servers are in-order queues (their order is a chain of edges): the array, the vector engine unless it shares the array,
DMA engines, that of the weights where these lie in a memory of their own, the host link, the host. Bytes of transfers
share the rate of the memory or link behind them; the rest of the scratchpad is a pool from which tiles and activations
take leases, a buffer of weights another one.
"""

from __future__ import annotations

from dataclasses import dataclass

from armillary.engine import GraphBuilder
from armillary.hardware import Chip

ARRAY, VECTOR, HOST, HOST_LINK, DRAM, SCRATCHPAD = "Array", "Vector", "Host", "Host link", "DRAM", "Scratchpad"
BACKING = (DRAM, "HBM", "SRAM")  # names that the memory of the activations may have
WEIGHT_MEMORY, WEIGHT_BUFFER, WEIGHT_DMA = "Weight memory", "Weight buffer", "Weight DMA"
CONTROL, DRIVER = "Control", "Driver"  # there if issuing and submitting cost anything (`dispatch`)
ONE_AT_A_TIME = " queue"  # suffix of the server that keeps transfers of a link in order


@dataclass(frozen=True, slots=True)
class Queues:
    """Resource numbers; -1 where the chip has no such part."""

    array: int
    vector: int  # the array's where they share
    host: int
    link: int  # bytes to and from the host
    link_queue: int
    dram: int
    dma: tuple[int, ...]
    scratchpad: int
    weight_memory: int  # where weights lie apart from the activations
    weight_dma: int
    weight_room: int  # the pool in which weights wait: the scratchpad, or a buffer of their own

    @property
    def backing(self) -> int:
        """The link behind the scratchpad: DRAM, or the host link where there is none."""
        return self.dram if self.dram >= 0 else self.link

    @property
    def movers(self) -> tuple[int, ...]:
        """Queues that move tiles between scratchpad and backing memory; the last one stores, the others load."""
        return self.dma or (self.link_queue,)


def declare(build: GraphBuilder, chip: Chip, cached_bytes: int) -> Queues:
    """Add the resources of `chip` to `build`."""
    array = build.server(ARRAY)
    vector = array if chip.vector.shares_array else build.server(VECTOR)
    host = build.server(HOST)
    link = link_queue = dram = -1
    dma: tuple[int, ...] = ()
    if chip.host_link is not None:
        link = build.link(HOST_LINK, capacity=chip.host_link.rate.value)
        link_queue = build.server(HOST_LINK + ONE_AT_A_TIME)
    if chip.dram is not None:
        dram = build.link(chip.dram.kind, capacity=chip.dram.rate.value)
        dma = tuple(build.server(f"DMA {number}") for number in range(chip.dram.dma_engines))
    scratchpad = build.pool(SCRATCHPAD, units=int(chip.scratchpad.size.value) - cached_bytes)
    weight_memory = weight_dma = -1
    weight_room = scratchpad
    if chip.weight_memory is not None:
        weight_memory = build.link(WEIGHT_MEMORY, capacity=chip.weight_memory.rate.value)
        weight_dma = build.server(WEIGHT_DMA)
        if chip.weight_buffer_bytes is not None:
            weight_room = build.pool(WEIGHT_BUFFER, units=chip.weight_buffer_bytes)
    return Queues(array, vector, host, link, link_queue, dram, dma, scratchpad, weight_memory, weight_dma, weight_room)


def memory_among(names: tuple[str, ...] | list[str]) -> str | None:
    """Return the name of the memory of the activations among resource names, None where there is none."""
    return next((name for name in BACKING if name in names), None)
