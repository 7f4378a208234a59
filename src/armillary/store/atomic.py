"""Write a file so that a reader sees the old one or the new one, whole, whatever happens in between.

In:  a path and bytes, text or a function that writes to a path. Out: the file, on the disk when the call returns.
Temporary file in the same folder, fsync, rename, fsync of the folder.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_PREFIX = ".armillary-"


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, atomically; missing folders are made.

    Raises:
        OSError: the folder cannot be written; `path` is then as it was.
    """

    def fill(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_with(path, fill)


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_with(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a temporary file beside `path`, then put it in place atomically.

    Args:
        path: the file to replace.
        fill: writes the whole content to the path it is given (a Parquet writer, say).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=_PREFIX, suffix=path.suffix, dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        fill(temporary)
        temporary.chmod(0o666 & ~_umask())
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    _sync(folder)


def is_leftover(path: Path) -> bool:
    """Tell whether `path` is a temporary file that a killed writer left behind."""
    return path.name.startswith(_PREFIX)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # mkstemp makes private files; the mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
