from __future__ import annotations

import json
from pathlib import Path

import pytest

from armillary import hardware, npu
from armillary.cli import main

KEYS = {
    "latency_s", "throughput_per_s", "macs", "parameter_bytes", "dram_bytes", "host_link_bytes",
    "scratchpad_peak_bytes", "mac_utilisation", "energy_j", "average_power_w", "kpis", "layers", "fallbacks", "trust",
}  # fmt: skip
LAYER_KEYS = {"name", "op", "engine", "start_s", "end_s", "bound", "macs", "bytes", "energy_j"}


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out if code == 0 else captured.err


def test_json_holds_the_figures_that_users_build_on(capsys: pytest.CaptureFixture[str]) -> None:
    text = output_of(capsys, "npu", "run", "mobilenet_v2", "--chip", "coral-edge-tpu-usb", "--json", "-")
    result = json.loads(text)["result"]
    assert set(result) >= KEYS
    assert set(result["layers"][0]) >= LAYER_KEYS
    assert result["macs"] == 300_774_272


def test_the_summary_ends_with_what_bounds_it_and_how_far_to_trust_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output_of(capsys, "npu", "run", "squeezenet", "--chip", "coral-edge-tpu-usb2").splitlines()
    labels = [line.split("  ")[0].strip() for line in lines]
    assert [label for label in labels if label][-3:] == ["bound by", "trust", "to improve"]


def test_out_writes_a_run_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    output_of(capsys, "npu", "run", "squeezenet", "--chip", "coral-edge-tpu-usb", "--out", str(out), "--quiet")
    assert {path.name for path in out.iterdir()} >= {"result.json", "timeline.parquet", "trace.pftrace", "report.html"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mobilenet_v9", "--chip", "coral-edge-tpu-usb"), 2, "did you mean mobilenet_v"),
        (("mobilenet_v2", "--chip", "coral-tpu"), 2, "no chip named 'coral-tpu'; did you mean coral-edge-tpu-usb"),
        (("mobilenet_v2", "--chip", "coral-edge-tpu-usb", "--dtype", "int7"), 2, "'int7'"),
        (("mobilenet_v2", "--chip", "coral-edge-tpu-usb", "--batch", "0"), 2, "batch"),
        (("mobilenet_v2", "--chip", "coral-edge-tpu-usb", "--shape", "image=1,3"), 2, "shape"),
    ],
)
def test_wrong_input_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, message: str
) -> None:
    text = output_of(capsys, "npu", "run", *arguments, code=code)
    assert message in text
    assert 1 <= len(text.strip().splitlines()) <= 3


def test_what_does_not_fit_is_exit_3_with_the_shortfall(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    small = tmp_path / "small.yaml"
    small.write_text(hardware.chip_text("generic-array-16x16").replace("size: 512 KiB", "size: 2 KiB"))
    text = output_of(capsys, "npu", "run", "mobilenet_v2", "--chip", str(small), code=3)
    assert "short by" in text


def test_a_chip_file_of_ones_own_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(output_of(capsys, "catalog", "new", "chip"))
    text = output_of(capsys, "npu", "run", "squeezenet", "--chip", str(mine), "--json", "-")
    assert json.loads(text)["result"]["chip"] == "my-chip"


def test_the_catalogue_lists_chips_and_networks(capsys: pytest.CaptureFixture[str]) -> None:
    chips = output_of(capsys, "catalog", "chips")
    assert all(name in chips for name in hardware.chip_names())
    assert "mobilenet_v2" in output_of(capsys, "catalog", "models")
    assert json.loads(output_of(capsys, "catalog", "models", "vgg16", "--json", "-"))["macs"] == 15_470_264_320


def test_a_chip_is_shown_with_its_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert "fitted_by: tools/fit_edge_tpu.py" in output_of(capsys, "catalog", "chips", "coral-edge-tpu-usb")
    shown = json.loads(output_of(capsys, "catalog", "chips", "coral-edge-tpu-usb", "--json", "-"))
    assert shown["host_link"]["rate"]["fitted_by"] == "tools/fit_edge_tpu.py"


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(output_of(capsys, "catalog", "schema"))["title"] == "Chip"


def test_a_pass_is_shown_instead_of_a_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("npu", "run", "squeezenet", "--chip", "coral-edge-tpu-usb", "--show-pass")
    text = output_of(capsys, *arguments, "tile")
    assert text.startswith("tile: layers on the chip")
    assert "row groups" in text
    shown = json.loads(output_of(capsys, *arguments, "cache", "--json", "-"))
    assert shown["pass"] == "cache"
    assert "passes: recognise, fold" in output_of(capsys, *arguments, "tiel", code=2)
    assert "nothing is run" in output_of(capsys, *arguments, "tile", "--out", str(tmp_path / "run"), code=2)


def test_the_queue_depth_stands_in_the_summary_and_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("npu", "run", "squeezenet", "--chip", "coral-edge-tpu-usb", "--queue-depth", "4")
    assert "items/s, 4 in flight" in output_of(capsys, *arguments)
    result = json.loads(output_of(capsys, *arguments, "--json", "-"))["result"]
    assert result["throughput_per_s"] > 1 / result["latency_s"]


def test_a_run_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "run"
    npu.run("squeezenet", chip="coral-edge-tpu-usb").save(out, report=False)
    text = output_of(capsys, "npu", "explain", str(out))
    assert "twice the array rate" in text
    assert "what would help" in text
    explained = json.loads(output_of(capsys, "npu", "explain", str(out), "--json", "-"))
    assert {"bounds", "layers", "what_if"} <= set(explained)


TENANTS = ("--tenant", "mobilenet_v2:period-ms=10,deadline-ms=8,share=0.6", "--tenant", "squeezenet:priority=1,count=2")


def test_networks_share_a_chip(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("npu", "share", "--chip", "coral-edge-tpu-usb", *TENANTS, "--seconds", "0.03")
    text = output_of(capsys, *arguments)
    assert "latencies, from arrival to end" in text
    assert "bound by" in text
    out = tmp_path / "run"
    result = json.loads(output_of(capsys, *arguments, "--json", "-", "--out", str(out)))["result"]
    assert [tenant["inferences"] for tenant in result["tenants"]] == [3, 2]
    assert {"latency_p50_s", "latency_p99_s", "deadline_misses", "slowdown"} <= set(result["tenants"][0])
    assert {path.name for path in out.iterdir()} >= {"result.json", "timeline.parquet", "trace.pftrace", "report.html"}
    assert npu.ShareResult.load(out).digest() == json.loads((out / "manifest.json").read_text())["about"]["digest"]
    page = (out / "report.html").read_bytes()
    assert main(["report", str(out), "--quiet"]) == 0
    assert (out / "report.html").read_bytes() == page
    assert b"--tenant" in page


@pytest.mark.parametrize(
    ("tenant", "message"),
    [
        ("squeezenet:priorty=1", "did you mean priority"),
        ("squeezenets", "did you mean squeezenet"),
        ("squeezenet:share=2", "above 0, at most 1"),
    ],
)
def test_wrong_tenants_are_refused(capsys: pytest.CaptureFixture[str], tenant: str, message: str) -> None:
    text = output_of(capsys, "npu", "share", "--chip", "coral-edge-tpu-usb", "--tenant", tenant, code=2)
    assert message in text
    assert len(text.strip().splitlines()) <= 3


def test_sharing_needs_a_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--tenant" in output_of(capsys, "npu", "share", "--chip", "coral-edge-tpu-usb", code=2)
