"""Which activations stay in the scratchpad from the layer that writes them to the last that reads them.

In:  a `Network`, its placements and shapes, a `Chip`.
Out: `Residency`: lifetimes of all activations, which of them stay, and the bytes that stay at each layer.
What does not stay lies in the backing memory (DRAM, or the host's memory over its link) and is moved tile by tile.
Decided in the order of writing: a tensor stays if at every layer of its life there is room for it beside what was
decided before and the tiles that the layer and its neighbours need to work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import overload

import numpy as np
import numpy.typing as npt

from armillary.errors import InfeasibleError
from armillary.hardware import Chip
from armillary.npu.fuse import Network
from armillary.npu.geometry import Geometry, IntArray
from armillary.npu.place import Engine, Placement
from armillary.units import MIB
from armillary.workload import OpKind

# Outputs of these may lie where an input lay that nothing else needs.
_IN_PLACE = frozenset(
    {OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE, OpKind.ACTIVATION, OpKind.BATCH_NORM, OpKind.QUANTIZE}
)

SUM_BYTES = 4  # of a partial sum: int32 or fp32

# No store is known to be small before it is decided what stays.
UNKNOWN = 2**60


@dataclass(frozen=True, slots=True)
class Residency:
    """Lifetimes of activations; tensor columns have shape (tensors,), layer columns shape (layers,)."""

    names: tuple[str, ...]
    bytes: IntArray
    first: IntArray  # layer that writes it (0 for an input of the network)
    last: IntArray  # last layer that reads it
    resident: npt.NDArray[np.bool_]
    in_place_of: IntArray  # tensor whose bytes it takes over, -1: none
    live_bytes: IntArray  # bytes that stay while the layer runs
    smallest_bytes: IntArray  # room that the layer needs at its smallest tiling
    load_bytes: IntArray  # of its inputs that do not stay, each once; 0 for layers on the host
    store_bytes: IntArray  # of its outputs that do not stay
    staying: frozenset[str]  # names of the tensors that stay

    def stays(self, tensor: str) -> bool:
        """True if `tensor` stays in the scratchpad."""
        return tensor in self.staying


def reside(
    network: Network,
    placements: tuple[Placement, ...],
    shapes: Geometry,
    chip: Chip,
    moved: frozenset[str] = frozenset(),
) -> Residency:
    """Decide which activations of `network` stay in the scratchpad of `chip`; those in `moved` do not.

    Raises:
        InfeasibleError: a layer does not fit at its smallest tiling; names it, its largest tensor, the shortfall.
    """
    size = usable_bytes(chip)
    if chip.weight_buffer_bytes is not None:
        shapes = replace(shapes, weight_bytes=np.zeros_like(shapes.weight_bytes))  # they take no scratchpad
    on_chip = np.array([placement.engine != Engine.HOST for placement in placements], np.bool_)
    smallest = np.where(on_chip, smallest_room(shapes), 0)
    _refuse_what_cannot_fit(network, shapes, smallest, chip)
    room = layer_room(shapes, on_chip, chip)
    names, first, last, may_stay = _lifetimes(network, on_chip, chip)
    may_stay &= np.array([name not in moved for name in names], np.bool_)
    sizes = np.array([network.graph.tensors[name].bytes for name in names], np.int64)
    resident, in_place_of = np.zeros(len(names), np.bool_), np.full(len(names), -1, np.int64)
    places = _places(network, names, sizes, last)
    live = np.zeros(len(shapes), np.int64)
    # With a vector engine of its own, two neighbouring layers run at once, so a tensor stays one layer longer.
    linger = 0 if chip.vector.shares_array else 1
    for index in np.flatnonzero(may_stay).tolist():
        place_of = next((source for source in places.get(index, ()) if resident[source]), -1)
        # Where it takes over bytes, they are counted already while its writer runs.
        span = slice(int(first[index]) + (place_of >= 0), int(last[index]) + 1 + linger)
        if int((live[span] + room[span]).max(initial=0)) + int(sizes[index]) <= size:
            live[span] += sizes[index]
            resident[index], in_place_of[index] = True, place_of
    staying = frozenset(names[index] for index in np.flatnonzero(resident).tolist())
    loads, stores = _moved_bytes(network, set(names) - staying)
    loads, stores = np.where(on_chip, loads, 0), np.where(on_chip, stores, 0)
    return Residency(names, sizes, first, last, resident, in_place_of, live, smallest, loads, stores, staying)


def usable_bytes(chip: Chip) -> int:
    """Return the bytes of the scratchpad less what alignment may cost the cache and the seven buffers of one layer."""
    return int(chip.scratchpad.size.value) - 8 * (chip.scratchpad.alignment - 1)


@overload
def aligned(size: int, chip: Chip) -> int: ...
@overload
def aligned(size: IntArray, chip: Chip) -> IntArray: ...
def aligned(size: int | IntArray, chip: Chip) -> int | IntArray:
    """Return bytes rounded up to the alignment of the scratchpad, shape as given."""
    step = chip.scratchpad.alignment
    return -(-size // step) * step


def smallest_room(shapes: Geometry) -> IntArray:
    """Return the bytes that each layer needs with tiles of one row and channel, everything moved, shape (layers,).

    Where sums may be split, a tile is one input channel, beside the sums so far.
    """
    loads, stores = _tile_bytes(shapes, np.ones(len(shapes), np.int64), shapes.depth)
    return double_buffered(loads, stores, UNKNOWN)


def row_room(shapes: Geometry) -> IntArray:
    """Return the bytes that each layer needs with tiles of one row, one channel and all sums, shape (layers,)."""
    one = np.ones(len(shapes), np.int64)
    loads, stores = _tile_bytes(shapes, one, one)
    return double_buffered(loads, stores, UNKNOWN)


def layer_room(shapes: Geometry, on_chip: npt.NDArray[np.bool_], chip: Chip) -> IntArray:
    """Return the bytes to leave for the tiles of each layer and its neighbours, beside what stays, shape (layers,)."""
    working = np.minimum(_working_room(shapes, chip), int(chip.scratchpad.size.value) // 2)
    return neighbourhood(np.where(on_chip, np.maximum(smallest_room(shapes), working), 0))


def double_buffered(loads: IntArray, stores: IntArray, largest_store: int) -> IntArray:
    """Return the room that two tiles need which load and store these bytes, shape as given.

    While tile j runs, the loads of j and j + 1 and the stores of j - 1 and j lie in the scratchpad, of up to three
    layers. Their sum stays within the room R if a store takes at most S = min(largest store of the network, R / 8) and
    a load at most R / 2 - S (`tile_budgets`).
    """
    return np.maximum(8 * stores, np.minimum(2 * (loads + largest_store), -(-8 * loads // 3)))


def tile_budgets(room: IntArray, largest_store: int) -> tuple[IntArray, IntArray]:
    """Return (bytes that a tile may load, bytes that it may store) in `room`; the inverse of `double_buffered`."""
    store = np.minimum(largest_store, room // 8)
    return room // 2 - store, store


def neighbourhood(values: IntArray) -> IntArray:
    """Return the largest of each value and its two neighbours."""
    padded = np.pad(values, 1)
    return np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])


def _working_room(shapes: Geometry, chip: Chip) -> IntArray:
    """Return the room for tiles of one row and one granule of output channels, which keep the array filled."""
    whole = np.ones(len(shapes), np.int64)
    loads, stores = _tile_bytes(shapes, np.minimum(shapes.outputs, chip.array.granules.outputs), whole)
    return double_buffered(loads, stores, UNKNOWN)


def _places(network: Network, names: tuple[str, ...], sizes: IntArray, last: IntArray) -> dict[int, list[int]]:
    """Return, for outputs of element-by-element layers, the inputs that end there and have the same size."""
    number = {name: index for index, name in enumerate(names)}
    places: dict[int, list[int]] = {}
    for index, layer in enumerate(network.layers):
        if layer.op.kind in _IN_PLACE:
            output = number[layer.outputs[0]]
            inputs = [number[name] for name in layer.sources if name in layer.reads]
            places[output] = [source for source in inputs if last[source] == index and sizes[source] == sizes[output]]
    return places


def partial_bytes(shapes: Geometry, index: int | IntArray, rows: IntArray, channels: IntArray) -> IntArray:
    """Return the bytes that the sums of `rows` and `channels` of layer `index` take until they are whole."""
    return rows * shapes.positions[index] * channels * shapes.widening[index] * SUM_BYTES


def _tile_bytes(shapes: Geometry, channels: IntArray, parts: IntArray) -> tuple[IntArray, IntArray]:
    """Return (bytes loaded and summed up, bytes stored) of a tile: one row, `channels` outputs, one of `parts`."""
    share = channels / shapes.outputs
    rows_read = np.minimum(shapes.reach, shapes.in_rows)
    inputs = (
        (shapes.in_bytes + shapes.row_bytes) * rows_read / shapes.in_rows * np.where(shapes.by_channel == 1, share, 1.0)
    )
    sums = partial_bytes(shapes, np.arange(len(shapes)), np.ones(len(shapes), np.int64), channels)
    loads = np.ceil(inputs / parts) + np.ceil(shapes.weight_bytes * share / parts) + np.where(parts > 1, sums, 0)
    return loads.astype(np.int64), np.ceil(shapes.out_bytes * share / shapes.rows).astype(np.int64)


def _moved_bytes(network: Network, moved: set[str]) -> tuple[IntArray, IntArray]:
    """Return (bytes read, bytes written) of each layer outside of the scratchpad, each once, shape (layers,)."""
    tensors = network.graph.tensors
    loads, stores = [], []
    for layer in network.layers:
        stores.append(sum(tensors[name].bytes for name in layer.outputs if name in moved))
        if layer.source_bytes:
            read_of = zip(layer.sources, layer.source_bytes, strict=True)
            loads.append(sum(size for name, size in read_of if name in moved))
            continue
        read = sum(tensors[name].bytes for name in layer.reads)
        sources = sum(tensors[name].bytes for name in layer.sources)
        outside = sum(tensors[name].bytes for name in layer.sources if name in moved)
        # A view may be larger (repeated) or smaller (sliced) than its sources: the share that lies outside counts.
        loads.append(-(-read * outside // sources) if sources else 0)
    return np.array(loads, np.int64), np.array(stores, np.int64)


def _refuse_what_cannot_fit(network: Network, shapes: Geometry, smallest: IntArray, chip: Chip) -> None:
    size = usable_bytes(chip)
    if not len(smallest) or int(smallest.max()) <= size:
        return
    worst = int(smallest.argmax())
    layer = network.layers[worst]
    tensor = max((*layer.reads, *layer.weights, *layer.outputs), key=lambda name: network.graph.tensors[name].bytes)
    need = int(smallest[worst])
    raise InfeasibleError(
        f"layer {layer.name!r} needs {need / MIB:.3g} MiB of scratchpad at its smallest tiling, {chip.name} has "
        f"{size / MIB:.3g} MiB (short by {(need - size) / MIB:.3g} MiB); its largest tensor is {tensor!r} "
        f"{network.graph.tensors[tensor].shape}"
    )


def _lifetimes(
    network: Network, on_chip: npt.NDArray[np.bool_], chip: Chip
) -> tuple[tuple[str, ...], IntArray, IntArray, npt.NDArray[np.bool_]]:
    """Return names, first and last layer of all activations, and whether nothing forbids that they stay."""
    first: dict[str, int] = dict.fromkeys(network.inputs, 0)
    last: dict[str, int] = dict.fromkeys(network.inputs, 0)
    # Inputs arrive over the host link; where there is DRAM, they lie there like any other tensor.
    stays: dict[str, bool] = dict.fromkeys(network.inputs, chip.dram is None)
    for index, layer in enumerate(network.layers):
        for name in layer.outputs:
            first[name] = last[name] = index
            stays[name] = bool(on_chip[index])
        for name in layer.sources:
            last[name] = index
            stays[name] &= bool(on_chip[index])
    for name in stays if not chip.scratchpad.keeps_activations else network.outputs:
        stays[name] = False
    names = tuple(first)
    return (
        names,
        np.array([first[name] for name in names], np.int64),
        np.array([last[name] for name in names], np.int64),
        np.array([stays[name] for name in names], np.bool_),
    )
