"""Where the larger data of others lie, which the repository never holds.

In:  the variable ARMILLARY_SHARED, else the folder `../shared` beside the current one.
Out: the folder, or None; a named file in it, or an error that says how to get it.
"""

from __future__ import annotations

import os
from pathlib import Path

from armillary.errors import InputError

VARIABLE = "ARMILLARY_SHARED"
BESIDE = Path("../shared")


def data_root() -> Path | None:
    """Return the data root: the variable's folder when it is set, else `../shared` when it is there, else None.

    Raises:
        InputError: the variable names no folder.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if not Path(named).is_dir():
            raise InputError(f"names no folder: {named}", where=VARIABLE, hint="set it to the data root, or unset it")
        return Path(named)
    return BESIDE if BESIDE.is_dir() else None


def data_file(name: str, *, root: Path | None = None) -> Path:
    """Return the file `name` below `root` (None: the data root).

    Raises:
        InputError: there is no data root, or no such file in it.
    """
    root = root or data_root()
    if root is None:
        raise InputError(f"{name} needs the data root", hint=f"set {VARIABLE}, or give --data DIR")
    path = root / name
    if not path.is_file():
        raise InputError(f"no file {name}", where=str(root))
    return path
