"""Run folders: the manifest is the commit point, and nothing that is not ours is ever removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary.errors import InputError
from armillary.store import read_manifest, writing_run


def write_run(folder: Path, text: str = "1", *, overwrite: bool = False, resume: bool = False) -> None:
    with writing_run(folder, kind="npu run", about={"seed": 0}, overwrite=overwrite, resume=resume) as run:
        run.write_text("result.json", text)
        run.write_bytes("trace.pftrace", b"\0\1")


def test_a_finished_run_lists_and_verifies_its_files(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    manifest = read_manifest(tmp_path / "run", verify=True)
    assert manifest.complete
    assert manifest.kind == "npu run"
    assert manifest.about == {"seed": 0}
    assert sorted(manifest.files) == ["result.json", "trace.pftrace"]


def test_a_run_that_raised_is_unfinished_and_may_be_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(RuntimeError), writing_run(folder, kind="npu run") as run:
        run.write_text("result.json", "half")
        raise RuntimeError
    with pytest.raises(InputError, match="not finished"):
        read_manifest(folder)
    write_run(folder, "2", overwrite=True)
    assert (folder / "result.json").read_text() == "2"
    read_manifest(folder, verify=True)


def test_a_folder_of_others_is_refused_whatever_the_flags(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for overwrite, resume in ((False, False), (True, False), (False, True)):
        with pytest.raises(InputError, match="not a run of Armillary"):
            write_run(tmp_path, overwrite=overwrite, resume=resume)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_run_is_refused_without_a_flag_and_replaced_with_one(tmp_path: Path) -> None:
    write_run(tmp_path)
    with pytest.raises(InputError, match="--overwrite"):
        write_run(tmp_path)
    (tmp_path / "notes.txt").write_text("the user's own")
    write_run(tmp_path, "2", overwrite=True)
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "result.json").read_text() == "2"


def test_resume_keeps_the_files_that_are_listed(tmp_path: Path) -> None:
    write_run(tmp_path)
    with writing_run(tmp_path, kind="npu run", resume=True) as run:
        run.write_text("report.html", "<!doctype html>")
    assert sorted(read_manifest(tmp_path, verify=True).files) == ["report.html", "result.json", "trace.pftrace"]


def test_a_changed_or_missing_file_is_noticed(tmp_path: Path) -> None:
    write_run(tmp_path)
    (tmp_path / "result.json").write_text("2")
    with pytest.raises(InputError, match="not as it was written"):
        read_manifest(tmp_path, verify=True)
    (tmp_path / "result.json").unlink()
    with pytest.raises(InputError, match="result.json is missing"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["../victim", "/etc/passwd", "a/b", "..", "", "manifest.json"])
def test_a_hostile_manifest_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "run"
    write_run(folder)
    (tmp_path / "victim").write_text("alive")
    body = json.loads((folder / "manifest.json").read_text())
    body["files"][name] = {"size_bytes": 5, "sha256": ""}
    (folder / "manifest.json").write_text(json.dumps(body))
    with pytest.raises(InputError, match="not a plain file name"):
        write_run(folder, overwrite=True)
    assert (tmp_path / "victim").read_text() == "alive"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"armillary_run": 2}', '{"armillary_run": 1, "files": 3}', "[" * 9999]
)
def test_a_broken_manifest_is_an_input_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="manifest.json"):
        read_manifest(tmp_path)
