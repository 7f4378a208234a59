"""Chips by name or by file.

In:  a catalogue name (case, `-` and `_` do not count) or the path of a YAML file.
Out: a validated `Chip`; the names of the catalogue; the JSON Schema for editors; a commented template for a new chip.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from armillary.hardware.schema import Chip
from armillary.store import Catalogue

_CHIPS: Final = Catalogue("chip", "armillary.hardware", "catalog", Chip)


def chip_names() -> tuple[str, ...]:
    """Return the names of the catalogue, sorted."""
    return _CHIPS.names()


def load_chip(name_or_path: str | Path) -> Chip:
    """Return the chip of the catalogue called `name_or_path`, or the one that the YAML file there describes.

    Raises:
        InputError: no such name (with the nearest ones) or file, or the file is not a valid chip (file:line).
    """
    return _CHIPS.load(name_or_path)


def chip_schema() -> dict[str, Any]:
    """Return the JSON Schema of chip files."""
    return _CHIPS.schema()


def chip_template() -> str:
    """Return a commented YAML file that is a valid chip, to start one's own from."""
    return files("armillary.hardware").joinpath("template.yaml").read_text(encoding="utf-8")


def chip_text(name_or_path: str | Path) -> str:
    """Return the YAML of a chip with its comments and sources.

    Raises:
        InputError: as `load_chip`.
    """
    return _CHIPS.text(name_or_path)
