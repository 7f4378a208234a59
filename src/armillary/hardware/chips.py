"""Chips by name or by file.

In:  a catalogue name (case, `-` and `_` do not count) or the path of a YAML file.
Out: a validated `Chip`; the names of the catalogue; the JSON Schema for editors; a commented template for a new chip.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.hardware.schema import Chip
from armillary.store import load_model

_SUFFIXES = (".yaml", ".yml")


def chip_names() -> tuple[str, ...]:
    """Return the names of the catalogue, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".yaml") for entry in _catalog().iterdir() if entry.name.endswith(".yaml"))
    )


def load_chip(name_or_path: str | Path) -> Chip:
    """Return the chip of the catalogue called `name_or_path`, or the one that the YAML file there describes.

    Raises:
        InputError: no such name (with the nearest ones) or file, or the file is not a valid chip (file:line).
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.lower().endswith(_SUFFIXES) or "/" in text:
        path = Path(name_or_path)
        if not path.is_file():
            raise InputError("no such chip file", where=text, hint=f"or a name: {', '.join(chip_names())}")
        return load_model(path, Chip)
    for name in chip_names():
        if canonical_name(name) == canonical_name(text):
            return _catalogue_chip(name)
    raise unknown_name("chip", text, chip_names())


def chip_schema() -> dict[str, Any]:
    """Return the JSON Schema of chip files."""
    schema = Chip.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def chip_template() -> str:
    """Return a commented YAML file that is a valid chip, to start one's own from."""
    return files("armillary.hardware").joinpath("template.yaml").read_text(encoding="utf-8")


def chip_text(name_or_path: str | Path) -> str:
    """Return the YAML of a chip with its comments and sources.

    Raises:
        InputError: as `load_chip`.
    """
    chip, path = load_chip(name_or_path), Path(name_or_path)
    source = path if path.is_file() else _catalog().joinpath(f"{chip.name}.yaml")
    return source.read_text(encoding="utf-8")


def _catalog() -> Traversable:
    return files("armillary.hardware").joinpath("catalog")


@lru_cache(maxsize=256)
def _catalogue_chip(name: str) -> Chip:
    # Files of the package do not change while it runs, and a chip is frozen.
    with as_file(_catalog().joinpath(f"{name}.yaml")) as path:
        return load_model(path, Chip)
