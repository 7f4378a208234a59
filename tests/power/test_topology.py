"""Rows that come with Armillary, and what is said of impossible ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.errors import InfeasibleError, InputError
from armillary.power.policies.registry import row_parameters
from armillary.power.row.assemble import assemble
from armillary.power.topology import load_row, row_names, row_schema, row_text

DGX = row_text("dgx-a100-40")


@pytest.mark.parametrize("name", row_names())
def test_every_row_is_valid_and_fits_its_models(name: str) -> None:
    row = load_row(name)
    assembly = assemble(row, servers=row.servers, seconds=60.0)
    assert sum(int(group["lanes"]) for group in assembly.classes) == row.servers
    assert assembly.budget_mw == round(row.budget_w * 1e3)
    assert [line for line in row_text(name).splitlines() if "value:" in line and "from:" not in line] == [
        line for line in row_text(name).splitlines() if "value:" in line and "fitted_by:" in line
    ], "every number in braces has a source"


def test_a_row_has_a_schema_and_the_thresholds_of_the_paper() -> None:
    assert row_schema()["title"] == "Row"
    parameters = row_parameters(load_row("DGX_A100_40").thresholds, 1410)
    assert (parameters["t1_ppm"], parameters["t2_ppm"], parameters["low1_mhz"]) == (800_000, 890_000, 1275)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("t1: {value: 0.80,", "t1: {value: 0.93,", "out of order; t1 < t2 < brake_at"),
        ("brake_at: {value: 1.0,", "brake_at: {value: 0.85,", "out of order"),
        ("low_at_t2: {value: 1110 MHz", "low_at_t2: {value: 1300 MHz", "second threshold must cap harder"),
        ("share: 0.5,", "share: 0.7,", "shares add up to 1.2, not 1"),
        ("name: search", "name: chat", "two are called 'chat'"),
        ("prompt: {low: 512,", "prompt: {low: 4096,", "put the smaller one first"),
        ("budget: {value: 232 kW", "budget: {value: 50 kW", "do not even carry 40 idle servers"),
        ("tensor_parallel: 8", "tensor_parallel: 4", "an instance takes them all"),
        ("delay: {value: 2 s", "delay: {value: 3 s", "no whole number of periods"),
        ("load: 1.25, trips_after: 300 s", "load: 1.01, trips_after: 300 s", "by rising load"),
        ("servers: 40\nbudget", "servers: 0\nbudget", "greater than or equal to 1"),
        ("rated: {value: 6500 W", "rated: {value: 6500 V", "unit that does not fit"),
        ("peak_hour: 14", "peak_our: 14", "peak_our"),
    ],
)
def test_a_wrong_row_is_refused_with_line_and_fix(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in DGX
    file = tmp_path / "row.yaml"
    file.write_text(DGX.replace(old, new, 1))
    with pytest.raises(InputError, match=says) as caught:
        load_row(file)
    assert f"{file}:" in str(caught.value)


def test_what_a_file_alone_cannot_tell_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "row.yaml"
    file.write_text(DGX.replace("high_at_t2: {value: 1305 MHz", "high_at_t2: {value: 1500 MHz"))
    with pytest.raises(InputError, match="no clock of 1500 MHz.*210 to 1410"):
        assemble(load_row(file), servers=40, seconds=60.0)
    file.write_text(DGX.replace("batch: 1, buffer: 1}", "batch: 64, buffer: 1}"))
    with pytest.raises(InfeasibleError, match="short by"):
        assemble(load_row(file), servers=40, seconds=60.0)
    with pytest.raises(InfeasibleError, match="at most 108 fit"):
        assemble(load_row("dgx-a100-40"), servers=120, seconds=60.0)
    with pytest.raises(InputError, match="did you mean .*dgx-a100-40"):
        load_row("dgx-a100-41")


def test_servers_go_to_services_by_their_shares_and_training_takes_what_is_left() -> None:
    row = load_row("dgx-a100-40")
    numbers = {
        servers: [int(group["lanes"]) for group in assemble(row, servers=servers, seconds=60.0).classes]
        for servers in (40, 52, 53)
    }
    assert numbers[40] == [10, 10, 10, 10]
    assert numbers[52] == [13, 13, 13, 13]
    assert sum(numbers[53]) == 53
    mixed = assemble(row, servers=41, seconds=60.0, mix="mixed")
    assert int(mixed.lanes["servers"].sum()) == 41
    assert int(mixed.lanes["servers"][-mixed.training_lanes :].sum()) == 20
