"""Fit the operator laws of the Intel NPUs to tables of predicted cycles, and say how far they carry.

In:  `data/npu/npu27_predicted_cycles.csv` and `npu40_predicted_cycles.csv` below the data root (or `--data DIR`),
     and the silicon figures of `armillary.validation`. Rows with index mod 4 = 0 are held out of every fit.
Out: coefficients of a law per chip, operator and element type; errors in the fit, held out, held out without shapes
     that the fit saw under another index, and five-fold within the fit. `--write` puts the laws into the chip files.
Objective: soft-L1 of log(law / table) plus a ridge to a starting point, so that what rows do not tell stays where it
was; for NPU 4.0, which has a quarter of the rows, that point is the law of 2.7, on a steeper ridge, with the bytes that
the scratchpad gives in a cycle scaled.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from armillary.hardware import Chip, DenseLaw, ElementwiseLaw, Law, OperatorLaws, WindowedLaw, load_chip
from armillary.npu.laws import OperatorTable, operator_cycles, read_table
from armillary.npu.laws.costs import law_cycles
from armillary.npu.laws.forms import Shapes
from armillary.store import data_file
from armillary.validation import OperatorReference, load_operator_references, operator_table

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CATALOG = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "catalog"
HELD_OUT = 4  # every fourth row
FOLDS = 5
SOFT = 0.1  # relative error from which on the loss grows linearly
# Fitted as they are; the rest are fitted as logarithms.
LINEAR = (
    "width_fill", "height_fill", "tile_fill", "channel_fill", "input_fill", "narrow_3x3", "skipped", "sharpness",
)  # fmt: skip
LIMITS = {"sharpness": (1.0, 12.0)}
REACH = 5.0  # of logarithms from the start

DENSE = {
    "launch": 150.0, "channel_cost": 5.0, "work": 1.1, "windowed": 0.9, "skipped": 0.5, "read": 80.0, "write": 40.0,
    "sharpness": 4.0, "width_fill": 0.5, "height_fill": 0.8, "input_fill": 0.9, "narrow_input": 12.0,
}  # fmt: skip
WINDOWED = {
    "launch": 150.0, "window_cost": 5.0, "tap": 0.2, "output": 0.15, "strided": 1.05, "width_fill": 0.5,
    "height_fill": 0.8, "tile_fill": 0.1, "channel_fill": 0.8, "narrow_3x3": 0.9,
}  # fmt: skip
ELEMENTWISE = {
    "launch": 110.0, "channel_cost": 6.0, "rate": 20.0, "width_fill": 0.2, "height_fill": 0.5, "channel_fill": 0.2,
}  # fmt: skip
# Form -> its class and where the search begins; operator -> its form.
FORMS: Mapping[str, tuple[type[Law], Mapping[str, float]]] = {
    "dense": (DenseLaw, DENSE),
    "windowed": (WindowedLaw, WINDOWED),
    "elementwise": (ElementwiseLaw, ELEMENTWISE),
}
FORM_OF = {
    "conv": "dense", "depthwise": "windowed", "max_pool": "windowed", "avg_pool": "windowed", "add": "elementwise",
}  # fmt: skip

WEAK_RIDGE = {"dense": 0.02, "windowed": 0.02, "elementwise": 0.02}
# Median and 90th percentile of the error of a row that the fit leaves out are least here, over the rows of the fit
# (tried from 0.05 to 0.8; flat between 0.1 and 0.4).
STEEP_RIDGE = {"dense": 0.2, "windowed": 0.3, "elementwise": 0.4}


@dataclass(frozen=True, slots=True)
class Source:
    """A chip, its table, and how it is fitted."""

    chip: str
    device: str
    file: str
    ridge: Mapping[str, float]  # by form
    scratchpad_bytes_per_cycle: float  # words x read ports x clock of the scratchpad over clock of the array: VPUNN
    macs_per_cycle: Mapping[str, int]
    note: str


SOURCES = (
    Source(
        chip="intel-npu-2.7",
        device="27",
        file="data/npu/npu27_predicted_cycles.csv",
        ridge=WEAK_RIDGE,
        scratchpad_bytes_per_cycle=16 * 8 * 975 / 1300,
        macs_per_cycle={"int8": 2048, "fp16": 1024},
        note="750 cycles predicted by Intel's silicon-trained network (VPUNN vpu_2_7), and one silicon count",
    ),
    Source(
        chip="intel-npu-4.0",
        device="40",
        file="data/npu/npu40_predicted_cycles.csv",
        ridge=STEEP_RIDGE,
        scratchpad_bytes_per_cycle=32 * 8 * 971 / 1700,
        macs_per_cycle={"int8": 2048, "fp16": 1024},
        note="200 cycles predicted by Intel's silicon-trained network (VPUNN vpu_4_0), drawn to the laws of NPU 2.7",
    ),
)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A law with its errors (absolute, relative): in the fit, held out, held out and new, and by folds in the fit."""

    law: Law
    inside: FloatArray
    held_out: FloatArray
    new: FloatArray
    folds: FloatArray


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one operator and element type."""

    op: str
    dtype: str
    shapes: Shapes
    cycles: FloatArray
    held_out: npt.NDArray[np.bool_]
    identity: IntArray  # equal for equal shapes

    @property
    def form(self) -> str:
        """Form of the law."""
        return FORM_OF[self.op]

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients of the law."""
        return FORMS[self.form][0].COEFFICIENTS


def groups_of(table: OperatorTable) -> list[Group]:
    """Return the rows of each operator and element type."""
    assert table.reference is not None
    index = np.arange(len(table.lines))
    found = []
    for op, dtype in sorted(set(zip(table.ops, table.dtypes, strict=True))):
        rows = np.array([i for i in index if (table.ops[i], table.dtypes[i]) == (op, dtype)], np.int64)
        keys = np.array([[column[row] for column in table.sizes.values()] for row in rows])
        identity = np.unique(keys, axis=0, return_inverse=True)[1]
        found.append(Group(op, dtype, table.shapes.select(rows), table.reference[rows], rows % HELD_OUT == 0, identity))
    return found


def law_of(group: Group, coefficients: Mapping[str, float], errors: FloatArray | None = None, rows: int = 1) -> Law:
    """Return the law of `group` with the given coefficients, and its errors where they are known."""
    form, _ = FORMS[group.form]
    median, p90 = (1.0, 1.0) if errors is None else (float(np.median(errors)), float(np.quantile(errors, 0.9)))
    about = {"op": group.op, "dtype": group.dtype, "form": group.form, "rows": rows}
    shown = {"median_error": max(round(median, 3), 1e-3), "p90_error": min(max(round(p90, 3), 1e-3), 1.0)}
    return form(**about, **shown, **coefficients)


def to_vector(coefficients: Mapping[str, float], names: Sequence[str]) -> FloatArray:
    """Return the coefficients as the search sees them."""
    return np.array([coefficients[name] if name in LINEAR else np.log(coefficients[name]) for name in names])


def to_coefficients(vector: FloatArray, names: Sequence[str]) -> dict[str, float]:
    """Return the coefficients of a point of the search."""
    return {
        name: float(value) if name in LINEAR else float(np.exp(value))
        for name, value in zip(names, vector, strict=True)
    }


def rounded(name: str, value: float) -> float:
    """Return a coefficient as it is written."""
    return round(value, 4) if name in LINEAR else float(f"{value:.4g}")


def fit(group: Group, rows: IntArray, start: Mapping[str, float], ridge: float, laws: OperatorLaws) -> dict[str, float]:
    """Return the coefficients that fit the given rows of `group` best, near `start` as far as `ridge` says."""
    names = group.names
    shapes, log_cycles = group.shapes.select(rows), np.log(group.cycles[rows])
    first = to_vector(start, names)
    limits = [LIMITS.get(name, (0.0, 1.0)) for name in names]
    lowest = np.array([limits[i][0] if n in LINEAR else first[i] - REACH for i, n in enumerate(names)])
    highest = np.array([limits[i][1] if n in LINEAR else first[i] + REACH for i, n in enumerate(names)])
    scale = np.where([name in LINEAR for name in names], 0.5, 1.0)

    def residuals(vector: FloatArray) -> FloatArray:
        law = law_of(group, to_coefficients(np.clip(vector, lowest, highest), names))
        error = (np.log(law_cycles(shapes, law, laws)) - log_cycles) / SOFT
        soft = np.sign(error) * SOFT * np.sqrt(2 * (np.sqrt(1 + error**2) - 1))
        return np.concatenate([soft, ridge * (vector - first) / scale])

    random = np.random.default_rng(0)
    results = []
    for attempt in range(4):
        jitter = random.normal(0, 0.3, len(first)) * scale if attempt else 0.0
        begin = np.clip(first + jitter, lowest + 1e-6, highest - 1e-6)
        results.append(least_squares(residuals, begin, bounds=(lowest, highest), x_scale=scale, max_nfev=200))
    best = min(results, key=lambda result: float(result.cost))
    return to_coefficients(np.clip(best.x, lowest, highest), names)


def with_bandwidth(coefficients: Mapping[str, float], ratio: float) -> dict[str, float]:
    """Return the coefficients for a scratchpad that gives `ratio` times the bytes in a cycle."""
    return {name: value * ratio if name in ("read", "write") else value for name, value in coefficients.items()}


def absolute_errors(group: Group, rows: IntArray, coefficients: Mapping[str, float], laws: OperatorLaws) -> FloatArray:
    """Return |law / table - 1| of the given rows."""
    cycles = law_cycles(group.shapes.select(rows), law_of(group, coefficients), laws)
    return np.abs(cycles / group.cycles[rows] - 1)


def fold_errors(group: Group, start: Mapping[str, float], ridge: float, laws: OperatorLaws) -> FloatArray:
    """Return the absolute errors of the rows of the fit, each by a law that was fitted without it and its like."""
    seen = np.flatnonzero(~group.held_out)
    found = []
    for fold in range(FOLDS):
        left_out = seen[group.identity[seen] % FOLDS == fold]
        if len(left_out):
            without = fit(group, np.setdiff1d(seen, left_out), start, ridge, laws)
            found.append(absolute_errors(group, left_out, without, laws))
    return np.concatenate(found)


def fit_group(group: Group, start: Mapping[str, float], ridge: float, laws: OperatorLaws) -> Fitted:
    """Return the law of `group`, rounded as it will be written, with its errors."""
    seen, unseen = np.flatnonzero(~group.held_out), np.flatnonzero(group.held_out)
    new = unseen[~np.isin(group.identity[unseen], group.identity[seen])]
    folds = fold_errors(group, start, ridge, laws)
    best = {name: rounded(name, value) for name, value in fit(group, seen, start, ridge, laws).items()}
    held_out = absolute_errors(group, unseen, best, laws)
    return Fitted(
        law_of(group, best, held_out if len(unseen) else folds, len(seen)),
        absolute_errors(group, seen, best, laws),
        held_out,
        absolute_errors(group, new, best, laws),
        folds,
    )


def laws_block(source: Source, table: OperatorTable, laws: Sequence[Law]) -> OperatorLaws:
    """Return the laws of a chip with the spans of the rows that they were fitted on."""
    fitted = np.array([row for row in range(len(table.lines)) if row % HELD_OUT])
    shapes = table.shapes.select(fitted)
    positions = shapes.width * shapes.height
    channels = np.concatenate([shapes.inputs, shapes.outputs])
    return OperatorLaws.model_validate(
        {
            "fitted_by": "tools/fit_npu_operators.py",
            "from": source.note,
            "device": source.device,
            "macs_per_cycle": dict(source.macs_per_cycle),
            "channels": {"low": int(channels.min()), "high": int(channels.max())},
            "kernel": {"low": int(np.sqrt(shapes.taps.min())), "high": int(np.sqrt(shapes.taps.max()))},
            "positions": {"low": int(positions.min()), "high": int(positions.max())},
            "laws": [law.model_dump(mode="json") for law in laws],
        }
    )


def fit_narrow_input(fitted: Sequence[Fitted], block: OperatorLaws) -> float:
    """Return the channels that an image counts as: what the calibration figures of few input channels ask for."""
    references = [r for r in load_operator_references("npu") if r.calibration]
    assert {reference.op for reference in references} == {"conv"}
    law = next(found.law for found in fitted if (found.law.op, found.law.dtype) == ("conv", "int8"))
    shapes = operator_table(references).shapes

    def errors(logarithm: FloatArray) -> FloatArray:
        tried = law.model_copy(update={"narrow_input": float(np.exp(logarithm[0]))})
        measured = [reference.value for reference in references]
        return np.log(law_cycles(shapes, tried, block) / measured)

    return float(f"{np.exp(least_squares(errors, [np.log(DENSE['narrow_input'])]).x[0]):.4g}")


def block_text(block: OperatorLaws) -> str:
    """Return the laws as the last block of a chip file."""
    rates = ", ".join(f"{dtype}: {rate}" for dtype, rate in block.macs_per_cycle.items())
    lines = [
        "# One operator on one tile; `armillary catalog schema` says what each coefficient means.",
        "operator_laws:",
        f"  fitted_by: {block.fitted_by}",
        f'  from: "{block.source}"',
        f'  device: "{block.device}"',
        f"  macs_per_cycle: {{{rates}}}",
    ]
    for name in ("channels", "kernel", "positions"):
        span = getattr(block, name)
        lines.append(f"  {name}: {{low: {span.low:g}, high: {span.high:g}}}")
    lines.append("  laws:")
    for law in block.laws:
        lines.append(f"    - op: {law.op}")
        lines += [f"      {name}: {getattr(law, name)}" for name in ("dtype", "form", "rows")]
        lines += [f"      {name}: {getattr(law, name).value:g}" for name in ("median_error", "p90_error")]
        lines += [f"      {name}: {getattr(law, name)!r}" for name in law.COEFFICIENTS]
    return "\n".join(lines) + "\n"


def write_chip(chip: str, block: OperatorLaws) -> None:
    """Replace the laws in the chip file, which are its last block."""
    path = CATALOG / f"{chip}.yaml"
    text = re.split(r"\n*(?:# One operator on one tile[^\n]*\n)?operator_laws:", path.read_text(encoding="utf-8"))[0]
    path.write_text(f"{text.rstrip()}\n\n{block_text(block)}", encoding="utf-8")


def print_errors(source: Source, fitted: Sequence[Fitted]) -> None:
    """Print median and 90th percentile of the errors of each law, and over all rows."""
    print(f"\n{source.chip}: median / 90th percentile of the absolute error, %")
    heads = ("in the fit", "held out", "held out, new", "five folds")
    print(
        f"{'operator':18}{'coeff.':>7}{'rows':>6}" + "".join(f"{head:>16}" for head in heads) + f"{'max held out':>14}"
    )
    columns = [[getattr(found, name) for found in fitted] for name in ("inside", "held_out", "new", "folds")]
    for index, found in enumerate(fitted):
        law = found.law
        cells = "".join(f"{_percents(column[index]):>16}" for column in columns)
        name = f"{law.op} {law.dtype}"
        print(f"{name:18}{len(law.COEFFICIENTS):7}{law.rows:6}{cells}{found.held_out.max(initial=0):14.1%}")
    totals = [np.concatenate(column) for column in columns]
    cells = "".join(f"{_percents(total):>16}" for total in totals)
    print(f"{'all':18}{'':7}{sum(found.law.rows for found in fitted):6}{cells}{totals[1].max():14.1%}")


def print_silicon(chip: Chip, references: Sequence[OperatorReference]) -> None:
    """Print each silicon figure beside the law."""
    ours = [reference for reference in references if reference.chip == chip.name]
    cycles = operator_cycles(operator_table(ours), chip)
    errors = [float(cycle / reference.value - 1) for cycle, reference in zip(cycles, ours, strict=True)]
    print(f"\n{'silicon, ' + chip.name:40}{'measured':>10}{'law':>10}{'error':>9}")
    for reference, cycle, error in zip(ours, cycles, errors, strict=True):
        kind = "calibration" if reference.calibration else "blind"
        print(f"{reference.name:40}{reference.value:10.0f}{cycle:10.0f}{error:9.1%}  {kind}")
    blind = [abs(error) for error, reference in zip(errors, ours, strict=True) if not reference.calibration]
    print(
        f"mean absolute error: all {np.mean(np.abs(errors)):.1%}, blind {np.mean(blind):.1%}, largest {max(blind):.1%}"
    )


def _percents(errors: FloatArray) -> str:
    return f"{np.median(errors) * 100:.1f} / {np.quantile(errors, 0.9) * 100:.1f}" if len(errors) else "-"


def main() -> int:
    """Fit, print the errors, and write the chip files if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="data root (default: ARMILLARY_SHARED, else ../shared)")
    parser.add_argument("--write", action="store_true", help="write the laws into the chip files")
    arguments = parser.parse_args()
    first: Source | None = None
    starts: dict[tuple[str, str], Mapping[str, float]] = {}
    for source in SOURCES:
        table = read_table(data_file(source.file, root=arguments.data))
        groups = groups_of(table)
        plain = laws_block(source, table, [law_of(group, FORMS[group.form][1]) for group in groups])
        fitted = []
        for group in groups:
            start = starts.get((group.op, group.dtype), FORMS[group.form][1])
            if first is not None:
                start = with_bandwidth(start, source.scratchpad_bytes_per_cycle / first.scratchpad_bytes_per_cycle)
            fitted.append(fit_group(group, start, source.ridge[group.form], plain))
        if first is None:
            first = source
            narrow = {"narrow_input": fit_narrow_input(fitted, plain)}
        laws = [f.law.model_copy(update=narrow) if isinstance(f.law, DenseLaw) else f.law for f in fitted]
        starts = {(law.op, law.dtype): {name: getattr(law, name) for name in law.COEFFICIENTS} for law in laws}
        block = laws_block(source, table, laws)
        print_errors(source, fitted)
        references = load_operator_references("npu")
        chip = load_chip(source.chip).model_copy(update={"operator_laws": block})
        if any(reference.chip == source.chip for reference in references):
            print_silicon(chip, references)
        if arguments.write:
            write_chip(source.chip, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
