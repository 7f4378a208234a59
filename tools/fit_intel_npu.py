"""Fit the transfer, layer and submission costs of the Intel NPU 2.7 (NPU3720), and say how well they fit.

In:  the calibration rows of `armillary.validation` for this chip: two single transfers, latency and throughput of one
     network. Laws of operators are fitted elsewhere (tools/fit_npu_operators.py) and not touched.
Out: rate and latency of DRAM, which the two transfers tell exactly; time to issue a layer and to hand over an
inference, within the intervals below, and the errors of all rows. Four parameters on four rows: all in sample.
`--write` puts them into the catalogue: all four into NPU 2.7, the submission also into 4.0 and 5.0, which share its
driver. Objective: squared logarithms of simulated over measured, with a weak pull to the middle of each interval.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from armillary import npu
from armillary.hardware import Chip, Quantity, load_chip
from armillary.npu.transfer import transfer_s
from armillary.validation import Reference, load_references, load_transfer_references
from armillary.workload import Graph, load_model

BOARD = "intel-npu-2.7"
SAME_DRIVER = (BOARD, "intel-npu-4.0", "intel-npu-5.0")
CATALOG = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "catalog"
FloatArray = npt.NDArray[np.float64]

# Seconds to issue a layer: from a barrier seen by hardware to firmware that launches each. Seconds to hand over an
# inference: from a doorbell and an interrupt to a driver that copies and wakes threads.
LOWEST, HIGHEST = np.log([0.3e-6, 20e-6]), np.log([4e-6, 500e-6])
MIDDLE = (LOWEST + HIGHEST) / 2
PULL = 0.01  # of a logarithm's distance from the middle, beside errors of a few per cent
STEP = 0.05


def with_memory(chip: Chip, rate: float, latency_s: float) -> Chip:
    """Return `chip` with the given DRAM; one engine moves at most what the memory gives."""
    assert chip.dram is not None
    told = {"rate": Quantity(rate), "latency": Quantity(latency_s), "engine_rate": Quantity(rate)}
    return chip.model_copy(update={"dram": chip.dram.model_copy(update=told)})


def with_costs(chip: Chip, logs: FloatArray) -> Chip:
    """Return `chip` with the layer and submission costs exp(logs)."""
    layer, submission = (Quantity(float(value)) for value in np.exp(logs))
    control = chip.control.model_copy(update={"layer_cost": layer, "submit_cost": submission})
    return chip.model_copy(update={"control": control})


def log_ratios(chip: Chip, rows: Sequence[tuple[Graph, Reference]]) -> FloatArray:
    """Return log(simulated / measured) of each row."""
    found = []
    for graph, reference in rows:
        run = npu.run(graph, chip=chip, dtype=reference.dtype, queue_depth=reference.queue_depth)
        found.append(np.log(float(getattr(run, reference.quantity)) / reference.number))
    return np.array(found)


def fit(chip: Chip, rows: Sequence[tuple[Graph, Reference]]) -> FloatArray:
    """Return the logarithms of the layer and submission costs that fit `rows` best."""

    def residuals(logs: FloatArray) -> FloatArray:
        return np.concatenate([log_ratios(with_costs(chip, logs), rows), PULL * (logs - MIDDLE)])

    start = np.log([1e-6, 150e-6])
    found = least_squares(residuals, start, bounds=(LOWEST, HIGHEST), diff_step=STEP, xtol=1e-3, max_nfev=30)
    return np.asarray(found.x)


def memory_of(rows: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return (bytes/s, seconds) of the memory that moves two sizes in their two times."""
    (small, small_s), (large, large_s) = rows
    rate = (large - small) / (large_s - small_s)
    return rate, small_s - small / rate


def write_catalogue(rate: float, latency_s: float, logs: FloatArray) -> None:
    """Put the parameters into the catalogue, each where the file says that this script fits it."""
    layer, submission = np.exp(logs)
    values = {
        "rate": f"{rate / 1e9:.4g} GB/s",
        "engine_rate": f"{rate / 1e9:.4g} GB/s",
        "latency": f"{latency_s * 1e9:.4g} ns",
        "layer_cost": f"{layer * 1e6:.3g} us",
        "submit_cost": f"{submission * 1e6:.3g} us",
    }
    for name in SAME_DRIVER:
        path = CATALOG / f"{name}.yaml"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines):
            key = line.strip().split(":")[0]
            if "fitted_by: tools/fit_intel_npu.py" in line and key in values:
                lines[number] = re.sub(r"\{value: [^,]+,", f"{{value: {values[key]},", line, count=1)
        path.write_text("".join(lines), encoding="utf-8")


def main() -> int:
    """Fit, print the table, and write the catalogue if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the values into the catalogue")
    arguments = parser.parse_args()
    transfers = [t for t in load_transfer_references("npu") if t.chip == BOARD and t.calibration]
    rate, latency_s = memory_of([(t.bytes, t.value.value) for t in transfers])
    chip = with_memory(load_chip(BOARD), rate, latency_s)
    references = [r for r in load_references("npu") if r.chip == BOARD and r.calibration]
    rows = [(load_model(r.model, resolution=r.resolution, dtype=r.dtype), r) for r in references]
    logs = fit(chip, rows)
    layer, submission = np.exp(logs)
    print(f"DRAM {rate / 1e9:.4g} GB/s after {latency_s * 1e9:.4g} ns")
    print(f"layer {layer * 1e6:.3g} us, submission {submission * 1e6:.3g} us")
    fitted = with_costs(chip, logs)
    print(f"{'calibration row':40}{'error':>8}")
    for transfer in transfers:
        print(f"{transfer.name:40}{transfer_s(transfer.bytes, fitted) / transfer.value.value - 1:8.1%}")
    for (_, reference), error in zip(rows, np.expm1(log_ratios(fitted, rows)), strict=True):
        print(f"{reference.name:40}{error:8.1%}")
    if arguments.write:
        write_catalogue(rate, latency_s, logs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
