"""Fit the two parameters of the NDP9120 on its two networks, and say how far the fit carries.

In:  the calibration rows of `armillary.validation` (inferences per second and energies at 1.1 V), the chip of the
catalogue. Out: array efficiency and idle power; errors in the fit, and of each network when the other one alone is
fitted. `--write` puts values and errors into the catalogue.
Objective: mean of the logarithms of simulated over measured is zero, for rates and for energies.
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

CHIP = "ndp9120"
FILE = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "catalog" / f"{CHIP}.yaml"
ROUNDS = 12  # each shrinks what is left at least tenfold
FloatArray = npt.NDArray[np.float64]


def with_parameters(chip: Chip, efficiency: float, idle_w: float) -> Chip:
    """Return `chip` with the two parameters."""
    return chip.model_copy(
        update={
            "array": chip.array.model_copy(update={"efficiency": Quantity(efficiency)}),
            "energy": chip.energy.model_copy(update={"idle": Quantity(idle_w)}),
        }
    )


def log_ratios(rows: list[Reference], chip: Chip, quantity: str) -> FloatArray:
    """Return log(simulated / measured) of the rows of `quantity`."""
    chosen = [row for row in rows if row.quantity == quantity]
    return np.array([np.log(getattr(npu.run(row.model, chip=chip), quantity) / row.number) for row in chosen])


def fit(rows: list[Reference], chip: Chip) -> Chip:
    """Return `chip` with the parameters that fit `rows`: rates are set by the efficiency alone, energies by both."""
    efficiency, idle_w = chip.array.efficiency.value, chip.energy.idle.value
    for _ in range(ROUNDS):
        efficiency = min(1.0, efficiency * float(np.exp(-log_ratios(rows, chip, "throughput_per_s").mean())))
        chip = with_parameters(chip, efficiency, idle_w)
        idle_w *= float(np.exp(-log_ratios(rows, chip, "energy_j").mean()))
        chip = with_parameters(chip, efficiency, idle_w)
    return chip


def main(arguments: list[str] | None = None) -> int:
    """Print the fit and its errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the values into the catalogue")
    options = parser.parse_args(arguments)
    rows = [row for row in load_references("npu") if row.calibration and row.chip == CHIP]
    chip = fit(rows, load_chip(CHIP))
    efficiency, idle_w = chip.array.efficiency.value, chip.energy.idle.value
    print(f"efficiency {efficiency:.4g}, idle {idle_w * 1e3:.4g} mW")
    errors: dict[str, tuple[float, float]] = {}
    for quantity in ("throughput_per_s", "energy_j"):
        inside = np.expm1(log_ratios(rows, chip, quantity))
        outside = np.concatenate([_left_out(rows, chip, model, quantity) for model in dict.fromkeys(r.model for r in rows)])
        errors[quantity] = float(np.abs(inside).mean()), float(np.abs(outside).mean())
        print(f"{quantity}: in the fit {np.round(inside, 3)}, fitted on the other network {np.round(outside, 3)}")
    if options.write:
        text = FILE.read_text(encoding="utf-8")
        inside_error, outside_error = errors["throughput_per_s"]
        for key, value in (
            ("efficiency: {value", f"{efficiency:.4g}"),
            ("idle: {value", f"{idle_w * 1e3:.4g} mW"),
            ("in_sample_error", f"{inside_error:.3f}"),
            ("expected_error", f"{outside_error:.3f}"),
        ):
            text, count = re.subn(rf"({re.escape(key)}: )[^,\n]+", rf"\g<1>{value}", text)
            assert count == 1, key
        FILE.write_text(text, encoding="utf-8")
    return 0


def _left_out(rows: list[Reference], chip: Chip, model: str, quantity: str) -> FloatArray:
    """Return the error of `model` when the other network is fitted."""
    other = fit([row for row in rows if row.model != model], chip)
    return np.asarray(np.expm1(log_ratios([row for row in rows if row.model == model], other, quantity)))


if __name__ == "__main__":
    sys.exit(main())
