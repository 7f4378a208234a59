"""The planning verbs from the command line, on a simulated history and on a file of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armillary.cli import main
from armillary.power import simulate
from armillary.power.row.result import RowResult
from armillary.power.topology import load_row


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = simulate(row="dgx-a100-40", servers=52, policy="polca", days=0.5, seed=1)
    folder: Path = result.save(tmp_path_factory.mktemp("row") / "run")
    return folder


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)["result"]


def test_the_page_of_a_row_shows_power_caps_and_latency(run: Path) -> None:
    page = (run / "report.html").read_text()
    for part in ("Power", "Caps", "Latency", "How often at which power", "Services", "SLO", "brake"):
        assert part in page
    assert page.count('<div class="plot"') >= 4


def test_derive_reads_a_run_folder(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = answer(capsys, "power", "derive", "--history", str(run), "--threshold-map", "--out", str(tmp_path / "d"))
    result = RowResult.load(run)
    assert found["history_servers"] == 52
    assert found["interval_s"] == 2.0
    u = result.readings_w / result.budget_w
    largest = max(float((u[lag:] - u[:-lag]).max()) for lag in range(1, 21))
    assert found["t2"]["value"] == pytest.approx(1.0 - largest)
    assert len(found["threshold_map"]) == 28
    assert all(cell["t1"] < cell["t2"] for cell in found["threshold_map"])
    assert "Threshold map" in (tmp_path / "d" / "report.html").read_text()


def test_derive_reads_a_file_of_row_power(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    time_s = np.delete(np.arange(6_000) * 2, [50, 51, 4000])
    power_w = 180e3 + 5e3 * np.sin(time_s / 3000) + np.random.default_rng(0).normal(0, 1e3, len(time_s))
    path = tmp_path / "row.csv"
    lines = [f"{at},{drawn:.1f}" for at, drawn in zip(time_s, power_w, strict=True)]
    path.write_text("\n".join(["time_s,power_w", *lines]))
    found = answer(capsys, "power", "derive", "--history", str(path), "--servers", "40", "--margin", "0.01")
    budget = load_row("dgx-a100-40").budget_w
    assert found["peak_utilisation"] == pytest.approx(power_w.max() / budget, rel=1e-3)
    assert found["servers"]["value"] > 40
    slower = answer(capsys, "power", "derive", "--history", str(path), "--actuation-s", "300", "--margin", "0.01")
    assert slower["t2"]["value"] < found["t2"]["value"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,power_w\n0,100\n2,-5\n", "below 0"),
        ("time_s,watts\n0,100\n", "power_w"),
        ("time_s,power_w\n0,100\n4,100\n2,100\n", "earlier"),
        ("time_s,power_w\n0,100\n2,100\n4,100\n9,100\n10,100\n13,100\n", "interval"),
    ],
)
def test_a_bad_history_is_told_in_one_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "row.csv"
    path.write_text(text)
    assert main(["power", "derive", "--history", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") <= 3


def test_characterize_size_and_compare_answer(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "power", "characterize", "--gpu", "a100-80gb", "--models", "llama2-13b")
    assert {case["sweep"] for case in found["cases"]} == {"prompt", "output", "batch", "tp", "dtype", "clock", "cap"}
    sized = answer(capsys, "power", "size", "--days", "0.1", "--seeds", "1", "--workers", "1", "--slo", "low-p50=20%")
    assert sized["servers"]["low"] >= 40
    assert sized["slo"]["low_p50"] == 0.2
    compared = answer(
        capsys, "power", "compare", "--days", "0.05", "--seeds", "1", "--servers", "40", "--policies", "polca",
        "--workers", "1",
    )  # fmt: skip
    assert [line["policy"] for line in compared["lines"]] == ["polca"]
    assert main(["power", "size", "--slo", "low-p98=1%"]) == 2
    assert "did you mean low_p99" in capsys.readouterr().err
