"""Run folders: a folder is a run when its manifest says so, and the manifest is written last.

In:  files written through a `RunFolder`. Out: `manifest.json` with the size and digest of each, the commit point.
While a run is being written the manifest says `"complete": false`: a killed run is known as ours, and as unfinished.
Only names that the manifest lists are ever removed, and each is a plain file name of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armillary.errors import InputError
from armillary.store.atomic import is_leftover, write_bytes, write_text, write_with
from armillary.store.json_writer import dumps_strict, load_json
from armillary.store.keys import file_digest

MANIFEST = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a run: its length and the SHA-256 of its bytes."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run folder holds."""

    kind: str  # the command that made it: "npu run"
    complete: bool  # False while it is being written, or when its writer was killed
    files: Mapping[str, FileEntry]
    about: Mapping[str, object] = field(default_factory=dict)  # versions, seed, digests of inputs


class RunFolder:
    """A run folder that is being written; every file is put in place atomically."""

    def __init__(self, path: Path, files: Mapping[str, FileEntry]) -> None:
        self.path = path
        self.files = dict(files)

    def write_text(self, name: str, text: str) -> None:
        """Write the file `name` as UTF-8 text."""
        self._enter(name, lambda path: write_text(path, text))

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write the file `name`."""
        self._enter(name, lambda path: write_bytes(path, data))

    def write_with(self, name: str, fill: Callable[[Path], None]) -> None:
        """Let `fill(path)` write the content of the file `name` (a Parquet writer, say)."""
        self._enter(name, lambda path: write_with(path, fill))

    def _enter(self, name: str, write: Callable[[Path], None]) -> None:
        path = self.path / _plain_name(name, str(self.path))
        write(path)
        self.files[name] = FileEntry(path.stat().st_size, file_digest(path))


@contextmanager
def writing_run(
    folder: Path,
    *,
    kind: str,
    about: Mapping[str, object] | None = None,
    overwrite: bool = False,
    resume: bool = False,
) -> Iterator[RunFolder]:
    """Open `folder` for one run; its manifest is committed when the block ends without an error.

    Args:
        folder: made when missing.
        kind: the command that writes, such as "npu run".
        about: versions, seed and digests of inputs, JSON values.
        overwrite: remove the run that the folder holds.
        resume: keep the files that the folder's manifest lists, and add to them.

    Raises:
        InputError: the folder is not empty and neither flag is given, or it holds no manifest of ours.
    """
    kept = _claim(folder, overwrite=overwrite, resume=resume)
    folder.mkdir(parents=True, exist_ok=True)
    run = RunFolder(folder, kept)
    _write_manifest(folder, Manifest(kind, False, run.files, about or {}))
    yield run
    _write_manifest(folder, Manifest(kind, True, run.files, about or {}))


def read_manifest(folder: Path, *, verify: bool = False) -> Manifest:
    """Return the manifest of a finished run folder.

    Args:
        folder: the run folder.
        verify: compare the digest of every file, not only its size.

    Raises:
        InputError: no manifest, an unfinished run, or a file that is missing or not as it was written.
    """
    manifest = _load(folder)
    if not manifest.complete:
        raise InputError("this run was not finished", where=str(folder), hint="run it again with --overwrite")
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{name} is missing", where=str(folder), hint="run it again with --overwrite")
        if path.stat().st_size != entry.size_bytes or (verify and file_digest(path) != entry.sha256):
            raise InputError(f"{name} is not as it was written", where=str(folder))
    return manifest


def _claim(folder: Path, *, overwrite: bool, resume: bool) -> Mapping[str, FileEntry]:
    """Check that we may write to `folder`, clear what `overwrite` allows, and return the files that stay."""
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise InputError("is a file, not a folder", where=str(folder), hint="name another folder with --out")
    if not any(not is_leftover(path) for path in folder.iterdir()):
        return {}
    if not (folder / MANIFEST).is_file():
        raise InputError("not empty and not a run of Armillary", where=str(folder), hint="name another folder")
    if not (overwrite or resume):
        raise InputError("holds a run already", where=str(folder), hint="add --overwrite, or name another folder")
    manifest = _load(folder)
    if resume:
        return {name: entry for name, entry in manifest.files.items() if (folder / name).is_file()}
    # First the old commit is withdrawn, then the files go: no moment shows a complete run with files missing.
    _write_manifest(folder, Manifest(manifest.kind, False, manifest.files))
    for name in manifest.files:
        (folder / name).unlink(missing_ok=True)
    for path in folder.iterdir():
        if is_leftover(path):
            path.unlink(missing_ok=True)
    return {}


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    body = {"armillary_run": SCHEMA} | {
        "kind": manifest.kind,
        "complete": manifest.complete,
        "files": dict(sorted(manifest.files.items())),
        "about": dict(manifest.about),
    }
    write_text(folder / MANIFEST, dumps_strict(body))


def _load(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError("holds no run (no manifest.json)", where=str(folder))
    body: Any = load_json(path)
    try:
        if body["armillary_run"] != SCHEMA:
            raise InputError(f"has manifest schema {body['armillary_run']!r}", where=str(path), hint=f"known: {SCHEMA}")
        files = {
            _plain_name(name, str(path)): FileEntry(int(entry["size_bytes"]), str(entry["sha256"]))
            for name, entry in body["files"].items()
        }
        return Manifest(str(body["kind"]), body["complete"] is True, files, dict(body["about"]))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("is not a manifest of Armillary", where=str(path)) from error


def _plain_name(name: str, where: str) -> str:
    """Return `name` if it is a file name without a folder: a manifest may be hostile."""
    if name in ("", ".", "..", MANIFEST) or "/" in name or "\\" in name or "\0" in name:
        raise InputError(f"{name[:80]!r} is not a plain file name", where=where)
    return name
