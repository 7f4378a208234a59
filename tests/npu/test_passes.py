from __future__ import annotations

from typing import Any

import pytest

from armillary import npu
from armillary.errors import InputError
from armillary.hardware import load_chip
from armillary.npu import PASSES, PassTable, compile_network, emit
from armillary.workload import load_model
from tests.npu.networks import branches

CORAL = "coral-edge-tpu-usb"


def column(table: PassTable, name: str) -> list[Any]:
    at = table.columns.index(name)
    return [row[at] for row in table.rows]


@pytest.mark.parametrize("name", PASSES)
def test_every_pass_shows_full_rows_of_plain_values(name: str) -> None:
    table = npu.passes(branches(), name, chip="generic-array-16x16")
    assert table.name == name
    assert table.rows or name == "stripe"  # where nothing leaves the scratchpad, no chain is looked at
    for row in table.rows:
        assert len(row) == len(table.columns)
        assert all(type(cell) in (str, int, float, bool) for cell in row)


def test_passes_agree_with_the_plan_that_is_run() -> None:
    """MACs of the tiles = MACs of the network; cached bytes of the rows = bytes set aside; one row a task."""
    plan = compile_network(load_model("mobilenet_v2"), load_chip(CORAL))
    shown = {name: npu.passes("mobilenet_v2", name, chip=CORAL) for name in PASSES}
    assert sum(column(shown["cut"], "MACs")) == 300_774_272
    kept = [int(row[1]) for row in shown["cache"].rows if row[2] == "cached"]
    assert sum(kept) == plan.caching.bytes
    assert len(shown["emit"].rows) == len(emit(plan).tasks)
    assert sum(column(shown["tile"], "tiles")) == len(plan.tiles)
    assert "batch_norm" not in column(shown["fold"], "kind")


def test_names_of_passes_fold_case_and_unknown_ones_list_all() -> None:
    assert npu.passes(branches(), "Tile", chip=CORAL).name == "tile"
    with pytest.raises(
        InputError, match=r"no pass named 'tilt'; passes: recognise, fold, .*, cut, allocate, barriers, emit"
    ):
        npu.passes(branches(), "tilt", chip=CORAL)
