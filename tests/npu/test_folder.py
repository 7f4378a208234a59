from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary import hardware, npu
from armillary.cli import main
from armillary.errors import InfeasibleError, InputError
from tests.workload.onnx_models import convolutional, recurrent, write

CHIP = "generic-array-16x16"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two models that run, a broken one, and a file that is no model."""
    folder = tmp_path / "models"
    folder.mkdir()
    write(folder, convolutional(), "b.onnx")
    write(folder, recurrent(), "a.onnx")
    (folder / "broken.onnx").write_bytes(b"no model")
    (folder / "notes.txt").write_text("not a model")
    return folder


def test_each_model_has_a_row_and_failures_say_why(models: Path) -> None:
    table = npu.run_folder(models, chip=CHIP)
    assert [row.file for row in table.rows] == ["a.onnx", "b.onnx", "broken.onnx"]
    assert [row.error is None for row in table.rows] == [True, True, False]
    assert "broken.onnx" in (table.rows[2].error or "")
    assert table.rows[1].latency_s == npu.run(models / "b.onnx", chip=CHIP).latency_s


def test_a_folder_on_the_command_line_is_one_table(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["npu", "run", str(models), "--chip", CHIP]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(".onnx" in line for line in lines) == 3
    assert main(["npu", "run", str(models), "--chip", CHIP, "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["latency_s"] > 0
    assert rows[2]["latency_s"] is None


def test_out_holds_a_run_folder_a_model(models: Path, tmp_path: Path) -> None:
    npu.run_folder(models, chip=CHIP, out=tmp_path / "runs")
    assert npu.NpuResult.load(tmp_path / "runs" / "b.onnx").latency_s > 0
    with pytest.raises(InputError):
        npu.run_folder(models, chip=CHIP, out=tmp_path / "runs")


def test_a_folder_of_which_nothing_runs_is_refused(models: Path, tmp_path: Path) -> None:
    (models / "a.onnx").unlink()
    (models / "b.onnx").unlink()
    with pytest.raises(InputError, match="none of the 1 models runs; the first one: .*broken.onnx"):
        npu.run_folder(models, chip=CHIP)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="holds no model file; known: .onnx"):
        npu.run_folder(empty, chip=CHIP)


def test_a_folder_that_does_not_fit_is_infeasible(models: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(hardware.chip_text(CHIP).replace("size: 512 KiB", "size: 64 B"))
    (models / "broken.onnx").unlink()
    with pytest.raises(InfeasibleError, match="none of the 2 models runs"):
        npu.run_folder(models, chip=small)


def test_sizes_of_the_catalogue_do_not_go_with_a_folder(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["npu", "run", str(models), "--chip", CHIP, "--resolution", "96"]) == 2
    assert "a folder takes the sizes that its files have" in capsys.readouterr().err
