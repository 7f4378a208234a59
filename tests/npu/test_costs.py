from __future__ import annotations

import numpy as np
import pytest

from armillary import hardware
from armillary.hardware import Chip, Quantity
from armillary.npu.costs import array_cycles, array_scratchpad_elements, depthwise_cycles, vector_cycles
from armillary.npu.geometry import FloatArray


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
