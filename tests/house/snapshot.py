"""The public surface of Armillary, as one JSON document that stands in the repository.

In:  the installed package. Out: names of each package, flags of each command, keys of results, schemas of files.
`python -m tests.house.snapshot --write` writes it anew (say in CHANGELOG.md how to migrate); without the flag it
prints the differences.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from armillary.cli.app import app
from armillary.cli.report import RESULTS
from tests.house.source_tree import sources

SNAPSHOT = Path(__file__).with_name("public_surface.json")


def surface() -> dict[str, Any]:
    """Return the public surface as it is now."""
    return {
        "python": {name: _names(name) for name in _packages()},
        "command_line": _commands(app, "armillary"),
        "result_keys": {command: _fields(*place) for command, place in RESULTS.items()},
        "file_schemas": {"chip": _chip_schema()},
    }


def text_of(value: dict[str, Any]) -> str:
    """Return the surface as the text that is committed."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def difference() -> str:
    """Return the unified difference between the committed surface and the present one; empty when they agree."""
    committed = SNAPSHOT.read_text(encoding="utf-8") if SNAPSHOT.exists() else ""
    lines = difflib.unified_diff(
        committed.splitlines(), text_of(surface()).splitlines(), "committed", "present", lineterm="", n=2
    )
    return "\n".join(lines)


def _packages() -> list[str]:
    return [source.module for source in sources() if source.path.name == "__init__.py"]


def _names(package: str) -> list[str]:
    return sorted(getattr(import_module(package), "__all__", []))


def _commands(group: Any, path: str) -> dict[str, dict[str, str]]:
    """Return flag -> type of every command below `group`."""
    found: dict[str, dict[str, str]] = {}
    for name in group:
        if name.startswith("-"):
            continue
        command = group[name]
        if command.default_command is not None:
            arguments = command.assemble_argument_collection()
            found[f"{path} {name}"] = {
                argument.name: _hint(argument.hint) for argument in arguments if argument.name != "*"
            }
        found |= _commands(command, f"{path} {name}")
    return found


def _hint(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)


def _fields(module: str, name: str) -> list[str]:
    result = getattr(import_module(module), name)
    return sorted(field.name for field in dataclasses.fields(result))


def _chip_schema() -> dict[str, Any]:
    """Return the JSON Schema of chips without its prose, which may change freely."""
    from armillary import hardware

    schema: dict[str, Any] = _without_prose(hardware.chip_schema())
    return schema


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        # A property may itself be called "title": only texts are prose.
        return {
            key: _without_prose(item)
            for key, item in value.items()
            if not (key in ("title", "description", "examples", "$comment") and isinstance(item, (str, list)))
        }
    return [_without_prose(item) for item in value] if isinstance(value, list) else value


def main() -> int:
    """Write the snapshot or print how it differs."""
    parser = argparse.ArgumentParser(description="Compare or write the snapshot of the public surface.")
    parser.add_argument("--write", action="store_true", help="write the present surface")
    if parser.parse_args().write:
        SNAPSHOT.write_text(text_of(surface()), encoding="utf-8")
        return 0
    print(difference() or "the public surface is as committed")
    return 1 if difference() else 0


if __name__ == "__main__":
    sys.exit(main())
