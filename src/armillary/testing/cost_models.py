"""The conformance suite of cost models: `check_cost_model`.

In:  a `CostModel`, or a function of tiles and chip, and a chip.
Out: nothing, or an AssertionError that names the law, the tile and the cycles.
Laws: cycles are finite and at least 0, one for each tile; every source is one of the model's; a second call, any order
of the tiles, and each tile alone give the same; where it is promised, more of one dimension never takes fewer cycles.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip
from armillary.npu.cost_models import CostChoice, CostModel, TileBatch, choose_cost_model
from armillary.npu.geometry import FUNCTIONS, KINDS
from armillary.npu.place import Engine
from armillary.workload import OpKind

_SLACK = 1e-9  # relative: sums in another order
_GROWING = ("height", "outputs", "inputs")


def check_cost_model(model: CostChoice, chip: Chip, *, monotone: bool = False, seed: int = 0, tiles: int = 200) -> None:
    """Check that a cost model keeps its contract on random tiles of both engines and every element type.

    Args:
        model: what `npu.run` takes as `cost_model`.
        chip: the chip that the tiles run on.
        monotone: the model promises that more rows, output or input channels never take fewer cycles.
        seed: of the random tiles.
        tiles: tiles of one engine and element type.

    Raises:
        AssertionError: a law is broken; names it.
    """
    chosen = choose_cost_model(model, chip)
    rng = np.random.default_rng(seed)
    for engine in (Engine.ARRAY, Engine.VECTOR):
        for dtype in chip.element_types:
            batch = random_tiles(rng, chip, engine, dtype, tiles)
            _check_values(chosen, batch.select(np.arange(tiles)), chip)  # a copy: it may be written into
            _check_pure(chosen, batch, chip, rng.permutation(len(batch)))
            if monotone:
                _check_monotone(chosen, batch, chip)


def random_tiles(rng: np.random.Generator, chip: Chip, engine: Engine, dtype: str, count: int) -> TileBatch:
    """Return tiles of all kinds that `engine` of `chip` runs, with sizes from 1 to some hundreds."""
    words = chip.array.operators if engine == Engine.ARRAY else chip.vector.operators
    kinds = np.array([KINDS.index(OpKind(word)) for word in words], np.int64)
    kind = rng.choice(kinds, count)

    def sizes(most: int) -> npt.NDArray[np.int64]:
        return np.rint(2 ** rng.uniform(0, np.log2(most), count)).astype(np.int64)

    def among(*operators: OpKind) -> npt.NDArray[np.bool_]:
        return np.isin(kind, [KINDS.index(operator) for operator in operators])

    conv, windowed = among(OpKind.CONV), among(OpKind.DEPTHWISE, OpKind.MAX_POOL, OpKind.AVG_POOL)
    product = among(OpKind.GEMM, OpKind.MATMUL, OpKind.RECURRENT)
    summed = conv | product | among(OpKind.CONV_TRANSPOSE)
    taps = np.where(conv | windowed, rng.choice([1, 9, 25, 49], count), 1)
    width, height, outputs = np.where(product, 1, sizes(128)), sizes(128), 1 + sizes(511)
    inputs = np.where(summed, sizes(512), 1)
    out = (width * height * outputs).astype(np.float64)
    activation = rng.integers(1, len(FUNCTIONS), count)
    return TileBatch(
        engine=engine,
        dtype=dtype,
        kind=kind,
        function=np.where(among(OpKind.ACTIVATION), activation, 0),
        width=width,
        height=height,
        outputs=outputs,
        inputs=inputs,
        taps=taps,
        stride=np.where(conv | windowed, rng.integers(1, 3, count), 1),
        inside=rng.uniform(0.7, 1.0, count),
        reduction=np.where(summed, inputs * taps, 0),
        window=np.where(product, 1, taps),
        part=np.ones(count),
        maps=np.where(product, 0, 1),
        group_outputs=outputs.copy(),
        widening=np.where(among(OpKind.CONV_TRANSPOSE), 4, 1),
        each=width * height,
        repeats=np.where(among(OpKind.RECURRENT), sizes(16), 1),
        passes=np.where(among(OpKind.SOFTMAX, OpKind.NORM), 3, 1),
        in_elements=out * rng.integers(1, 5, count),
        out_elements=out,
    )


def _check_values(model: CostModel, batch: TileBatch, chip: Chip) -> None:
    priced = model.price(batch, chip)
    assert priced.cycles.shape == (len(batch),), f"{model.name}: {priced.cycles.shape} cycles for {len(batch)} tiles"
    for at in np.flatnonzero(~(np.isfinite(priced.cycles) & (priced.cycles >= 0))).tolist():
        raise AssertionError(f"{model.name}: {priced.cycles[at]} cycles for {_told(batch, at)}")
    known = len(model.sources)
    assert priced.source.shape == (len(batch),), f"{model.name}: a source is missing"
    assert bool(((priced.source >= 0) & (priced.source < known)).all()), f"{model.name}: no such source"


def _check_pure(model: CostModel, batch: TileBatch, chip: Chip, order: npt.NDArray[np.int64]) -> None:
    """Compare with a second call, another order, and each tile alone."""
    before = [np.copy(getattr(batch, f.name)) for f in fields(batch) if isinstance(getattr(batch, f.name), np.ndarray)]
    first = model.price(batch, chip).cycles
    after = [getattr(batch, f.name) for f in fields(batch) if isinstance(getattr(batch, f.name), np.ndarray)]
    same = all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert same, f"{model.name}: changes the tiles that it is given"
    _same(model, batch, first, model.price(batch, chip).cycles, "at a second call")
    _same(model, batch, first[order], model.price(batch.select(order), chip).cycles, "in another order")
    alone = np.array([model.price(batch.select(slice(at, at + 1)), chip).cycles[0] for at in range(len(batch))])
    _same(model, batch, first, alone, "one tile at a time")


def _check_monotone(model: CostModel, batch: TileBatch, chip: Chip) -> None:
    first = model.price(batch, chip).cycles
    for name in _GROWING:
        more = model.price(_doubled(batch, name), chip).cycles
        for at in np.flatnonzero(more < first * (1 - _SLACK)).tolist():
            what = f"{more[at]} cycles instead of {first[at]} with twice the {name}: {_told(batch, at)}"
            raise AssertionError(f"{model.name}: {what}")


def _doubled(batch: TileBatch, name: str) -> TileBatch:
    """Return the tiles with twice of one dimension, and of all that goes with it."""
    grown = 2 * getattr(batch, name)
    columns: dict[str, Any]
    if name == "height":
        columns = {"each": 2 * batch.each, "out_elements": 2 * batch.out_elements}
    elif name == "outputs":
        columns = {"group_outputs": 2 * batch.group_outputs, "out_elements": 2 * batch.out_elements}
    else:
        summed = batch.reduction > 0
        return replace(batch, inputs=np.where(summed, grown, batch.inputs), reduction=2 * batch.reduction)
    return replace(batch, **{name: grown}, **columns, in_elements=2 * batch.in_elements)


def _same(
    model: CostModel,
    batch: TileBatch,
    expected: npt.NDArray[np.float64],
    found: npt.NDArray[np.float64],
    what: str,
) -> None:
    for at in np.flatnonzero(~np.isclose(found, expected, rtol=_SLACK, atol=0)).tolist():
        raise AssertionError(f"{model.name}: {found[at]} cycles instead of {expected[at]} {what}, tile {at}")


def _told(batch: TileBatch, at: int) -> str:
    shape = f"{batch.width[at]} x {batch.height[at]} x {batch.outputs[at]}, {batch.inputs[at]} inputs"
    return f"{batch.kind_names()[at]} of {shape}, {batch.taps[at]} taps in {batch.dtype} on the {batch.engine.name}"
