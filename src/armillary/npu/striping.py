"""The layers of a network with chains cut into stripes.

In:  a `Network` and the `Chain`s to cut.
Out: `Striping`: the network in which stripe 0 of every layer of a chain comes before stripe 1 of any, and the whole
layer that each one is a stripe of.
A stripe is a layer like any other: it reads rows of tensors that lie in memory and writes a tensor of its own rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from armillary.npu.chains import Chain, Links, links, trace
from armillary.npu.fuse import Layer, Network
from armillary.npu.geometry import IntArray
from armillary.npu.reside import Residency
from armillary.npu.rows import Ranges, stripe_window
from armillary.workload import Graph, Tensor


@dataclass(frozen=True, slots=True)
class Striping:
    """Whole layers, and the stripes that stand for some of them."""

    whole: Network
    network: Network
    origin: IntArray  # whole layer of which each layer is a stripe, shape (layers,)
    leaving: frozenset[str]  # tensors, and pieces of them, that left the scratchpad when all layers were whole
    chains: tuple[Chain, ...]  # taken and refused, in program order

    @property
    def whole_place(self) -> IntArray:
        """First layer that stands for each whole layer, shape (whole layers,)."""
        return np.unique(self.origin, return_index=True)[1]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Rows [low, high) of a tensor, as a tensor."""

    name: str
    low: int
    high: int
    number: int = -1  # of the stripe that writes it


def unstriped(network: Network) -> Striping:
    """Return `network` with every layer whole."""
    return Striping(network, network, np.arange(len(network.layers)), frozenset(), ())


def cut_rows(network: Network, chains: tuple[Chain, ...], residency: Residency) -> Striping:
    """Return `network` with the chains that are taken cut into stripes.

    What left the scratchpad with whole layers (`residency`) leaves it still, but for what a chain hands on inside: so
    the layers around a chain are as they were.
    """
    linked = links(network)
    begins = {chain.first: chain for chain in chains if chain.taken}
    tensors, pieces = dict(network.graph.tensors), dict[str, list[_Piece]]()
    layers: list[Layer] = []
    origin: list[int] = []
    index = 0
    while index < len(network.layers):
        chain = begins.get(index)
        if chain is None:
            layers.append(_reading_pieces(network.layers[index], pieces))
            origin.append(index)
            index += 1
        else:
            stripes = _stripes(linked, chain, tensors, pieces)
            layers += [layer for layer, _ in stripes]
            origin += [whole for _, whole in stripes]
            index = chain.last + 1
    graph = Graph(network.graph.name, tensors, network.graph.operators, network.graph.inputs, network.graph.outputs)
    cut = Network(graph, tuple(layers), network.inputs, _named(network.outputs, pieces))
    left = tuple(name for name in residency.names if not residency.stays(name))
    return Striping(network, cut, np.array(origin, np.int64), frozenset(_named(left, pieces)), chains)


def _stripes(
    linked: Links, chain: Chain, tensors: dict[str, Tensor], pieces: dict[str, list[_Piece]]
) -> list[tuple[Layer, int]]:
    """Return all stripes of `chain` with the whole layer of each; adds their tensors, and the `pieces` for others."""
    traced = trace(linked, chain.first, chain.last, (chain.stripes,))
    assert traced is not None  # a chain that is taken was traced before
    span = range(chain.first, chain.last + 1)
    made: dict[str, list[_Piece]] = {}
    for index, ranges, stored, until in zip(span, traced.out, traced.stored, traced.until, strict=True):
        name = linked.output(index)
        made[name] = _cut(name, "#", ranges, tensors)
        # What the chain reads too is there twice: the stripe that it works on, and the rows that are stored.
        pieces[name] = [] if stored is None else made[name] if until < 0 else _cut(name, "#stored", stored, tensors)
    stripes = []
    for number in range(chain.stripes):
        for index, ranges_of in zip(span, traced.data, strict=True):
            data = [(int(low[number]), int(high[number])) for low, high in ranges_of]
            stripes.append((_stripe(linked, index, number, data, made, tensors, pieces), index))
    return stripes


def _stripe(
    linked: Links,
    index: int,
    number: int,
    data: list[tuple[int, int]],
    made: dict[str, list[_Piece]],
    tensors: dict[str, Tensor],
    pieces: dict[str, list[_Piece]],
) -> Layer:
    """Return stripe `number` of layer `index`, which reads rows `data` of its inputs.

    Args:
        linked: the network with whole layers.
        index: the whole layer.
        number: which stripe of it.
        data: rows [low, high) of each of its reads.
        made: the stripes of all tensors of the chain.
        tensors: all tensors by name; views are added.
        pieces: what lies in memory of tensors that this and other chains wrote.
    """
    layer = linked.network.layers[index]
    written = made[layer.outputs[0]][number]
    sources: dict[str, int] = {}
    views: dict[str, str] = {}
    for read, (low, high) in zip(linked.reads[index] or (), data, strict=True):
        for leaf in read.leaves:
            whole = [_Piece(leaf, 0, tensors[leaf].shape[2])]
            for piece in [made[leaf][number]] if leaf in made else pieces.get(leaf, whole):
                rows = min(piece.high, high) - max(piece.low, low)
                if rows > 0:
                    sources[piece.name] = sources.get(piece.name, 0) + _rows_of(tensors[leaf], leaf, rows).bytes
        own = made[read.name][number] if read.name in made else _Piece(read.name, 0, tensors[read.name].shape[2])
        same = (own.low, own.high) == (low, high)
        views[read.name] = own.name if same else _view(read.name, low, high, tensors)
    op = replace(
        layer.op,
        name=f"{layer.op.name}#{number}",
        inputs=tuple(views.get(name, name) for name in layer.op.inputs),
        outputs=(written.name,),
        window=stripe_window(layer, linked.network.graph, (written.low, written.high), data[0]),
    )
    stored = [each.name for each in pieces[layer.outputs[0]] if each.number == number and each.name != written.name]
    return replace(
        layer,
        op=op,
        reads=tuple(views[name] for name in layer.reads),
        sources=tuple(sources),
        source_bytes=tuple(sources.values()),
        outputs=(written.name, *stored),
    )


def _cut(name: str, mark: str, ranges: Ranges, tensors: dict[str, Tensor]) -> list[_Piece]:
    """Return the pieces of tensor `name` in `ranges` that have a row, added to `tensors`."""
    low, high = ranges[0].tolist(), ranges[1].tolist()
    return [
        _Piece(_tensor(name, f"{mark}{number}", row_from, row_to, tensors), row_from, row_to, number)
        for number, (row_from, row_to) in enumerate(zip(low, high, strict=True))
        if row_to > row_from
    ]


def _reading_pieces(layer: Layer, pieces: dict[str, list[_Piece]]) -> Layer:
    """Return a whole layer that reads the pieces of what was cut."""
    if not any(name in pieces for name in layer.sources):
        return layer
    return replace(layer, sources=_named(layer.sources, pieces))


def _named(names: tuple[str, ...], pieces: dict[str, list[_Piece]]) -> tuple[str, ...]:
    return tuple(piece.name for name in names for piece in pieces.get(name, [_Piece(name, 0, 0)]))


def _view(name: str, low: int, high: int, tensors: dict[str, Tensor]) -> str:
    """Return the name of rows [low, high) of tensor `name`, added to `tensors` if it is new."""
    view = f"{name}[{low}:{high}]"
    known = tensors.get(view)
    if known is not None and known == _rows_of(tensors[name], view, high - low):
        return view
    return _tensor(name, f"[{low}:{high}]", low, high, tensors)


def _tensor(name: str, suffix: str, low: int, high: int, tensors: dict[str, Tensor]) -> str:
    """Add rows [low, high) of tensor `name` to `tensors` under a name that nothing else has."""
    fresh = f"{name}{suffix}"
    while fresh in tensors:
        fresh += "'"
    tensors[fresh] = _rows_of(tensors[name], fresh, high - low)
    return fresh


def _rows_of(tensor: Tensor, name: str, rows: int) -> Tensor:
    batch, channels, _, width = tensor.shape
    return Tensor(name, (batch, channels, rows, width), tensor.dtype)
