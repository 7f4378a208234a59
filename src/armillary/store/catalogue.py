"""Things by name or by file: a folder of YAML files that comes with the package, and files of the user's own.

In:  the folder and the pydantic model of its files; a name (case, `-` and `_` do not count) or the path of a file.
Out: `Catalogue`: names, validated models, their text with comments, their JSON Schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.store.yaml_reader import load_model

_SUFFIXES = (".yaml", ".yml")
_MOST_BYTES = 400_000
Entry = TypeVar("Entry", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Catalogue(Generic[Entry]):
    """The files `package`/`folder`/NAME.yaml, each of them a `model` called NAME."""

    noun: str
    package: str
    folder: str
    model: type[Entry]

    def names(self) -> tuple[str, ...]:
        """Return the names, sorted."""
        found = [entry.name for entry in self._files().iterdir() if entry.name.endswith(".yaml")]
        return tuple(sorted(name.removesuffix(".yaml") for name in found))

    def load(self, name_or_path: str | Path) -> Entry:
        """Return the entry called `name_or_path`, or the one that the YAML file there describes.

        Raises:
            InputError: no such name (with the nearest ones) or file, or the file is not valid (file:line).
        """
        text = str(name_or_path)
        if not isinstance(name_or_path, Path) and not text.lower().endswith(_SUFFIXES) and "/" not in text:
            return cast("Entry", _entry(self, self._name(text)))
        path = Path(name_or_path)
        if not path.is_file():
            raise InputError(f"no such {self.noun} file", where=text, hint=f"or a name: {', '.join(self.names())}")
        return load_model(path, self.model)

    def text(self, name_or_path: str | Path) -> str:
        """Return the YAML of an entry with its comments and sources.

        Raises:
            InputError: as `load`.
        """
        self.load(name_or_path)
        path = Path(name_or_path)
        source = path if path.is_file() else self._files().joinpath(f"{self._name(str(name_or_path))}.yaml")
        return source.read_text(encoding="utf-8")

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the files."""
        schema = self.model.model_json_schema(by_alias=True)
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}

    def _name(self, text: str) -> str:
        for name in self.names():
            if canonical_name(name) == canonical_name(text):
                return name
        raise unknown_name(self.noun, text, self.names())

    def _files(self) -> Traversable:
        return files(self.package).joinpath(self.folder)


def says_kind(path: Path, kind: str) -> bool:
    """Return True if the YAML file `path` says what it describes: `kind: KIND`."""
    with path.open("rb") as file:
        return re.search(rb"^kind:[ \t]*" + kind.encode() + rb"\b", file.read(_MOST_BYTES), re.MULTILINE) is not None


@lru_cache(maxsize=512)
def _entry(catalogue: Catalogue[Any], name: str) -> BaseModel:
    # Files of the package do not change while it runs, and entries are frozen.
    with as_file(files(catalogue.package).joinpath(catalogue.folder, f"{name}.yaml")) as path:
        return cast("BaseModel", load_model(path, catalogue.model))
