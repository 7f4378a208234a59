"""`armillary power profile`: names, JSON, run folder, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary.cli import main

COMMAND = ["power", "profile", "--model", "bloom-176b", "--gpu", "a100-80gb", "--tp", "8", "--prompt", "2048"]


def test_the_json_has_the_figures_of_the_question(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--batch", "1", "--output", "128", "--clock-mhz", "1275", "--power-cap-w", "350", "--dtype", "fp16"]
    assert main([*COMMAND, *options, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    result = document["result"]
    for name in ("prefill_s", "decode_s_per_token", "ttft_s", "peak_power_w", "mean_power_w", "energy_j_per_token"):
        assert result[name] > 0
    assert result["clock_mhz"] == 1275
    assert result["trust"]["inside"] is True
    assert sum(bound["share"] for bound in result["decode_bounds"]) == pytest.approx(1)


def test_the_table_says_what_bounds_and_how_far_to_trust(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--out", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "prefill bound by" in shown
    assert "to improve" in shown
    assert json.loads((tmp_path / "run" / "result.json").read_text())["kind"] == "power profile"
    assert main(["check", str(tmp_path / "run")]) == 0


def test_exit_codes_tell_wrong_input_from_an_answer_of_no(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "profile", "--model", "llama2-70b", "--gpu", "a100-80gb", "--prompt", "512"]) == 3
    assert "short by" in capsys.readouterr().err
    assert main(["power", "profile", "--model", "llama9", "--gpu", "a100-80gb", "--prompt", "512"]) == 2
