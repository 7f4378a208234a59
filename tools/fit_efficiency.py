"""Fit the array efficiency of a chip, and its idle power, on the few rows known of it; say how far the fit carries.

In:  the calibration rows of `armillary.validation` for one chip: latencies or rates, and energies where there are any.
Out: efficiency and idle power; errors in the fit, and of each network when the others alone are fitted. `--write` puts
values and errors into the catalogue.
Objective: mean of the logarithms of simulated over measured is zero, for times and for energies.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from armillary import npu
from armillary.hardware import Chip, Quantity, load_chip
from armillary.validation import Reference, load_references

CHIPS = ("ndp9120", "pixel6-edge-tpu")
CATALOG = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "catalog"
ROUNDS = 8  # each shrinks what is left several times
FloatArray = npt.NDArray[np.float64]


def with_parameters(chip: Chip, efficiency: float, idle_w: float) -> Chip:
    """Return `chip` with the two parameters."""
    return chip.model_copy(
        update={
            "array": chip.array.model_copy(update={"efficiency": Quantity(efficiency)}),
            "energy": chip.energy.model_copy(update={"idle": Quantity(idle_w)}),
        }
    )


def log_times(rows: list[Reference], chip: Chip) -> FloatArray:
    """Return log(simulated / measured time) of the rows that tell a latency or a rate."""
    signs = {"latency_s": 1.0, "throughput_per_s": -1.0}
    return np.array([signs[row.quantity] * _log_ratio(row, chip) for row in rows if row.quantity in signs])


def log_energies(rows: list[Reference], chip: Chip) -> FloatArray:
    """Return log(simulated / measured) of the energies."""
    return np.array([_log_ratio(row, chip) for row in rows if row.quantity == "energy_j"])


def fit(rows: list[Reference], chip: Chip) -> Chip:
    """Return `chip` with the parameters that fit `rows`: times are set by the efficiency alone, energies by both."""
    efficiency, idle_w = chip.array.efficiency.value, chip.energy.idle.value
    for _ in range(ROUNDS):
        efficiency = min(1.0, efficiency * float(np.exp(log_times(rows, chip).mean())))
        chip = with_parameters(chip, efficiency, idle_w)
        energies = log_energies(rows, chip)
        idle_w *= float(np.exp(-energies.mean())) if len(energies) else 1.0
        chip = with_parameters(chip, efficiency, idle_w)
    return chip


def write_catalogue(name: str, chip: Chip, inside: float, outside: float) -> None:
    """Put the parameters and their errors into the catalogue file of the chip."""
    path = CATALOG / f"{name}.yaml"
    text = path.read_text(encoding="utf-8")
    values = {
        "efficiency: {value": f"{chip.array.efficiency.value:.4g}",
        "idle: {value": f"{chip.energy.idle.value * 1e3:.4g} mW",
        "in_sample_error": f"{inside:.3f}",
        "expected_error": f"{outside:.3f}",
    }
    for key, value in values.items():
        text, count = re.subn(rf"({re.escape(key)}: )[^,\n]+", rf"\g<1>{value}", text)
        assert count == 1, key
    path.write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    """Print the fit and its errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chip", choices=CHIPS)
    parser.add_argument("--write", action="store_true", help="put the values into the catalogue")
    options = parser.parse_args(arguments)
    rows = [row for row in load_references("npu") if row.calibration and row.chip == options.chip]
    chip = fit(rows, load_chip(options.chip))
    print(f"efficiency {chip.array.efficiency.value:.4g}, idle {chip.energy.idle.value * 1e3:.4g} mW")
    errors = []
    for what, log_ratios in (("time", log_times), ("energy", log_energies)):
        inside, outside = np.expm1(log_ratios(rows, chip)), []
        for model in dict.fromkeys(row.model for row in rows):
            others = fit([row for row in rows if row.model != model], load_chip(options.chip))
            outside.append(np.expm1(log_ratios([row for row in rows if row.model == model], others)))
        if not len(inside):
            continue
        errors.append((float(np.abs(inside).mean()), float(np.abs(outside).mean())))
        print(f"{what}: in the fit {np.round(inside, 3)}, left out {np.round(np.concatenate(outside), 3)}")
    if options.write:
        write_catalogue(options.chip, chip, *errors[0])
    return 0


def _log_ratio(row: Reference, chip: Chip) -> float:
    run = npu.run(row.model, chip=chip, resolution=row.resolution, width=row.width)
    return float(np.log(getattr(run, row.quantity) / row.number))


if __name__ == "__main__":
    sys.exit(main())
