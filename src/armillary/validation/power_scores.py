"""The scorecard of language models on GPUs.

In:  phases, locks and caps of `references/power.yaml`. Out: one `Score` a figure, in file order.
"""

from __future__ import annotations

from collections.abc import Iterator

from armillary import power
from armillary.hardware import load_gpu
from armillary.validation.phase_references import CapReference, LockReference, PhaseReference
from armillary.validation.references_file import load_power_references
from armillary.validation.score import Score

UNITS = {"s": "s", "w": "W"}


def power_scores() -> Iterator[Score]:
    """Yield the scores of all power references."""
    rows = load_power_references()
    for phase in rows.phases:
        yield from _phase_scores(phase)
    for lock in rows.locks:
        yield from _lock_scores(lock)
    for cap in rows.caps:
        yield _cap_score(cap)


def _profile(row: PhaseReference | LockReference, clock_mhz: float | None) -> power.PhaseProfile:
    return power.profile(
        model=row.model,
        gpu=row.gpu,
        tp=row.tp,
        prompt=row.prompt,
        batch=row.batch,
        output=row.output,
        clock_mhz=clock_mhz,
    )


def _phase_scores(row: PhaseReference) -> Iterator[Score]:
    shown = _profile(row, None)
    for figure, reference in row.figures.items():
        unit = "s" if figure.endswith("_token") else UNITS[figure.rsplit("_", 1)[1]]
        yield _score(row, f"{row.name}/{figure}", figure, unit, reference, float(getattr(shown, figure)))


def _lock_scores(row: LockReference) -> Iterator[Score]:
    locked, boost = _profile(row, row.clock_mhz), _profile(row, None)
    for figure, reference in row.figures.items():
        ratio = float(getattr(locked, figure)) / float(getattr(boost, figure))
        yield _score(row, f"{row.name}/{figure}", figure, "", reference, ratio)


def _cap_score(row: CapReference) -> Score:
    under = power.capped_training(load_gpu(row.gpu), mean_w=row.free_w, cap_w=row.cap_w)
    return _score(row, row.name, "slow_down", "", row.slow_down, float(under.slow_down))


def _score(
    row: PhaseReference | LockReference | CapReference,
    name: str,
    quantity: str,
    unit: str,
    reference: float,
    obtained: float,
) -> Score:
    error = obtained / reference - 1
    return Score(name, quantity, unit, reference, obtained, error, row.calibration, row.source)
