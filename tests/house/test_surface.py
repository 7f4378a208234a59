"""What users build on changes only when it is meant to."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.house.snapshot import difference
from tests.house.source_tree import sources


def test_the_public_surface_is_as_committed() -> None:
    """After a change that is meant: `make snapshot`, and a line in CHANGELOG.md."""
    assert difference() == ""


@pytest.mark.parametrize("package", [source.module for source in sources() if source.path.name == "__init__.py"])
def test_every_public_name_of_a_package_exists(package: str) -> None:
    module = import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
