"""Vertical fusion: chains of layers that run stripe by stripe, so that what they hand on stays in the scratchpad.

In:  a `Plan` in which every layer is whole.
Out: `Chain`s, taken and refused; `striping.cut_rows` cuts the ones that are taken.
Greedy, from the first layer whose output would leave the scratchpad for a reader that could follow at once: the chain
grows layer by layer while some count of stripes fits the scratchpad and repeats less than a fifth of the work, and
the length with the largest gain is taken. A chain is priced as steps (`pace`): products of every stripe with its halo,
cost of every layer once a stripe, rows of inputs and outputs that move, and weights once if they fit beside the
stripes, else once a stripe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from armillary.npu.chains import Chain, Links, Trace, links, trace
from armillary.npu.geometry import FloatArray, IntArray
from armillary.npu.pace import pace, step_s
from armillary.npu.place import Engine
from armillary.npu.plan import Plan
from armillary.npu.price import compute_cycles
from armillary.npu.reside import layer_room
from armillary.npu.rows import row_bytes
from armillary.workload import OpKind

MAX_HALO = 0.20  # share of the work of a chain that may be done twice: spec npu, section 5
MAX_LAYERS = 16  # of one chain
WORTHWHILE = 0.01  # share of the price of a chain that must be saved
_LOADED = 3 / 8  # of the room for tiles, that one tile may load: `tile_budgets`
_COUNTS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)  # stripes that are tried


@dataclass(frozen=True, slots=True)
class _Whole:
    """What the layers of a plan cost and move as they are; arrays have shape (layers,)."""

    plan: Plan
    linked: Links
    price_s: FloatArray
    compute_s: FloatArray  # its part that stripes cannot save
    moved: IntArray  # bytes
    room: IntArray  # bytes that tiles need beside what stays
    work: FloatArray  # products, or elements read where there are none
    stream: IntArray  # bytes of the weights that are not cached


@dataclass(frozen=True, slots=True)
class _Priced:
    """The best count of stripes of one chain, or why there is none."""

    stripes: int = 0
    halo: float = 0.0
    moved: int = 0
    price_s: float = np.inf
    refused: str = ""
    final: bool = False  # a longer chain would be refused too


def stripe(plan: Plan) -> tuple[Chain, ...]:
    """Return the chains of `plan` that are worth cutting into stripes, and those that were looked at in vain."""
    network, residency = plan.network, plan.residency
    moved = {residency.names[index] for index in np.flatnonzero(~residency.resident).tolist()}
    moved -= {*network.inputs, *network.outputs}
    if not moved:
        return ()
    linked = links(network)
    starts = [index for index in range(len(network.layers) - 1) if _may_begin(linked, index, plan, moved)]
    if not starts:
        return ()
    whole = _whole(plan, linked)
    chains: list[Chain] = []
    for start in starts:
        if not chains or start > chains[-1].last or not chains[-1].taken:
            chains.append(_grow(whole, start))
    return tuple(chains)


def judge(chains: tuple[Chain, ...], whole: Plan, striped: Plan) -> tuple[Chain, ...]:
    """Return `chains` with those refused whose tiles, now that they are known, take or move no less than before.

    What the layers right before and after a chain gain or lose counts too: the stripes leave them another room.
    """
    before_s, before_bytes, _ = _by_whole_layer(whole)
    after_s, after_bytes, _ = _by_whole_layer(striped)
    gain_s, gain_bytes = before_s - after_s, before_bytes - after_bytes
    in_chain = np.zeros(len(gain_s), np.bool_)
    for chain in chains:
        in_chain[chain.first : chain.last + 1] |= chain.taken
    return tuple(_judged(chain, gain_s, gain_bytes, in_chain) if chain.taken else chain for chain in chains)


def _judged(chain: Chain, gain_s: FloatArray, gain_bytes: IntArray, in_chain: npt.NDArray[np.bool_]) -> Chain:
    """Return `chain` with its price as measured on tiles, refused if it gains too little."""
    beside = [at for at in (chain.first - 1, chain.last + 1) if 0 <= at < len(gain_s) and not in_chain[at]]
    mine = [*range(chain.first, chain.last + 1), *beside]
    saved_s, saved = float(gain_s[mine].sum()), int(gain_bytes[mine].sum())
    why = ""
    if saved_s <= WORTHWHILE * chain.before_s:
        why = "its tiles take as long as those of whole layers"
    elif saved <= 0:
        why = "its tiles move as many bytes as those of whole layers"
    return replace(chain, bytes_after=chain.bytes_before - saved, after_s=chain.before_s - saved_s, refused=why)


def _may_begin(linked: Links, index: int, plan: Plan, moved: set[str]) -> bool:
    """True if the output of layer `index` leaves the scratchpad and some later layer that can be cut reads it."""
    name = linked.output(index)
    return (
        name in moved
        and linked.reads[index] is not None
        and plan.placements[index].engine != Engine.HOST
        and index < linked.last_reader.get(name, -1) < len(plan.network.layers)
        and _can_be_cut(linked, index + 1, plan)
    )


def _can_be_cut(linked: Links, index: int, plan: Plan) -> bool:
    return (
        linked.reads[index] is not None
        and plan.placements[index].engine != Engine.HOST
        and plan.shapes.table_bytes[index] == 0
        and linked.height(index) > 1
    )


def _whole(plan: Plan, linked: Links) -> _Whole:
    shapes, chip = plan.shapes, plan.chip
    price_s, moved, compute_s = _by_whole_layer(plan)
    on_chip = np.array([placement.engine != Engine.HOST for placement in plan.placements], np.bool_)
    elements = (shapes.out_elements * shapes.taps).astype(np.float64)
    return _Whole(
        plan=plan,
        linked=linked,
        price_s=price_s,
        compute_s=compute_s,
        moved=moved,
        room=layer_room(shapes, on_chip, chip),
        work=np.where(shapes.macs > 0, shapes.macs, elements),
        stream=np.where(on_chip & ~plan.caching.cached, shapes.weight_bytes, 0),
    )


def _by_whole_layer(plan: Plan) -> tuple[FloatArray, IntArray, FloatArray]:
    """Return price in seconds, bytes moved and seconds of computation of each whole layer, shape (whole layers,)."""
    tiles, count = plan.tiles, len(plan.striping.whole.layers)
    layer = plan.striping.origin[tiles.layer]
    moved = tiles.weight_bytes + tiles.input_bytes + tiles.output_bytes
    compute_s = tiles.cycles / plan.chip.clock.value + tiles.first * plan.chip.control.layer_cost.value

    def summed(values: FloatArray | IntArray) -> FloatArray:
        return np.bincount(layer, weights=values, minlength=count).astype(np.float64)

    return summed(pace(tiles, plan.chip)), summed(moved).astype(np.int64), summed(compute_s)


def _grow(whole: _Whole, first: int) -> Chain:
    """Return the chain from `first` on that gains most, or the verdict on the shortest one if none gains."""
    linked, plan = whole.linked, whole.plan
    best: Chain | None = None
    shortest: Chain | None = None
    for last in range(first + 1, min(len(plan.network.layers), first + MAX_LAYERS)):
        if not _can_be_cut(linked, last, plan):
            break
        span = slice(first, last + 1)
        before_s, computing_s = float(whole.price_s[span].sum()), float(whole.compute_s[span].sum())
        if before_s - computing_s < WORTHWHILE * before_s:
            priced = _Priced(refused="computation takes all of its time, there is nothing to save")
        else:
            priced = _price(whole, first, last)
        saved = before_s - priced.price_s
        why = priced.refused
        if not why and saved < WORTHWHILE * before_s:
            why = "stripes would take as long: their costs are what the saved bytes are worth"
        chain = Chain(
            first, last, priced.stripes, priced.halo, int(whole.moved[span].sum()), priced.moved, before_s,
            priced.price_s if priced.stripes else before_s, why,
        )  # fmt: skip
        shortest = shortest or chain
        if chain.taken and (best is None or saved > best.before_s - best.after_s):
            best = chain
        if priced.final:
            break
    assert shortest is not None  # the layer after a start can be cut
    return best or shortest


def _price(whole: _Whole, first: int, last: int) -> _Priced:
    """Return the cheapest count of stripes of layers `first` to `last`."""
    linked = whole.linked
    rows = min(linked.height(index) for index in range(first, last + 1))
    counts = tuple(count for count in _COUNTS if count <= rows)
    traced = trace(linked, first, last, counts) if counts else None
    if traced is None:
        return _Priced(refused="a layer needs the whole of what another one writes")
    begins = np.cumsum((0, *counts[:-1]), dtype=np.int64)
    halo = _halo(whole, first, traced, begins)
    fits_halo = halo < MAX_HALO
    if not fits_halo.any():
        return _Priced(refused=f"two stripes repeat {halo[0]:.0%} of the work", final=True)
    left = _left(whole, first, last, traced, begins)
    fits = fits_halo & (left >= 0)
    if not fits.any():
        most = int(left[fits_halo].max())
        return _Priced(refused=f"the smallest stripes lack {-most} bytes of scratchpad", final=True)
    kept = np.stack([_kept(whole.stream[first : last + 1], room) for room in left.tolist()], axis=1)
    free = left - whole.stream[first : last + 1] @ kept + int(whole.room[first : last + 1].max())
    price_s, moved = _steps(whole, first, traced, counts, kept, np.maximum(free, 1.0), begins)
    price_s = np.where(fits & (moved < whole.moved[first : last + 1].sum()), price_s, np.inf)
    best = int(price_s.argmin())
    if np.isinf(price_s[best]):
        return _Priced(refused="weights streamed once a stripe outweigh the saved bytes")
    return _Priced(counts[best], float(halo[best]), int(moved[best]), float(price_s[best]))


def _halo(whole: _Whole, first: int, traced: Trace, begins: IntArray) -> FloatArray:
    """Return the share of the work that is done twice, for each count of stripes, shape (counts,)."""
    work = whole.work[first : first + len(traced.out)]
    rows = np.stack([np.add.reduceat(high - low, begins) for low, high in _worked(whole, first, traced)])
    once = np.array([_work_rows(whole, first + at) for at in range(len(traced.out))])
    return np.asarray(work @ (rows / once[:, None]) / max(1.0, work.sum()) - 1, np.float64)


def _worked(whole: _Whole, first: int, traced: Trace) -> list[tuple[IntArray, IntArray]]:
    """Return the rows by which each layer works: of its output, of its input for transposed convolutions."""
    layers = whole.plan.network.layers[first : first + len(traced.out)]
    return [
        data[0] if layer.op.kind is OpKind.CONV_TRANSPOSE else out
        for layer, out, data in zip(layers, traced.out, traced.data, strict=True)
    ]


def _work_rows(whole: _Whole, index: int) -> int:
    layer = whole.plan.network.layers[index]
    name = layer.reads[0] if layer.op.kind is OpKind.CONV_TRANSPOSE else layer.outputs[0]
    return whole.plan.network.graph.tensors[name].shape[2]


def _left(whole: _Whole, first: int, last: int, traced: Trace, begins: IntArray) -> IntArray:
    """Return the bytes of scratchpad that stripes leave beside all else, for each count of stripes, shape (counts,)."""
    plan, residency, count = whole.plan, whole.plan.residency, last - first + 1
    linger = 0 if plan.chip.vector.shares_array else 1
    tensors = plan.network.graph.tensors
    given = np.arange(len(residency.names)) < len(plan.network.inputs)  # inputs come first among the activations
    own = ~given & (residency.first >= first) & (residency.last <= last)
    beside = residency.resident & ~own & (residency.first <= last) & (residency.last + linger >= first)
    # Place p of the round of layers holds the stripes of tensors that live there, the one before included.
    covers, sizes = [], []
    for at, ((low, high), until) in enumerate(zip(traced.out, traced.until, strict=True)):
        if until < 0:
            continue
        lives = np.arange(at, until - first + 1 + linger)
        covers.append(np.bincount(lives % count, minlength=count))
        row = row_bytes(tensors[whole.linked.output(first + at)])
        sizes.append(np.maximum.reduceat(high - low, begins) * row)
    held = (np.stack(covers, axis=1) @ np.stack(sizes)).max(axis=0) if covers else np.zeros(len(begins))
    room = int(whole.room[first : last + 1].max())
    size = int(plan.chip.scratchpad.size.value)
    return np.floor(size - int(residency.bytes[beside].sum()) - room - held).astype(np.int64)


def _kept(stream: IntArray, room: int) -> FloatArray:
    """Return 1 where the weights of a layer stay from stripe to stripe, first fit in `room`, shape (layers,)."""
    kept = np.zeros(len(stream))
    for at, weights in enumerate(stream.tolist()):
        if weights <= room:
            kept[at], room = 1.0, room - weights
    return kept


def _steps(
    whole: _Whole,
    first: int,
    traced: Trace,
    counts: tuple[int, ...],
    kept: FloatArray,
    free: FloatArray,
    begins: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the price in seconds and the bytes moved for each count of stripes, shape (counts,).

    Args:
        whole: the plan with whole layers.
        first: first layer of the chain.
        traced: rows of all stripes.
        counts: counts of stripes.
        kept: 1 where weights stay from stripe to stripe, shape (layers, counts).
        free: bytes of scratchpad that are left for tiles, shape (counts,).
        begins: where the stripes of each count begin, shape (counts,).
    """
    plan, tensors = whole.plan, whole.plan.network.graph.tensors
    layers, stripes = len(traced.out), len(traced.out[0][0])
    compute, load, loads, store = (np.zeros((stripes, layers)) for _ in range(4))
    starts = np.isin(np.arange(stripes), begins)
    weights_stay = np.repeat(kept, counts, axis=1) > 0
    share = np.repeat(free, counts) * _LOADED / 2
    for at, (stored, worked) in enumerate(zip(traced.stored, _worked(whole, first, traced), strict=True)):
        index = first + at
        compute[:, at] = _compute_s(whole, index, worked[1] - worked[0])
        inputs = np.zeros(stripes)
        for read, (row_from, row_to) in zip(whole.linked.reads[index] or (), traced.data[at], strict=True):
            for leaf in read.leaves:
                if whole.linked.writer.get(leaf, -1) < first and not plan.residency.stays(leaf):
                    inputs += (row_to - row_from) * row_bytes(tensors[leaf])
        streamed = np.where(starts | ~weights_stay[at], float(whole.stream[index]), 0.0)
        again = 0.0 if plan.shapes.by_channel[index] else _again(inputs, streamed, weights_stay[at], share)
        load[:, at] = inputs + streamed + again
        loads[:, at] = (inputs > 0) * 1.0 + (streamed > 0)
        name = whole.linked.output(index)
        if stored is not None and not plan.residency.stays(name):
            store[:, at] = (stored[1] - stored[0]) * row_bytes(tensors[name])
    moved = np.add.reduceat((load + store).sum(axis=1), begins)
    # Between two counts nothing moves: the first loads are hidden behind the layer before, as those of whole layers.
    load[begins, 0] = loads[begins, 0] = 0.0
    steps = step_s(compute.ravel(), loads.ravel(), load.ravel(), store.ravel(), plan.chip)
    return np.add.reduceat(steps, begins * layers), moved


def _again(inputs: FloatArray, weights: FloatArray, once: npt.NDArray[np.bool_], share: FloatArray) -> FloatArray:
    """Return the bytes loaded again by stripes of which inputs and weights do not fit at once, shape (stripes,).

    Either the inputs come again for every `share` of the weights, or the weights, unless they come `once`, for every
    `share` of the inputs.
    """
    inputs_again = inputs * (np.ceil(weights / share) - 1)
    weights_again = np.where(once, np.inf, weights * (np.ceil(inputs / share) - 1))
    fits = (inputs + weights <= 2 * share) | (inputs == 0) | (weights == 0)
    return np.where(fits, 0.0, np.minimum(inputs_again, weights_again))


def _compute_s(whole: _Whole, index: int, rows: IntArray) -> FloatArray:
    """Return the seconds of stripes of `rows` rows of layer `index`, its cost included, shape (stripes,)."""
    plan, shapes = whole.plan, whole.plan.shapes
    cycles = compute_cycles(
        shapes,
        np.full(len(rows), index),
        rows * shapes.positions[index],
        rows,
        np.full(len(rows), shapes.outputs[index]),
        np.full(len(rows), shapes.depth[index]),
        plan.placements[index],
        plan.chip,
    )
    return np.asarray(cycles / plan.chip.clock.value + plan.chip.control.layer_cost.value, np.float64)
