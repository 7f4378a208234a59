"""Exchangeable cost models: the contract, each model's own law, and how a run says which one it took."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armillary import hardware, npu
from armillary.cli import main
from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu.cost_models import (
    Calibrated,
    CostChoice,
    Priced,
    TableModel,
    Theoretical,
    TileBatch,
    choose_cost_model,
)
from armillary.npu.cost_models.lanes import largest_parts
from armillary.npu.cost_models.operators import as_shapes, operators_each
from armillary.npu.geometry import FUNCTIONS, KINDS, FloatArray
from armillary.npu.laws.costs import law_cycles
from armillary.npu.place import Engine
from armillary.testing import check_cost_model, random_tiles
from armillary.workload import OpKind
from tests.npu.networks import one_conv

HEADER = "op,dtype,in_w,in_h,in_c,out_w,out_h,out_c,k,s,pad"


def chip_of(name: str = "intel-npu-2.7", tiles: int | None = None) -> Chip:
    chip = hardware.load_chip(name)
    if tiles is None:
        return chip
    lanes = {dtype: rate // chip.tiles * tiles for dtype, rate in chip.array.macs_per_cycle.items()}
    array = chip.array.model_copy(update={"macs_per_cycle": lanes})
    return chip.model_copy(update={"tiles": tiles, "array": array})


def conv(width: int, height: int, outputs: int, inputs: int, taps: int = 1, groups: int = 1) -> TileBatch:
    """One tile of a convolution."""
    batch = random_tiles(np.random.default_rng(0), chip_of(), Engine.ARRAY, "int8", 1)
    column = {
        "width": width, "height": height, "outputs": outputs, "inputs": inputs, "taps": taps, "stride": 1,
        "kind": KINDS.index(OpKind.CONV), "reduction": inputs * taps, "group_outputs": outputs // groups,
        "each": width * height, "widening": 1, "repeats": 1,
    }  # fmt: skip
    columns: dict[str, Any] = {name: np.array([value]) for name, value in column.items()}
    return replace(batch, **columns, inside=np.ones(1))


def table(folder: Path, *rows: str) -> Path:
    path = folder / "costs.csv"
    path.write_text("\n".join([f"{HEADER},cycles", *rows]) + "\n")
    return path


def busy_cycles(tiles: TileBatch, chip: Chip) -> FloatArray:
    """A function of a user: one element of the output a cycle."""
    return tiles.out_elements


# ---- the contract


@pytest.mark.parametrize("name", ["intel-npu-2.7", "intel-npu-4.0", "coral-edge-tpu-usb", "generic-array-16x16"])
def test_built_in_models_keep_the_contract(name: str) -> None:
    chip = chip_of(name)
    check_cost_model("theoretical", chip, monotone=True)
    if chip.operator_laws is not None:
        check_cost_model("calibrated", chip)
    check_cost_model(busy_cycles, chip)


def test_calibrated_cycles_grow_with_the_work_on_one_tile() -> None:
    check_cost_model("calibrated", chip_of(tiles=1), monotone=True)


def test_a_table_keeps_the_contract(tmp_path: Path) -> None:
    path = table(tmp_path, "conv,u8,56,56,64,56,56,64,1,1,0,3456", "dw,u8,56,56,64,56,56,64,3,1,1,21342")
    check_cost_model(path, chip_of())


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (lambda tiles, chip: tiles.out_elements - 1e6, "gave -.* cycles for a tile of"),
        (lambda tiles, chip: tiles.out_elements[:-1], r"shape \(199,\) for 200 tiles"),
        (lambda tiles, chip: tiles.out_elements * np.nan, "gave nan cycles"),
        (lambda tiles, chip: tiles.out_elements / tiles.out_elements.sum(), "one tile at a time"),
        (lambda tiles, chip: tiles.out_elements + np.arange(len(tiles)), "in another order"),
        (lambda tiles, chip: 1e9 / tiles.out_elements, "with twice the height"),
    ],
)
def test_the_suite_finds_what_breaks_the_contract(broken: CostChoice, law: str) -> None:
    with pytest.raises((AssertionError, InputError), match=law):
        check_cost_model(broken, chip_of(), monotone=True)


def test_a_model_that_writes_into_its_tiles_is_found() -> None:
    def greedy(tiles: TileBatch, chip: Chip) -> FloatArray:
        tiles.out_elements[:] = 1.0
        return tiles.out_elements

    with pytest.raises(AssertionError, match="changes the tiles"):
        check_cost_model(greedy, chip_of())


# ---- calibrated


def test_a_tile_costs_what_the_law_says_on_one_hardware_tile() -> None:
    chip = chip_of(tiles=1)
    assert chip.operator_laws is not None
    law = next(law for law in chip.operator_laws.laws if (law.op, law.dtype) == ("conv", "int8"))
    tile = conv(56, 28, 64, 64)
    expected = law_cycles(as_shapes(tile), law, chip.operator_laws)
    priced = Calibrated().price(tile, chip)
    assert priced.cycles == pytest.approx(expected)
    assert Calibrated.sources[int(priced.source[0])] == "operator law"


def test_two_hardware_tiles_take_the_better_of_half_the_rows_and_half_the_channels() -> None:
    one, two = chip_of(tiles=1), chip_of(tiles=2)
    tile = conv(28, 28, 256, 128, taps=9)
    halves = [
        Calibrated().price(half, one).cycles[0] for half in (conv(28, 14, 256, 128, 9), conv(28, 28, 128, 128, 9))
    ]
    assert Calibrated().price(tile, two).cycles[0] == pytest.approx(min(halves))
    assert [len(largest_parts(tile, count)) for count in (1, 2)] == [1, 2]


def test_groups_and_matrices_are_done_one_after_the_other() -> None:
    chip = chip_of(tiles=1)
    whole, one = conv(14, 14, 256, 8, 9, groups=32), conv(14, 14, 8, 8, 9)
    assert operators_each(whole).tolist() == [32]
    assert Calibrated().price(whole, chip).cycles == pytest.approx(32 * Calibrated().price(one, chip).cycles)


def test_an_array_of_twice_the_lanes_does_its_products_in_half_the_time() -> None:
    chip = chip_of(tiles=1)
    doubled = {dtype: 2 * rate for dtype, rate in chip.array.macs_per_cycle.items()}
    wide = chip.model_copy(update={"array": chip.array.model_copy(update={"macs_per_cycle": doubled})})
    deep = conv(64, 64, 256, 1024, 9)
    assert Calibrated().price(deep, wide).cycles[0] == pytest.approx(
        Calibrated().price(deep, chip).cycles[0] / 2, rel=0.1
    )


def test_a_kernel_takes_its_launch_and_its_share_of_the_bytes() -> None:
    """t = 3.133 us + bytes of one of four SHAVE x 1.4847e-4 us/B."""
    chip = chip_of()
    batch = random_tiles(np.random.default_rng(0), chip, Engine.VECTOR, "fp16", 1)
    sigmoid = replace(
        batch,
        kind=np.array([KINDS.index(OpKind.ACTIVATION)]),
        function=np.array([FUNCTIONS.index("sigmoid")]),
        out_elements=np.array([40_000.0]),
    )
    priced = Calibrated().price(sigmoid, chip)
    time_us = priced.cycles[0] / chip.clock.value * 1e6
    assert time_us == pytest.approx(3.133 + 20_000 * 1.4847e-4, rel=1e-3)
    assert Calibrated.sources[int(priced.source[0])] == "kernel cost"


def test_operators_without_a_law_are_theoretical() -> None:
    chip = chip_of("intel-npu-2.7")
    assert chip.operator_laws is not None
    only_add = tuple(law for law in chip.operator_laws.laws if law.op == "add")
    poor = chip.model_copy(update={"operator_laws": chip.operator_laws.model_copy(update={"laws": only_add})})
    tile = conv(28, 28, 64, 64)
    assert Calibrated().price(tile, poor).cycles == pytest.approx(Theoretical().price(tile, poor).cycles)


# ---- table


def test_a_row_of_the_same_shape_is_taken_as_it_is(tmp_path: Path) -> None:
    model = TableModel.read(table(tmp_path, "conv,u8,56,28,64,56,28,64,1,1,0,3456"))
    priced = model.price(conv(56, 28, 64, 64), chip_of(tiles=1))
    assert priced.cycles.tolist() == [3456]
    assert model.sources[int(priced.source[0])] == "table, same shape"


def test_a_near_row_is_scaled_by_its_work_and_a_far_one_left_alone(tmp_path: Path) -> None:
    """Two octaves: four times the height is near, eight times is not."""
    model, chip = TableModel.read(table(tmp_path, "conv,u8,56,28,64,56,28,64,1,1,0,3456")), chip_of(tiles=1)
    near, far = conv(56, 112, 64, 64), conv(56, 224, 64, 64)
    assert model.price(near, chip).cycles.tolist() == [4 * 3456]
    assert model.price(far, chip).cycles == pytest.approx(Calibrated().price(far, chip).cycles)
    sources = [model.sources[int(model.price(tile, chip).source[0])] for tile in (near, far)]
    assert sources == ["table, near shape", "operator law"]


def test_rows_of_one_shape_are_averaged_and_other_types_do_not_count(tmp_path: Path) -> None:
    rows = ("conv,u8,8,8,16,8,8,16,1,1,0,100", "conv,u8,8,8,16,8,8,16,1,1,0,300", "conv,fp16,8,8,16,8,8,16,1,1,0,9999")
    model = TableModel.read(table(tmp_path, *rows))
    assert model.price(conv(8, 8, 16, 16), chip_of(tiles=1)).cycles.tolist() == [200]


def test_a_table_without_cycles_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(f"{HEADER}\nconv,u8,8,8,16,8,8,16,1,1,0\n")
    with pytest.raises(InputError, match=r"costs\.csv: has no cycles; add a column cycles"):
        npu.run(one_conv(), chip="intel-npu-2.7", cost_model=path)


# ---- which model a run took


def test_the_default_is_calibrated_where_there_are_laws() -> None:
    found = {name: npu.run(one_conv(), chip=name).cost_model for name in ("intel-npu-2.7", "coral-edge-tpu-usb")}
    assert found == {"intel-npu-2.7": "calibrated", "coral-edge-tpu-usb": "theoretical"}


def test_a_run_says_what_priced_it(tmp_path: Path) -> None:
    result = npu.run("resnet18", chip="intel-npu-2.7", cost_model=busy_cycles)
    assert result.cost_model == "function busy_cycles"
    path = table(tmp_path, "conv,u8,56,28,64,56,28,64,3,1,1,20000")
    result = npu.run("resnet18", chip="intel-npu-2.7", cost_model=path)
    assert result.cost_model == "table costs.csv"
    assert set(result.cost_sources) >= {"table, near shape", "operator law"}
    for shares in ([s.cycles for s in result.cost_sources.values()], [s.tiles for s in result.cost_sources.values()]):
        assert sum(shares) == pytest.approx(1.0)


def test_a_function_of_the_user_tells_the_time() -> None:
    """A million cycles a tile at 1.3 GHz."""
    result = npu.run(one_conv(), chip="intel-npu-2.7", cost_model=lambda tiles, chip: np.full(len(tiles), 1e6))
    assert result.kpis["dpu_s"] == pytest.approx(1e6 / 1.3e9, rel=0.01)


def test_more_cycles_never_shorten_a_run() -> None:
    def times(factor: float) -> float:
        def model(tiles: TileBatch, chip: Chip) -> FloatArray:
            return factor * Calibrated().price(tiles, chip).cycles

        return npu.run("mobilenet_v2", chip="intel-npu-2.7", cost_model=model).latency_s

    assert times(0.5) < times(1.0) < times(3.0)


def test_a_model_object_is_taken_as_it_is() -> None:
    class Constant:
        name, identity, sources = "constant", "constant", ("constant",)

        def price(self, tiles: TileBatch, chip: Chip) -> Priced:
            return Priced(np.full(len(tiles), 7.0), np.zeros(len(tiles), np.int64))

    assert npu.run(one_conv(), chip="intel-npu-2.7", cost_model=Constant()).cost_model == "constant"


@pytest.mark.parametrize(
    ("given", "chip", "message"),
    [
        (
            "guess",
            "intel-npu-2.7",
            "no cost model named 'guess'; known: theoretical, calibrated, or a table",
        ),
        ("calibrated", "coral-edge-tpu-usb", "coral-edge-tpu-usb has no operator laws; use theoretical"),
        ("absent.csv", "intel-npu-2.7", "absent.csv: cannot be read"),
        (7, "intel-npu-2.7", "7 is no cost model; give a name, a CSV file, or a function"),
    ],
)
def test_a_wrong_cost_model_is_refused(given: CostChoice, chip: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_cost_model(given, hardware.load_chip(chip))


def test_explain_repeats_the_cost_model_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path, "conv,u8,56,28,64,56,28,64,3,1,1,20000")
    run = ["npu", "run", "resnet18", "--chip", "intel-npu-2.7", "--quiet", "--out"]
    assert main([*run, str(tmp_path / "one"), "--cost-model", "theoretical"]) == 0
    assert main([*run, str(tmp_path / "two"), "--cost-model", str(path)]) == 0
    explanation = npu.explain(tmp_path / "one")
    assert explanation.latency_s == explanation.recorded_latency_s
    with pytest.raises(InputError, match="priced by the table costs.csv; give it as cost_model"):
        npu.explain(tmp_path / "two")
    with pytest.raises(InputError, match="'theoretical' is not the cost model of the run"):
        npu.explain(tmp_path / "two", cost_model="theoretical")
    assert main(["npu", "explain", str(tmp_path / "two"), "--cost-model", str(path), "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["latency_s"] == document["recorded_latency_s"]


def test_the_pass_that_cuts_shows_what_priced_each_tile() -> None:
    shown = npu.passes("resnet18", "cut", chip="intel-npu-2.7", cost_model="theoretical")
    at = shown.columns.index("priced by")
    assert {row[at] for row in shown.rows} == {"theoretical"}
