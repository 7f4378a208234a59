"""From what a user types to a graph: a name of the zoo, or a model file read by the importer of its suffix.

In:  "mobilenet_v2" or "detector.onnx", and the sizes that the file leaves open.
Out: a `Graph`.
An importer is a function `(path, *, shapes, dtype) -> Graph`. Built-ins and plugins (entry points of the group
`armillary.importers`, named by suffix: `".onnx" = "package.module:load"`) stand in one table and load on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final, Protocol

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.workload import zoo
from armillary.workload.graph import Graph

_GROUP: Final = "armillary.importers"
_BUILT_IN: Final = (EntryPoint(".onnx", "armillary.workload.onnx_reader:load", _GROUP),)


class Importer(Protocol):
    """Reads one model file into a graph; every fault of the file is an `InputError`."""

    def __call__(self, path: Path, *, shapes: Mapping[str, tuple[int, ...]] | None, dtype: str | None) -> Graph:
        """Read `path`; `shapes` fixes open dimensions of inputs, `dtype` turns floating tensors (None: as stored)."""
        ...


def importer_suffixes() -> tuple[str, ...]:
    """File suffixes that can be read, built-in and installed, sorted."""
    return tuple(sorted(_importers()))


def load_model(
    name_or_path: str | Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    resolution: int | None = None,
    sequence: int | None = None,
    width: float = 1.0,
    batch: int = 1,
    dtype: str | None = None,
) -> Graph:
    """Return the graph of a zoo network or of a model file.

    Args:
        name_or_path: a name of `zoo.names()`, or a path whose suffix has an importer.
        shapes: shape of inputs by name, for the dimensions that a file leaves open; files only.
        resolution: height and width of the image, pixels; zoo only.
        sequence: tokens, steps, or cached tokens of a decode; zoo only.
        width: channel multiplier; zoo only.
        batch: items an inference; zoo only.
        dtype: element type of the floating tensors; None is int8 for the zoo and as stored for files.

    Raises:
        InputError: no such model or file, a suffix that no importer reads, or sizes that do not fit the model.
    """
    if canonical_name(str(name_or_path)) in _zoo_names():
        if shapes:
            raise InputError(
                f"shapes are for model files, {name_or_path} is a network of the zoo",
                hint="use the resolution or sequence, and the batch",
            )
        return zoo.build(
            str(name_or_path), resolution=resolution, sequence=sequence, batch=batch, width=width, dtype=dtype or "int8"
        )
    path = Path(name_or_path)
    suffix = path.suffix.lower()
    importers = _importers()
    if suffix in importers:
        if not path.is_file():
            raise _unreadable(name_or_path, importers)
        if resolution is not None or sequence is not None or width != 1.0 or batch != 1:
            raise InputError(
                "resolution, sequence, width and batch are for networks of the zoo",
                where=str(name_or_path),
                hint="a file takes --shape name=sizes",
            )
        importer: Importer = importers[suffix].load()
        return importer(path, shapes=shapes, dtype=dtype)
    raise _unreadable(name_or_path, importers)


def _zoo_names() -> set[str]:
    return {canonical_name(name) for name in zoo.names()}


def _importers() -> dict[str, EntryPoint]:
    """Suffix -> entry point; an installed plugin may replace a built-in."""
    return {entry.name.lower(): entry for entry in (*_BUILT_IN, *entry_points(group=_GROUP))}


def _unreadable(name_or_path: str | Path, importers: Mapping[str, EntryPoint]) -> InputError:
    """Return the error for something that is neither a known name nor a readable file."""
    known = ", ".join(sorted(importers))
    text, path = str(name_or_path), Path(name_or_path)
    if text and path.is_dir():
        return InputError("is a folder, not a model file", where=text, hint=f"a model file ends in {known}")
    if path.suffix.lower() in importers:
        return InputError("no such file", where=text)
    # A name of the zoo may hold a version ("3.1"), a file type begins with a letter.
    if path.is_file() or path.suffix[1:2].isalpha():
        return InputError(
            f"no importer reads {path.suffix or 'files without a suffix'}", where=text, hint=f"known: {known}"
        )
    return unknown_name("model", text, zoo.names())
