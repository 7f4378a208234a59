"""`armillary check FILE`: is this file of mine valid, and if not, where.

In:  a chip (.yaml), a model (any file that an importer takes) or a run folder. Out: one line that says what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from armillary.errors import InputError


def check(file: Path, /, *, shape: Annotated[list[str] | None, Parameter(negative=())] = None) -> int:
    """Say whether FILE is valid: a chip (.yaml), a model (.onnx) or a run folder.

    Args:
        file: the file or folder.
        shape: shape of an input of a model whose dimensions are open, NAME=1,3,320,320; repeatable.
    """
    print(f"{file}: {describe(file, shape or [])}")  # noqa: T201
    return 0


def describe(file: Path, shape: list[str]) -> str:
    """Return what `file` is, in one line.

    Raises:
        InputError: it is nothing that Armillary reads, or not valid; says where.
    """
    if file.is_dir():
        from armillary.store import read_manifest

        manifest = read_manifest(file, verify=True)
        return f"a run of `{manifest.kind}`, {len(manifest.files)} files, all as they were written"
    if not file.is_file():
        raise InputError("no such file", where=str(file))
    if file.suffix.lower() in (".yaml", ".yml"):
        from armillary import hardware

        chip = hardware.load_chip(file)
        return f"a valid chip, {chip.name}"
    raise InputError(
        "not a kind of file that Armillary reads", where=str(file), hint="known: .yaml, .onnx, run folders"
    )
