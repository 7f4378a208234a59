"""Fit the three parameters of the Coral Edge TPU on the six calibration networks, and say how far the fit carries.

In:  the calibration rows of `armillary.validation` (six latencies on a desktop over USB 3), the chip of the catalogue.
Out: array efficiency, USB 3 rate and cost of a layer; the error of each network in the fit, and when the fit leaves it
out. `--write` puts the values into the catalogue files of all Coral boards (the link only into the USB 3 one).
Objective: sum of squared logarithms of simulated over measured latency; one set of parameters for all networks.
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

from armillary.engine.simulate import simulate
from armillary.hardware import Chip, Quantity, load_chip
from armillary.npu.compile import compile_network
from armillary.npu.emit import emit
from armillary.validation import Reference, load_references
from armillary.workload import Graph, load_model

BOARD = "coral-edge-tpu-usb"
CATALOG = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "catalog"
FloatArray = npt.NDArray[np.float64]

# Array efficiency, bytes/s of the link, seconds of a layer: where the search may go.
LOWEST, HIGHEST = np.log([0.05, 200e6, 1e-7]), np.log([1.0, 500e6, 1e-4])
STARTS = np.log([[0.4, 440e6, 12e-6], [0.8, 400e6, 25e-6]])
STEP = 0.02  # of the logarithms; smaller ones would see single tiles move


def with_parameters(chip: Chip, logs: FloatArray) -> Chip:
    """Return `chip` with the three parameters exp(logs)."""
    efficiency, rate, layer_cost = (Quantity(float(value)) for value in np.exp(logs))
    assert chip.host_link is not None
    return chip.model_copy(
        update={
            "array": chip.array.model_copy(update={"efficiency": efficiency}),
            "host_link": chip.host_link.model_copy(update={"rate": rate}),
            "control": chip.control.model_copy(update={"layer_cost": layer_cost}),
        }
    )


def latency_s(graph: Graph, chip: Chip) -> float:
    """Return the simulated latency of one inference."""
    return simulate(emit(compile_network(graph, chip)).tasks).makespan_s


def log_ratios(logs: FloatArray, rows: Sequence[tuple[Graph, float]], chip: Chip) -> FloatArray:
    """Return log(simulated / measured) of each (graph, seconds)."""
    fitted = with_parameters(chip, np.clip(logs, LOWEST, HIGHEST))
    return np.array([np.log(latency_s(graph, fitted) / measured_s) for graph, measured_s in rows])


def fit(rows: Sequence[tuple[Graph, float]], chip: Chip) -> FloatArray:
    """Return the logarithms of the three parameters that fit `rows` best."""
    results = [
        least_squares(log_ratios, start, bounds=(LOWEST, HIGHEST), diff_step=STEP, xtol=1e-4, args=(rows, chip))
        for start in STARTS
    ]
    return np.asarray(min(results, key=lambda result: float(result.cost)).x)


def write_catalogue(logs: FloatArray, inside: FloatArray, outside: FloatArray) -> None:
    """Put the parameters and their errors into the catalogue files of the Coral boards."""
    efficiency, rate, layer_cost = np.exp(logs)
    fitted = {
        "efficiency": f"{efficiency:.4g}",
        "layer_cost": f"{layer_cost * 1e6:.4g} us",
        "rate": f"{rate / 1e6:.4g} MB/s",
    }
    errors = {
        "in_sample_error": f"{np.abs(inside).mean():.3f}",
        "expected_error": f"{np.abs(outside).mean():.3f}",
    }
    for path in sorted(CATALOG.glob("coral-edge-tpu-*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines):
            key = line.strip().split(":")[0]
            if "fitted_by: tools/fit_edge_tpu.py}" in line and key in fitted:
                lines[number] = re.sub(r"\{value: [^,]+,", f"{{value: {fitted[key]},", line, count=1)
            elif key in errors:
                lines[number] = f"  {key}: {errors[key]}\n"
        path.write_text("".join(lines), encoding="utf-8")


def main() -> int:
    """Fit, print the table, and write the catalogue if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the values into the catalogue")
    arguments = parser.parse_args()
    chip = load_chip(BOARD)
    references: list[Reference] = [r for r in load_references("npu") if r.calibration and r.chip == BOARD]
    rows = [(load_model(r.model, resolution=r.resolution, dtype=r.dtype), r.number) for r in references]
    best = fit(rows, chip)
    efficiency, rate, layer_cost = np.exp(best)
    print(f"array efficiency {efficiency:.4g}, USB 3 {rate / 1e6:.4g} MB/s, layer cost {layer_cost * 1e6:.4g} us")
    inside = np.exp(log_ratios(best, rows, chip)) - 1
    outside = []
    print(f"{'network':28}{'measured ms':>12}{'simulated':>11}{'in sample':>11}{'left out':>10}")
    for index, reference in enumerate(references):
        without = fit([row for other, row in enumerate(rows) if other != index], chip)
        outside.append(float(np.exp(log_ratios(without, rows[index : index + 1], chip))[0]) - 1)
        simulated_ms = reference.number * 1e3 * (1 + inside[index])
        figures = f"{reference.number * 1e3:12.2f}{simulated_ms:11.2f}{inside[index]:11.1%}{outside[index]:10.1%}"
        print(f"{reference.model:28}{figures}")
    means = (float(np.abs(errors).mean()) for errors in (inside, np.array(outside)))
    print("mean absolute error: in sample {:.1%}, leave one network out {:.1%}".format(*means))
    if arguments.write:
        write_catalogue(best, inside, np.array(outside))
    return 0


if __name__ == "__main__":
    sys.exit(main())
