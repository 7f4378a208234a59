"""What the package declares agrees with what it imports and with what continuous integration installs."""

from __future__ import annotations

import re
import sys
import tomllib
from typing import Any

from tests.house.source_tree import REPOSITORY, sources

# Distribution -> the module it brings, where they differ.
MODULE_OF = {"ruamel.yaml": "ruamel", "protobuf": "google", "nvidia-ml-py": "pynvml"}


def project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]  # type: ignore[no-any-return]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~ ]", requirement)[0].lower() for requirement in requirements}


def constraints() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.lower().split("==") for line in lines if "==" in line)


def test_every_import_of_the_package_is_declared() -> None:
    """Module-level imports come from the core; those inside functions may come from an extra."""
    extras = [requirement for extra in project()["optional-dependencies"].values() for requirement in extra]
    core = {MODULE_OF.get(name, name) for name in names(project()["dependencies"])}
    known = core | {MODULE_OF.get(name, name).replace("-", "_") for name in names(extras)}
    backends = {"llvmlite", "pydantic_core"}  # of numba and pydantic, whose versions they follow
    own = {"armillary", *sys.stdlib_module_names, *backends}
    found = {
        f"{source.place(entry.line)}: {entry.module}"
        for source in sources()
        for entry in source.imports
        if entry.module.split(".")[0] not in own | (core if entry.at_module_level else known)
    }
    assert found == set()


def test_what_the_tests_install_is_pinned_and_nothing_is_capped() -> None:
    declared = project()["dependencies"] + [
        requirement for extra in ("test", "docs") for requirement in project()["optional-dependencies"][extra]
    ]
    pinned = {name.replace("_", "-") for name in constraints()}
    assert {name.replace("_", "-") for name in names(declared)} <= pinned
    everything = declared + [item for extra in project()["optional-dependencies"].values() for item in extra]
    assert [requirement for requirement in everything if re.search("[<=~!]", requirement.replace(">=", ""))] == []


def test_the_version_stands_in_one_place() -> None:
    import armillary

    assert project()["dynamic"] == ["version"]
    assert f"\nversion: {armillary.__version__}\n" in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {armillary.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
