"""Chips of the catalogue that no measurement was fitted to: what must hold for them all the same."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import pytest
from pydantic import BaseModel

from armillary import hardware, npu
from armillary.hardware import Quantity
from armillary.validation import load_references
from armillary.workload import Graph, Operator, OpKind, Tensor

CORAL = "coral-edge-tpu-usb"


def quantities(part: object, path: str = "") -> Iterator[tuple[str, Quantity]]:
    """Every quantity of a chip with its place in the file."""
    if isinstance(part, Quantity):
        yield path, part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from quantities(getattr(part, name), f"{path}.{name}")
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from quantities(value, f"{path}.{name}")


def dense(batch: int, width: int, layers: int) -> Graph:
    """Dense layers of `width` inputs and outputs."""
    tensors = {"y0": Tensor("y0", (batch, width), "int8")}
    operators = []
    for number in range(1, layers + 1):
        tensors[f"w{number}"] = Tensor(f"w{number}", (width, width), "int8", constant=True)
        tensors[f"y{number}"] = Tensor(f"y{number}", (batch, width), "int8")
        read = (f"y{number - 1}", f"w{number}")
        operators.append(Operator(f"dense{number}", OpKind.GEMM, read, (f"y{number}",)))
    return Graph("dense", tensors, tuple(operators), ("y0",), (f"y{layers}",))


@pytest.mark.parametrize("name", hardware.chip_names())
def test_every_uncertain_number_says_where_it_comes_from(name: str) -> None:
    bare = [path for path, number in quantities(hardware.load_chip(name)) if number.uncertain and not number.source]
    assert bare == []


def test_the_raspberry_pi_differs_in_link_and_host_alone() -> None:
    usb, pi = hardware.load_chip(CORAL), hardware.load_chip("coral-edge-tpu-rpi4")
    same = ("clock", "array", "vector", "control", "scratchpad", "parameter_cache", "energy", "calibration")
    assert all(getattr(usb, part) == getattr(pi, part) for part in same)
    assert npu.run("vgg16", chip=pi).latency_s > npu.run("vgg16", chip=usb).latency_s
    assert not npu.run("squeezenet", chip=pi).trust.inside


def test_the_first_tpu_has_92_tera_operations_and_no_calibration() -> None:
    """2 x 256 x 256 x 0.7 GHz = 91.8 TOPS."""
    tpu = hardware.load_chip("tpu-v1")
    assert 2 * tpu.peak_macs_per_s["int8"] == pytest.approx(91.8e12, rel=1e-3)
    assert npu.run(dense(8, 512, 1), chip=tpu).trust.calibrated_range == "none"


def test_dense_layers_at_batch_200_wait_for_their_weights_on_the_first_tpu() -> None:
    """20 M weights at 34 GB/s take 0.59 ms, their products at batch 200 take 0.09 ms: the memory bounds the period."""
    result = npu.run(dense(200, 2000, 5), chip="tpu-v1", queue_depth=2)
    assert result.bounds[0].what == "weight memory"
    memory_s = result.parameter_bytes / 34e9
    assert memory_s < 200 / result.throughput_per_s < 1.2 * memory_s


# Peak tera-operations of int8 (bf16 where that is all), as the makers publish them.
PEAK = {
    "ethos-u55-32": 0.032, "ethos-u55-64": 0.064, "ethos-u55-128": 0.128, "ethos-u55-128-deep-embedded": 0.051,
    "ethos-u55-256": 0.256, "ethos-u65-256": 0.5, "ethos-u65-512": 1.0, "ethos-u85-256": 0.5, "ethos-u85-1024": 2.0,
    "ethos-u85-2048": 4.0, "tpu-v2": 46, "tpu-v3": 123, "tpu-v4i": 138, "tpu-v4": 275, "ndp9120": 0.0064,
    "pixel6-edge-tpu": 8.73, "pixel4-edge-tpu": 4.0,
}  # fmt: skip


@pytest.mark.parametrize("name", PEAK)
def test_the_peak_rate_is_the_published_one(name: str) -> None:
    """Within the rounding of two digits."""
    chip = hardware.load_chip(name)
    assert 2 * max(chip.peak_macs_per_s.values()) == pytest.approx(PEAK[name] * 1e12, rel=0.03)


@pytest.mark.parametrize("name", PEAK)
def test_a_small_network_runs_on_the_chip_alone(name: str) -> None:
    chip = hardware.load_chip(name)
    result = npu.run("mlperf_tiny_ic", chip=chip, dtype=chip.element_types[0])
    assert result.fallbacks == ()
    assert 0 < result.mac_utilisation <= 1
    assert result.energy_j > result.static_power_w * result.latency_s > 0
    assert sum(bound.share for bound in result.bounds) == pytest.approx(1.0, abs=0.02)


def test_ethos_u_keeps_its_feature_maps_in_the_memory_of_the_system() -> None:
    """Every layer reads its inputs and writes its outputs there; weights pass once, encoded."""
    chip = hardware.load_chip("ethos-u55-128")
    result = npu.run("mlperf_tiny_vww", chip=chip)
    assert chip.weight_memory is not None
    assert result.dram_bytes > 96 * 96 * 3
    encoded = chip.weight_memory.compression.value * result.parameter_bytes
    assert encoded <= result.weight_memory_bytes < 1.02 * encoded
    assert result.scratchpad_peak_bytes <= chip.scratchpad.size.value


def test_ethos_u55_agrees_with_vela_on_five_networks() -> None:
    """Median difference at most 15 % (trained weights compress to a share that differs by network)."""
    rows = [row for row in load_references("npu") if row.chip == "ethos-u55-128"]
    errors = [abs(npu.run(row.model, chip=row.chip).latency_s / row.number - 1) for row in rows]
    assert len(errors) == 5
    assert median(errors) < 0.15


def test_both_networks_of_the_first_tpu_are_within_ten_percent() -> None:
    rows = [row for row in load_references("npu") if row.chip == "tpu-v1"]
    for row in rows:
        result = npu.run(row.model, chip=row.chip, batch=row.batch)
        assert 2 * result.macs / row.batch * result.throughput_per_s == pytest.approx(row.number, rel=0.10)
    assert len(rows) == 2


def test_energies_of_the_ndp9120_are_within_ten_percent() -> None:
    """In sample: two networks, two parameters."""
    rows = [row for row in load_references("npu") if row.chip == "ndp9120"]
    for row in rows:
        assert getattr(npu.run(row.model, chip=row.chip), row.quantity) == pytest.approx(row.number, rel=0.10)
    assert {row.quantity for row in rows} == {"throughput_per_s", "energy_j"}


def test_lower_voltage_saves_the_energy_that_the_law_says() -> None:
    """Energies of events scale with V**2, idle power with V**2 f, leakage with V; time with 1 / f on the array."""
    chip = hardware.load_chip("ndp9120")
    fast = npu.run("mlperf_tiny_kws", chip=chip)
    slow = npu.run("mlperf_tiny_kws", chip=chip, voltage=0.9)
    assert fast.trust.inside
    assert not slow.trust.inside
    volts = 0.9 / 1.1
    events_j = fast.energy_j - fast.static_power_w * fast.latency_s
    idle_w = chip.energy.idle.value * volts**2 * 30 / 98.7
    expected_j = events_j * volts**2 + (idle_w + chip.energy.leakage.value * volts) * slow.latency_s
    assert slow.energy_j == pytest.approx(expected_j, rel=0.005)
    assert slow.latency_s == pytest.approx(fast.latency_s * 98.7 / 30, rel=0.05)
