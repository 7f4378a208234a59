"""`armillary check FILE`: is this file of mine valid, and if not, where.

In:  a chip, a GPU or a row (.yaml), a model (any file that an importer takes) or a run folder.
Out: one line that says what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from armillary.cli.common import Verbosity
from armillary.errors import InputError


def check(
    file: Path,
    /,
    *,
    shape: Annotated[list[str], Parameter(negative=(), show_default=False)] = [],
    common: Verbosity = Verbosity(),
) -> int:
    """Say whether FILE is valid: a chip, a GPU, a row (.yaml), a model (.onnx) or a run folder.

    Args:
        file: the file or folder.
        shape: dimensions of an input that the model leaves open, NAME=1,3,320,320; repeatable.
        common: options that all verbs share.
    """
    from armillary.cli.shapes import parse_shapes

    verdict = describe(file, parse_shapes(shape))
    if not common.quiet:
        print(f"{file}: {verdict}")
    return 0


def describe(file: Path, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return what `file` is, in one line.

    Raises:
        InputError: it is nothing that Armillary reads, or not valid; says where.
    """
    if file.is_dir():
        from armillary.store import read_manifest

        manifest = read_manifest(file, verify=True)
        return f"a run of `{manifest.kind}`, {len(manifest.files)} files, all as they were written"
    if not file.exists():
        raise InputError("no such file", where=str(file))
    if file.suffix.lower() in (".yaml", ".yml"):
        from armillary import hardware, power

        if power.is_row_file(file):
            return f"a valid row, {power.load_row(file).name}"
        if hardware.is_gpu_file(file):
            return f"a valid GPU, {hardware.load_gpu(file).name}"
        return f"a valid chip, {hardware.load_chip(file).name}"
    from armillary import workload

    suffixes = workload.importer_suffixes()
    if file.suffix.lower() not in suffixes:
        known = ", ".join([".yaml", *suffixes])
        raise InputError(
            "not a kind of file that Armillary reads", where=str(file), hint=f"known: {known}, run folders"
        )
    graph = workload.load_model(file, shapes=shapes or None)
    return f"a model of {len(graph.operators)} operators"
