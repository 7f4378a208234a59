"""The command line's contract: exit codes, plain lines, nothing but JSON with `--json -`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from armillary.cli import main
from armillary.cli.app import app
from armillary.cli.common import Common
from armillary.cli.present import present
from armillary.errors import ArmillaryError, InfeasibleError, InputError
from armillary.store import write_text, writing_run
from tests.house.test_imports import HEAVY
from tests.house.test_root import modules_after


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"], ["check", "--help"], ["npu", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    loaded = modules_after(
        f"import contextlib, io\nfrom armillary.cli import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()): assert main({arguments!r}) == 0"
    )
    assert loaded & {*HEAVY, "pydantic", "numpy"} == set()


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no", where="a.yaml:3", hint="write 4"), 2, "error: a.yaml:3: no; write 4\n"),
        (InfeasibleError("needs 9.2 MiB, has 8"), 3, "error: needs 9.2 MiB, has 8\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied\n"),
        (KeyboardInterrupt(), 130, "error: interrupted\n"),
    ],
)
def test_every_kind_of_error_has_its_code_and_one_line(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("armillary.cli.doctor.examine", fail)
    assert main(["doctor"]) == code
    printed = capsys.readouterr()
    assert printed.err == line
    assert printed.out == ""


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), ArmillaryError("lost a byte"), RecursionError(), MemoryError()]
)
def test_a_defect_is_one_line_and_debug_shows_the_traceback(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("armillary.cli.doctor.examine", fail)
    assert main(["doctor"]) == 1
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "test_main.py" in line
    assert "--debug" in line
    assert main(["doctor", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nup"], "npu"),
        (["doctor", "--quite"], "--quiet"),
        (["check"], "FILE"),
        (["check", "none.yaml"], "none.yaml: no such file"),
        (["check", "x.yaml", "--shape", "images=1,x"], "is not a shape"),
    ],
)
def test_a_wrong_command_line_says_what_would_be_right(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert 1 <= printed.err.count("\n") <= 3
    assert printed.out == ""


def test_a_reader_that_leaves_early_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m armillary doctor | true", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_doctor_names_the_versions_of_the_core(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    assert main(["doctor"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["numpy", np.__version__] in rows


def test_groups_and_tools_all_have_a_help_text() -> None:
    names = [name for name in app if not name.startswith("-")]
    assert {"npu", "catalog", "check", "doctor"} <= set(names)
    assert all(app[name].help for name in names)


# ---- present


@dataclass(frozen=True)
class FakeResult:
    latency_s: float

    def to_json(self) -> dict[str, object]:
        return {"latency_s": self.latency_s}

    def summary(self) -> list[tuple[str, str]]:
        return [("latency", "2.6 ms"), ("name", "[red]not markup[/red] " + "x" * 150)]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        with writing_run(folder, kind="test", overwrite=overwrite) as run:
            run.write_text("result.json", json.dumps(self.to_json()))
        return folder


def test_a_table_shows_the_users_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert present(FakeResult(0.5), Common()) == 0
    printed = capsys.readouterr()
    assert "[red]not markup[/red] " + "x" * 150 in printed.out
    assert printed.err == ""


def test_json_on_standard_output_is_alone_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert present(FakeResult(0.5), Common(json=Path("-"), out=tmp_path / "run")) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"latency_s": 0.5}
    assert printed.err == f"wrote {tmp_path / 'run'}\n"


def test_json_in_a_file_leaves_the_table_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "result.json"
    assert present(FakeResult(0.5), Common(json=path)) == 0
    assert json.loads(path.read_text()) == {"latency_s": 0.5}
    assert "2.6 ms" in capsys.readouterr().out


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert present(FakeResult(0.5), Common(out=tmp_path / "run", quiet=True)) == 0
    assert capsys.readouterr() == ("", "")


def test_a_folder_is_written_once_unless_overwrite_is_given(tmp_path: Path) -> None:
    present(FakeResult(0.5), Common(out=tmp_path / "run"))
    with pytest.raises(InputError, match="--overwrite"):
        present(FakeResult(0.6), Common(out=tmp_path / "run"))
    present(FakeResult(0.6), Common(out=tmp_path / "run", overwrite=True))
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == {"latency_s": 0.6}


# ---- check


def test_check_tells_what_a_file_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    present(FakeResult(0.5), Common(out=tmp_path / "run", quiet=True))
    assert main(["check", str(tmp_path / "run")]) == 0
    assert "a run of `test`, 1 files" in capsys.readouterr().out
    write_text(tmp_path / "run" / "result.json", "{}")
    assert main(["check", str(tmp_path / "run")]) == 2


def test_check_takes_the_template_of_a_chip_and_finds_a_misspelt_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from armillary import hardware

    path = tmp_path / "my.yaml"
    path.write_text(hardware.chip_template())
    assert main(["check", str(path)]) == 0
    assert "a valid chip" in capsys.readouterr().out
    path.write_text(hardware.chip_template().replace("\nname:", "\nnmae:"))
    assert main(["check", str(path)]) == 2
    assert "did you mean name" in capsys.readouterr().err
