from __future__ import annotations

import numpy as np
import pytest

from armillary import hardware
from armillary.hardware import Chip, Quantity
from armillary.npu.compile import compile_network
from armillary.npu.costs import array_cycles, array_scratchpad_elements, depthwise_cycles, vector_cycles
from armillary.npu.geometry import FloatArray
from armillary.workload import with_dtype
from tests.npu.networks import one_conv


def ideal() -> Chip:
    """The Edge TPU with a perfect array: 64 x 64 lanes, 64 cycles to load weights."""
    chip = hardware.load_chip("coral-edge-tpu-usb")
    return chip.model_copy(update={"array": chip.array.model_copy(update={"efficiency": Quantity(1.0)})})


def dense(
    positions: int, outputs: int, reduction: int, *, groups: int = 1, chip: Chip | None = None, dtype: str = "int8"
) -> float:
    """Cycles of one tile."""
    one: FloatArray = array_cycles(
        np.array([positions]),
        np.array([outputs]),
        np.array([reduction]),
        np.array([outputs // groups]),
        np.array([positions]),
        np.array([1]),
        chip or ideal(),
        dtype,
    )
    return float(one[0])


def test_a_full_array_does_all_its_products_every_cycle() -> None:
    """cycles = MACs / 4096 when every granule is full."""
    assert dense(positions=128, outputs=256, reduction=576) == 128 * 256 * 576 / 4096


@pytest.mark.parametrize(
    ("reduction", "outputs", "passes"), [(1, 1, 1), (64, 64, 1), (65, 64, 2), (64, 65, 2), (147, 96, 6)]
)
def test_work_rounds_up_to_whole_granules(reduction: int, outputs: int, passes: int) -> None:
    """cycles = ceil(reduction / 64) * ceil(outputs / 64) * positions."""
    assert dense(100, outputs, reduction) == passes * 100


def test_few_positions_wait_for_the_weights_of_the_next_pass() -> None:
    """A 7 x 7 map has 49 positions, loading the next 64 x 64 weights takes 64 cycles."""
    assert dense(49, 64, 64) == dense(64, 64, 64) == 64


def test_groups_are_reduced_one_after_the_other() -> None:
    """One group: 36 x 4 passes; 32 groups of 8 channels: 32 x ceil(72 / 64) = 64 passes, at 1/32 of the products."""
    assert dense(196, 256, 2304) / dense(196, 256, 72, groups=32) == pytest.approx(36 * 4 / 64)


def test_efficiency_divides() -> None:
    chip = hardware.load_chip("coral-edge-tpu-usb")
    assert dense(128, 64, 64, chip=chip) == pytest.approx(128 / chip.array.efficiency.value)


def test_half_the_lanes_take_twice_the_cycles() -> None:
    chip = hardware.load_chip("generic-array-16x16")
    assert dense(64, 32, 32, chip=chip, dtype="fp16") == 2 * dense(64, 32, 32, chip=chip)


def test_depthwise_layers_use_a_sixteenth_of_the_array() -> None:
    """64 lanes of one 4-wide unit: positions * channels * taps / 256, channels in whole granules of 64."""
    cycles = depthwise_cycles(np.array([784, 784]), np.array([64, 96]), np.array([9, 9]), ideal(), "int8")
    assert cycles.tolist() == [784 * 64 * 9 / 256, 784 * 128 * 9 / 256]


def test_the_vector_engine_reads_every_input_and_every_tap() -> None:
    """256 elements a cycle: max(inputs, outputs * taps) * passes / 256."""
    arguments = (np.array([512.0, 512.0]), np.array([512.0, 128.0]), np.array([1, 9]), np.array([3, 1]))
    assert vector_cycles(*arguments, ideal(), "int8").tolist() == [3 * 512 / 256, 9 * 128 / 256]


def test_inputs_are_read_once_a_pass_over_output_channels() -> None:
    """positions * reduction * ceil(outputs / 64) + weights + outputs."""
    elements = array_scratchpad_elements(np.array([100]), np.array([65]), np.array([64]), np.array([100]), ideal())
    assert elements.tolist() == [100 * 64 * 2 + 64 * 65 + 100 * 65]


def test_a_window_fills_a_pass_with_elements_or_with_channels() -> None:
    """32 products a pass: 4 elements x 8 channels, or 1 element x 32 channels, whichever takes fewer passes."""
    chip = hardware.load_chip("ethos-u55-128")
    channels, elements = np.array([3, 16, 32, 64, 1]), np.array([9, 9, 9, 9, 40])
    full = np.full(5, 8)
    cycles = array_cycles(
        16 * full, full, channels * elements, full, 16 * full, full // 8, chip, "int8", window=elements
    )
    passes = [3 * 1, 3 * 2, 9, 18, 10]
    assert cycles.tolist() == [each * 128 * 2 for each in passes]


def test_windows_of_depthwise_layers_round_up_to_whole_groups_of_taps() -> None:
    """Three groups of four taps for 3 x 3, on 16 lanes."""
    chip = hardware.load_chip("ethos-u55-128")
    assert depthwise_cycles(np.array([100]), np.array([16]), np.array([9]), chip, "int8")[0] == 100 * 16 * 12 / 16


@pytest.mark.parametrize(("width", "columns"), [(33, 34), (34, 34)])
def test_positions_round_up_to_the_columns_that_work_at_once(width: int, columns: int) -> None:
    """A stage of two columns is half idle at the last position of an odd row; its output stage is not."""
    chip = hardware.load_chip("ethos-u55-128")
    plan = compile_network(with_dtype(one_conv(channels=32, outputs=8, size=width, kernel=3), "int8"), chip)
    assert float(plan.tiles.cycles.sum()) == pytest.approx(9 * 2 * width * columns)


def test_the_output_stage_bounds_layers_of_few_products() -> None:
    """Eight products an output, two outputs a cycle."""
    chip = hardware.load_chip("ethos-u55-128")
    plan = compile_network(with_dtype(one_conv(channels=8, outputs=64, size=16, kernel=1), "int8"), chip)
    assert float(plan.tiles.cycles.sum()) == pytest.approx(64 * 16 * 16 / 2)
