"""The scorecard: reference figures beside what Armillary obtains for them.

In:  the `Reference` and `OperatorReference` rows of a system.
Out: one `Score` a row, in file order, runs before operators; no row is left out.
A row that parameters were fitted on is marked: its error shows the fit, not how the model carries.
"""

from __future__ import annotations

from collections.abc import Iterable

from armillary import npu
from armillary.errors import unknown_name
from armillary.hardware import load_chip
from armillary.npu.laws import operator_cycles
from armillary.validation.operator_table import operator_table
from armillary.validation.references_file import (
    OperatorReference,
    Reference,
    load_operator_references,
    load_references,
)
from armillary.validation.score import Score

__all__ = ["SYSTEMS", "Score", "mean_absolute_error", "scorecard"]

SYSTEMS = ("npu", "power")


def scorecard(system: str) -> tuple[Score, ...]:
    """Run what the references of `system` describe and compare.

    Raises:
        InputError: no such system, or a reference names a model or chip that is not known.
    """
    if system not in SYSTEMS:
        raise unknown_name("system with references", system, SYSTEMS)
    if system == "power":
        from armillary.validation.power_scores import power_scores

        return tuple(power_scores())
    runs = (_score(reference) for reference in load_references(system))
    return (*runs, *(_operator_score(reference) for reference in load_operator_references(system)))


def mean_absolute_error(scores: Iterable[Score]) -> float | None:
    """Return the mean of |error| as a share, None of no score."""
    errors = [abs(score.error) for score in scores]
    return sum(errors) / len(errors) if errors else None


def _score(reference: Reference) -> Score:
    run = npu.run(
        reference.model,
        chip=reference.chip,
        dtype=reference.dtype,
        resolution=reference.resolution,
        batch=reference.batch,
        queue_depth=reference.queue_depth,
        width=reference.width,
        sequence=reference.sequence,
    )
    obtained = _figure(run, reference.quantity)
    return Score(
        reference.name,
        reference.quantity,
        reference.unit,
        reference.number,
        obtained,
        obtained / reference.number - 1,
        reference.calibration,
        reference.source,
    )


def _figure(run: npu.NpuResult, quantity: str) -> float:
    """Return the figure of `run` that `quantity` names."""
    if quantity == "ops_per_s":
        return 2 * run.macs / run.batch * run.throughput_per_s
    return float(getattr(run, quantity))


def _operator_score(reference: OperatorReference) -> Score:
    cycles = float(operator_cycles(operator_table([reference]), load_chip(reference.chip))[0])
    return Score(
        reference.name,
        "cycles",
        "cycles",
        reference.value,
        cycles,
        cycles / reference.value - 1,
        reference.calibration,
        reference.source,
    )
