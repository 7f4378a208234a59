"""`import armillary` costs nothing, and every public name of it can be had."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import armillary
from tests.house.test_imports import HEAVY


def modules_after(code: str) -> set[str]:
    """The top-level modules that are loaded after `code` ran in a fresh interpreter."""
    program = f"import sys\n{code}\nprint('\\n'.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_root_loads_no_library_at_all() -> None:
    assert modules_after("import armillary") & {*HEAVY, "numpy", "pydantic", "rich", "cyclopts"} == set()


@pytest.mark.parametrize("name", armillary.__all__)
def test_every_name_of_the_root_can_be_had(name: str) -> None:
    assert getattr(armillary, name) is not None
    assert name in dir(armillary)


def test_rooms_of_the_root_are_their_modules() -> None:
    assert armillary.units is importlib.import_module("armillary.units")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'npv'"):
        armillary.npv  # noqa: B018, RUF100
