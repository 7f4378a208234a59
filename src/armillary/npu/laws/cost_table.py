"""Costs of a table of operators on a chip, and their errors where the table says what they should be.

In:  a CSV file and a chip (catalogue name, YAML file or `Chip`). Out: `OperatorCosts`.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from armillary.hardware import Chip, OperatorLaws, load_chip
from armillary.npu.geometry import FloatArray
from armillary.npu.laws.costs import grouped, ideal_and_energy, laws_of, operator_cycles
from armillary.npu.laws.forms import Shapes
from armillary.npu.laws.result import GroupError, OperatorCost, OperatorCosts
from armillary.npu.laws.table import OperatorTable, read_table
from armillary.store import content_key, file_digest
from armillary.timeline import RunInfo, Trust


def operators(table: str | Path, /, *, chip: str | Path | Chip, seed: int = 0) -> OperatorCosts:
    """Return the cycles and energy of each operator of `table` on one tile of `chip`.

    Args:
        table: CSV file with the columns op, dtype, in_w, in_h, in_c, out_w, out_h, out_c, k, s, pad; with `cycles_nn`
            errors are reported too, over the rows whose `device` (where the table has it) is this chip's.
        chip: name of the catalogue, YAML file, or a chip; it needs `operator_laws`.
        seed: recorded with the result; nothing here is random.

    Returns:
        Cycles of the chip's clock with the operator's data in the scratchpad, seconds, PV cycles, relative errors.

    Raises:
        InputError: a wrong table (file:line), an unknown chip, or one without a law that a row needs.
    """
    started = perf_counter()
    device = chip if isinstance(chip, Chip) else load_chip(chip)
    laws, given = laws_of(device), read_table(table)
    # Whole cycles, as an engine would count them.
    cycles = np.ceil(operator_cycles(given, device))
    ideal, energy = ideal_and_energy(given, device)
    reference = _reference(given, laws)
    errors = cycles / reference - 1
    compared = np.flatnonzero(np.isfinite(errors))
    absolute = np.abs(errors[compared])
    rows = tuple(
        OperatorCost(
            given.op_words[row],
            given.dtype_words[row],
            **{name: column[row] for name, column in given.sizes.items()},
            cycles=int(cycles[row]),
            time_s=float(cycles[row]) / device.clock.value,
            ideal_cycles=int(ideal[row]),
            energy_pv_cycles=None if energy is None else float(energy[row]),
            cycles_nn=_or_none(reference[row]),
            error=_or_none(errors[row]),
        )
        for row in range(len(given.lines))
    )
    return OperatorCosts(
        table=given.source,
        chip=device.name,
        rows=rows,
        median_abs_error=float(np.median(absolute)) if len(compared) else None,
        p90_abs_error=float(np.quantile(absolute, 0.9)) if len(compared) else None,
        groups=_groups(given, device, errors),
        trust=_trust(given, device, laws),
        seed=seed,
        inputs={
            "table": file_digest(Path(table)),
            "chip": content_key(device.model_dump(mode="json", by_alias=True)),
        },
        run=RunInfo.now(wall_s=perf_counter() - started),
    )


def _reference(table: OperatorTable, laws: OperatorLaws) -> FloatArray:
    """Return the reference cycles of each row, NaN where the table has none or speaks of another device."""
    if table.reference is None:
        return np.full(len(table.lines), np.nan)
    ours = np.array([device in ("", laws.device) for device in table.devices])
    return np.where(ours, table.reference, np.nan)


def _groups(table: OperatorTable, chip: Chip, errors: FloatArray) -> tuple[GroupError, ...]:
    found = []
    for law, rows in grouped(table, chip):
        absolute = np.abs(errors[rows])
        absolute = absolute[np.isfinite(absolute)]
        if len(absolute):
            median, p90 = float(np.median(absolute)), float(np.quantile(absolute, 0.9))
            found.append(GroupError(law.op, law.dtype, len(absolute), median, p90, float(absolute.max())))
    return tuple(found)


def _trust(table: OperatorTable, chip: Chip, laws: OperatorLaws) -> Trust:
    """Say whether all rows lie in the range of the fit; the expected error is the largest of the laws used."""
    used = [law for law, _ in grouped(table, chip)]
    shapes = table.shapes
    outside = int(np.count_nonzero(~_inside(shapes, laws)))
    spans = (
        f"{laws.channels.low:g} to {laws.channels.high:g} channels, kernels of {laws.kernel.low:g} to "
        f"{laws.kernel.high:g}, {laws.positions.low:g} to {laws.positions.high:g} positions"
    )
    return Trust(
        calibrated_range=spans,
        inside=outside == 0,
        expected_error=max(law.median_error.value for law in used),
        basis=f"worst median error of the laws used on held-out rows; {laws.source}",
        improve="measured cycles of your operators, in a table of the same columns for tools/fit_npu_operators.py"
        if outside == 0
        else f"measured cycles of shapes as those of the {outside} rows outside",
    )


def _inside(shapes: Shapes, laws: OperatorLaws) -> npt.NDArray[np.bool_]:
    """Return which rows lie in the spans of the fit, shape (rows,)."""
    positions = shapes.width * shapes.height
    spans = (
        (shapes.inputs, laws.channels),
        (shapes.outputs, laws.channels),
        (np.sqrt(shapes.taps), laws.kernel),
        (positions, laws.positions),
    )
    each = [(span.low <= column) & (column <= span.high) for column, span in spans]
    return np.asarray(np.logical_and.reduce(each), np.bool_)


def _or_none(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
