"""Chains of layers that may run stripe by stripe, and the rows that each stripe of each layer takes.

In:  a `Network`, and what each of its layers reads (`rows`).
Out: `Chain`, the verdict on layers that follow each other, and `trace`, the rows of every stripe.
A chain is a run of layers in program order. What they write and only they read stays inside it. What others read is
stored piece by piece, each row once; if the chain reads it too, it finds its rows, halo included, in the scratchpad.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from armillary.npu.fuse import Network
from armillary.npu.rows import Ranges, Read, input_ranges, reads_by_rows


@dataclass(frozen=True, slots=True)
class Chain:
    """Layers `first` to `last` of a network, and whether they run stripe by stripe."""

    first: int
    last: int
    stripes: int  # the best count that was found, 0: none
    halo: float  # work done twice, as a share of the work of the chain
    bytes_before: int  # moved between scratchpad and backing memory, with all layers whole
    bytes_after: int  # the same with stripes
    before_s: float  # price with all layers whole
    after_s: float  # the same with stripes
    refused: str  # why it stays whole, "": it runs stripe by stripe

    @property
    def taken(self) -> bool:
        """True if the chain runs stripe by stripe."""
        return not self.refused


@dataclass(frozen=True, slots=True)
class Links:
    """Who reads what, of a network whose layers may be cut by rows."""

    network: Network
    reads: tuple[tuple[Read, ...] | None, ...]  # of each layer; None: it cannot be cut by rows
    writer: dict[str, int]
    last_reader: dict[str, int]  # beyond the last layer for the outputs of the network

    def output(self, layer: int) -> str:
        """Return the tensor that `layer` writes (its first one)."""
        return self.network.layers[layer].outputs[0]

    def height(self, layer: int) -> int:
        """Return the rows of the output of a layer that can be cut."""
        return self.network.graph.tensors[self.output(layer)].shape[2]


@dataclass(frozen=True, slots=True)
class Trace:
    """Rows of all stripes of a chain for several counts of stripes at once, one count after the other.

    Every array has shape (stripes of all counts,).
    """

    out: tuple[Ranges, ...]  # of each layer of the chain: rows of its output
    stored: tuple[Ranges | None, ...]  # of each layer: those of these rows that are stored for others; None: no others
    until: tuple[int, ...]  # of each layer: the last layer of the chain that reads its output, -1: none
    data: tuple[tuple[Ranges, ...], ...]  # of each layer and each of its reads: rows of the input


def links(network: Network) -> Links:
    """Return who reads what in `network`."""
    writer = {name: index for index, layer in enumerate(network.layers) for name in layer.outputs}
    real = {*network.inputs, *writer}
    last_reader = {name: index for index, layer in enumerate(network.layers) for name in layer.sources}
    last_reader |= dict.fromkeys(network.outputs, len(network.layers))
    reads = tuple(reads_by_rows(layer, network.graph, real) for layer in network.layers)
    return Links(network, reads, writer, last_reader)


def inside(linked: Links, name: str, first: int, last: int) -> bool:
    """True if layers `first` to `last` write `name` and nobody else reads it."""
    return first <= linked.writer.get(name, -1) <= last and first < linked.last_reader.get(name, -1) <= last


def trace(linked: Links, first: int, last: int, counts: tuple[int, ...]) -> Trace | None:
    """Return the rows of all stripes of layers `first` to `last` for each of `counts`; None if one is read whole.

    Backwards from the last layer: a stripe of what only others read is its share of the rows; of the rest it is what
    the same stripe of its readers needs, and the rows up to the next one that none needs. Of these, the rows that no
    stripe before made are stored, where others read them too.
    """
    number = np.concatenate([np.arange(count) for count in counts])
    count_of = np.repeat(counts, counts)
    begins, ends = number == 0, number == count_of - 1
    needs: dict[int, Ranges] = {}
    until: dict[int, int] = {}
    out: list[Ranges] = []
    stored: list[Ranges | None] = []
    data: list[tuple[Ranges, ...]] = []
    for index in range(last, first - 1, -1):
        layer, height, need = linked.network.layers[index], linked.height(index), needs.get(index)
        if need is None:
            low, high = number * height // count_of, (number + 1) * height // count_of
        else:
            low = np.where(begins, 0, need[0])
            following = np.append(low[1:], 0)
            high = np.where(ends, height, np.maximum(need[1], following))
        out.append((low, high))
        others = not inside(linked, layer.outputs[0], first, last)
        stored.append((np.where(begins, 0, np.append(0, high[:-1])), high) if others else None)
        read_ranges: list[Ranges] = []
        for read in linked.reads[index] or ():
            rows = linked.network.graph.tensors[read.name].shape[2]
            if read.whole:
                needed = np.zeros_like(low), np.full_like(high, rows)
            else:
                needed = input_ranges(layer, linked.network.graph, low, high)
            read_ranges.append(needed)
            for leaf in read.leaves:
                writer = linked.writer.get(leaf, -1)
                if writer < first:
                    continue
                if read.whole:
                    return None
                until.setdefault(writer, index)
                known = needs.get(writer)
                needs[writer] = (
                    needed if known is None else (np.minimum(known[0], needed[0]), np.maximum(known[1], needed[1]))
                )
        data.append(tuple(read_ranges))
    return Trace(
        tuple(reversed(out)),
        tuple(reversed(stored)),
        tuple(until.get(index, -1) for index in range(first, last + 1)),
        tuple(reversed(data)),
    )
