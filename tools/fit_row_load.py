"""Fit the peak load of a row, so that the largest power of its provisioned servers is a given share of its budget.

In:  a row (name or file), the share that is wanted (0.79: ASPLOS'24), days, seeds.
Out: on standard output, the peak utilisation at each load that was tried, and the load to write into the row's file.
This makes the peak an input of the model. Nothing else of a row is fitted: rises, trips and latencies emerge.
Usage: python tools/fit_row_load.py dgx-a100-40 [--wanted 0.79] [--days 42] [--seeds 3]
"""

from __future__ import annotations

import argparse
from statistics import mean

from armillary.power import Row, load_row
from armillary.power.row.run import policy_for, prepare, run_case


def main() -> None:
    """Bisect on the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row")
    parser.add_argument("--wanted", type=float, default=0.79)
    parser.add_argument("--days", type=float, default=42.0)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    row = load_row(given.row)
    low, high = 0.05, 1.0
    for _ in range(6):
        middle = 0.5 * (low + high)
        peaks = [peak_utilisation(row, middle, given.days, seed) for seed in range(given.seeds)]
        print(f"peak load {middle:.4f}: peak utilisation {mean(peaks):.4f} ({min(peaks):.4f} to {max(peaks):.4f})")
        low, high = (middle, high) if mean(peaks) < given.wanted else (low, middle)
    print(f"write load.peak: {0.5 * (low + high):.3f}")


def peak_utilisation(row: Row, peak: float, days: float, seed: int) -> float:
    """Return the largest power of the row at a peak load, of its budget, without any cap."""
    load = row.load.model_copy(update={"peak": type(row.load.peak)(peak)})
    case = prepare(row=row.model_copy(update={"load": load}), days=days, seed=seed)
    played = run_case(case, policy_for(case, "uncapped"))
    return int(played.state.statistics["peak_mw"][0]) / case.assembly.budget_mw


if __name__ == "__main__":
    main()
