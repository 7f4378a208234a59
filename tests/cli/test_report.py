"""`armillary report` makes a page anew and leaves the figures alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary import npu, power
from armillary.cli import main
from armillary.cli.report import RESULTS, load_result
from armillary.store import read_manifest, writing_run


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "squeezenet"
    return npu.run("squeezenet", chip="coral-edge-tpu-usb").save(folder)


def test_a_page_made_again_is_the_same_page(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, before = saved / "report.html", read_manifest(saved)
    text = page.read_bytes()
    page.unlink()
    # Without its page the run is not as it was written; that is said, and `--out` of the same run mends it.
    assert main(["report", str(saved)]) == 2
    assert "report.html is missing" in capsys.readouterr().err
    page.write_bytes(text)
    assert main(["report", str(saved)]) == 0
    assert page.read_bytes() == text
    assert read_manifest(saved, verify=True) == before


def test_a_result_read_back_has_the_same_digest(saved: Path) -> None:
    result = load_result(saved)
    assert type(result) is npu.NpuResult
    assert result.digest() == json.loads((saved / "manifest.json").read_text())["about"]["digest"]


def test_every_kind_of_result_is_known_by_the_verb_that_makes_it() -> None:
    assert set(RESULTS) == {npu.NpuResult.kind, npu.ShareResult.kind, power.RowResult.kind}


def test_a_run_of_an_unknown_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"schema": 1, "kind": "moon phase", "seed": 0, "inputs": {}, "result": {}}
    with writing_run(tmp_path / "run", kind="moon phase") as run:
        run.write_text("result.json", json.dumps(figures))
    assert main(["report", str(tmp_path / "run")]) == 2
    assert "known: npu run" in capsys.readouterr().err
