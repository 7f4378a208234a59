"""Input channels in parts: partial sums stay in the scratchpad until the last part."""

from __future__ import annotations

import numpy as np
import pytest

from armillary.hardware import Chip
from armillary.npu import compile_network, emit, run
from armillary.npu.plan import Plan
from armillary.npu.reside import SUM_BYTES
from armillary.workload import Graph, with_dtype
from tests.npu.networks import generic, one_conv


def chip(kib: int) -> Chip:
    return generic(("size: 512 KiB", f"size: {kib} KiB"))


def deep(channels: int = 512) -> Graph:
    return with_dtype(one_conv(channels=channels, outputs=32, size=16, kernel=3), "int8")


def split(kib: int = 16) -> Plan:
    plan = compile_network(deep(), chip(kib))
    assert plan.tiling.parts.tolist() == [int(plan.tiling.parts[0])]
    return plan


def test_input_channels_stay_whole_where_a_tile_fits() -> None:
    assert compile_network(deep(), chip(512)).tiling.parts.tolist() == [1]


def test_a_deep_layer_on_a_small_scratchpad_is_summed_in_parts() -> None:
    plan = split()
    # One row (window of 3) and one channel of 512 inputs need 3 x 16 x 512 + 9 x 512 bytes, twice: over 16 KiB.
    assert int(plan.tiling.parts[0]) > 1
    assert int(plan.tiles.macs.sum()) == int(plan.shapes.macs.sum())


def test_outputs_are_stored_once_after_the_last_part() -> None:
    plan = split()
    parts = int(plan.tiling.parts[0])
    stores = np.flatnonzero(plan.tiles.output_bytes)
    assert (stores % parts == parts - 1).all()
    assert int(plan.tiles.output_bytes.sum()) == int(plan.shapes.out_bytes.sum())


def test_every_part_loads_its_own_inputs_and_weights() -> None:
    plan, shapes = split(), compile_network(deep(), chip(512)).shapes
    weights = plan.tiles.weight_bytes.reshape(-1, int(plan.tiling.parts[0]))
    assert (weights > 0).all()
    # Once a group of rows, all weights.
    assert int(weights.sum()) == int(plan.tiling.row_groups[0]) * int(shapes.weight_bytes[0])


def test_partial_sums_hold_four_bytes_an_output_over_all_parts() -> None:
    plan = split()
    first = np.flatnonzero(plan.tiles.sum_bytes)
    assert (plan.tiles.sum_tiles[first] == plan.tiling.parts[0]).all()
    assert int(plan.tiles.sum_bytes.sum()) == SUM_BYTES * 16 * 16 * 32
    assert plan.tiles.scratchpad_bytes.sum() > compile_network(deep(), chip(512)).tiles.scratchpad_bytes.sum()


@pytest.mark.parametrize("kib", [4, 6, 9, 16, 33])
def test_the_pool_holds_tiles_and_sums_on_any_small_scratchpad(kib: int) -> None:
    result = run(deep(), chip=chip(kib))
    assert result.scratchpad_peak_bytes <= kib * 1024
    assert result.macs == 16 * 16 * 32 * 512 * 9


def test_parts_need_no_other_order_than_one_after_the_other() -> None:
    plan = split()
    parts = int(plan.tiling.parts[0])
    program = emit(plan)
    labels = np.array(program.tasks.kinds)[program.tasks.kind]
    assert int((labels == "array").sum()) == len(plan.tiles) == parts * int(plan.tiling.tiles[0] // parts)


def test_uneven_parts_add_up() -> None:
    plan = compile_network(deep(channels=509), chip(16))
    assert int(plan.tiles.macs.sum()) == 16 * 16 * 32 * 509 * 9
