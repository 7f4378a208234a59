"""Chips of the catalogue that no measurement was fitted to: what must hold for them all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from armillary import hardware, npu
from armillary.hardware import Quantity
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
    assert result.bounds[0].what == "DRAM"
    memory_s = result.parameter_bytes / 34e9
    assert memory_s < 200 / result.throughput_per_s < 1.2 * memory_s
