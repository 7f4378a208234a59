"""A file holds one idea and opens by saying what it is."""

from __future__ import annotations

import subprocess

import pytest

from tests.house.source_tree import REPOSITORY, Source, sources

LONGEST = 400
LONGEST_KERNEL = 800
LARGEST_BYTES = 1_000_000


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.module)
def test_a_file_is_short_and_opens_with_what_it_is(source: Source) -> None:
    limit = LONGEST_KERNEL if source.module == "armillary.engine.kernel" else LONGEST
    assert source.lines <= limit, f"{source.place(1)} has {source.lines} lines, the limit is {limit}"
    assert source.docstring, f"{source.place(1)} has no opening docstring"


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [name for name in listed.stdout.split("\0") if name]


def test_the_repository_holds_no_large_file() -> None:
    sizes = {name: (REPOSITORY / name).stat().st_size for name in tracked() if (REPOSITORY / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > LARGEST_BYTES} == {}


def test_the_repository_names_no_path_of_one_machine() -> None:
    homes = [f"/{folder}/" for folder in ("home", "root", "work")]
    found = []
    for name in tracked():
        path = REPOSITORY / name
        if path.suffix in (".py", ".md", ".toml", ".yaml", ".sh", ".txt") and path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            found += [f"{name}:{n}" for n, line in enumerate(lines, 1) if any(f" {home}" in line for home in homes)]
    assert found == []
