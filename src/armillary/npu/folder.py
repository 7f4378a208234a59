"""A folder of models as one table: one row a model, a message where it does not run.

In:  a folder with model files, and what `run` takes.
Out: `FolderRuns`: rows in the order of the file names. It is an error only if no model of the folder runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.errors import ArmillaryError, InfeasibleError, InputError
from armillary.hardware import Chip, load_chip
from armillary.npu.cost_models import CostChoice, choose_cost_model
from armillary.npu.result import NpuResult
from armillary.npu.run import run
from armillary.workload import importer_suffixes


@dataclass(frozen=True, slots=True)
class FolderRow:
    """One model of a folder: its main figures, or why it did not run."""

    file: str
    latency_s: float | None = None
    throughput_per_s: float | None = None
    macs: int | None = None
    parameter_bytes: int | None = None
    mac_utilisation: float | None = None
    energy_j: float | None = None
    bound: str | None = None
    fallbacks: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class FolderRuns:
    """All models of a folder on one chip."""

    folder: str
    chip: str
    rows: tuple[FolderRow, ...]

    def to_json(self) -> Mapping[str, object]:
        """Return folder, chip and rows; null where a model did not run."""
        return asdict(self)


def run_folder(
    folder: str | Path,
    /,
    *,
    chip: str | Path | Chip,
    dtype: str = "int8",
    shape: Mapping[str, tuple[int, ...]] | None = None,
    queue_depth: int = 1,
    cost_model: CostChoice = None,
    seed: int = 0,
    out: Path | None = None,
    overwrite: bool = False,
) -> FolderRuns:
    """Run every model file of `folder` on `chip`.

    Args:
        folder: holds files that an importer reads; others and sub-folders are left alone.
        chip: name of the catalogue, YAML file, or a chip.
        dtype: element type that the floating tensors of the networks are turned to.
        shape: shapes of inputs by name, for the dimensions that the files leave open; the same for all.
        queue_depth: inferences in flight for the throughput.
        cost_model: what prices tiles, as `run` takes it.
        seed: recorded with the results.
        out: write a run folder a model into this folder.
        overwrite: replace the runs that `out` holds.

    Raises:
        InputError: no model file in the folder, an unknown chip, or none of the models runs.
        InfeasibleError: none of the models runs, and the first one does not fit the chip.
    """
    place = Path(folder)
    files = sorted(path for path in place.iterdir() if path.is_file() and path.suffix.lower() in importer_suffixes())
    if not files:
        raise InputError("holds no model file", where=str(folder), hint=f"known: {', '.join(importer_suffixes())}")
    device = chip if isinstance(chip, Chip) else load_chip(chip)
    model = choose_cost_model(cost_model, device)  # a table is read once
    rows: list[FolderRow] = []
    refused: list[ArmillaryError] = []
    for path in files:
        try:
            result = run(
                path, chip=device, dtype=dtype, shape=shape, queue_depth=queue_depth, cost_model=model, seed=seed
            )
        except ArmillaryError as error:
            if error.exit_code == 1:
                raise
            refused.append(error)
            rows.append(FolderRow(path.name, error=str(error)))
            continue
        rows.append(_row(path.name, result))
        if out is not None:
            result.save(out / path.name, overwrite=overwrite)
    if len(refused) == len(files):
        message = f"{folder}: none of the {len(files)} models runs; the first one: {refused[0]}"
        raise InfeasibleError(message) if isinstance(refused[0], InfeasibleError) else InputError(message)
    return FolderRuns(str(folder), device.name, tuple(rows))


def _row(file: str, result: NpuResult) -> FolderRow:
    return FolderRow(
        file=file,
        latency_s=result.latency_s,
        throughput_per_s=result.throughput_per_s,
        macs=result.macs,
        parameter_bytes=result.parameter_bytes,
        mac_utilisation=result.mac_utilisation,
        energy_j=result.energy_j,
        bound=result.bounds[0].what if result.bounds else "",
        fallbacks=len(result.fallbacks),
    )
