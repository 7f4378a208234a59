"""The laws of the catalogue against the tables of Intel's predictor: what the fit saw, and what it never saw."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from armillary import hardware, npu

pytestmark = pytest.mark.data
TABLES = {
    "intel-npu-2.7": "data/npu/npu27_predicted_cycles.csv",
    "intel-npu-4.0": "data/npu/npu40_predicted_cycles.csv",
}
SharedData = Callable[[str], Path]


def column(path: Path, name: str) -> list[float]:
    with path.open(newline="") as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def held_out_errors(path: Path, chip: str) -> dict[tuple[str, str], list[float]]:
    """Absolute errors of every fourth row, by operator and element type."""
    found: dict[tuple[str, str], list[float]] = {}
    for index, row in enumerate(npu.operators(path, chip=chip).rows):
        assert row.error is not None
        if index % 4 == 0:
            found.setdefault((row.op, row.dtype), []).append(abs(row.error))
    return found


@pytest.mark.parametrize("chip", TABLES)
def test_energy_is_exactly_ideal_cycles_times_the_power_factor(chip: str, shared_data: SharedData) -> None:
    path = shared_data(TABLES[chip])
    rows = npu.operators(path, chip=chip).rows
    assert [row.ideal_cycles for row in rows] == column(path, "ideal_cycles")
    # The tables write six digits.
    assert [float(f"{row.energy_pv_cycles:.6g}") for row in rows] == column(path, "energy_pv_cycles")


@pytest.mark.parametrize("chip", TABLES)
def test_held_out_rows_are_met_within_10_percent_in_the_median(chip: str, shared_data: SharedData) -> None:
    """Over all rows: median at most 10 %, 90 % of them within 30 %."""
    errors = np.concatenate(list(held_out_errors(shared_data(TABLES[chip]), chip).values()))
    assert np.median(errors) <= 0.10
    assert np.quantile(errors, 0.9) <= 0.30


def test_each_operator_of_npu_27_is_met_within_10_percent_in_the_median(shared_data: SharedData) -> None:
    chip = "intel-npu-2.7"
    groups = held_out_errors(shared_data(TABLES[chip]), chip)
    assert len(groups) == 10
    for key, errors in groups.items():
        assert np.median(errors) <= 0.10, key
        assert np.quantile(errors, 0.9) <= 0.30, key


@pytest.mark.parametrize("chip", TABLES)
def test_the_errors_that_a_law_states_are_those_of_its_held_out_rows(chip: str, shared_data: SharedData) -> None:
    words = {"conv": "conv", "dw": "depthwise", "maxpool": "max_pool", "avgpool": "avg_pool", "elt": "add"}
    laws = hardware.load_chip(chip).operator_laws
    assert laws is not None
    stated = {(law.op, law.dtype): law.median_error.value for law in laws.laws}
    for (op, dtype), errors in held_out_errors(shared_data(TABLES[chip]), chip).items():
        # Costs are whole cycles, laws are not.
        assert stated[words[op], {"u8": "int8"}.get(dtype, dtype)] == pytest.approx(np.median(errors), abs=2e-3)


def tool() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "fit_npu_operators.py"
    spec = importlib.util.spec_from_file_location("fit_npu_operators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.nightly
def test_the_laws_of_the_catalogue_are_those_of_the_script(shared_data: SharedData) -> None:
    chip = "intel-npu-2.7"
    fit = tool()
    source = fit.SOURCES[0]
    table = npu.laws.read_table(shared_data(source.file))
    groups = fit.groups_of(table)
    plain = fit.laws_block(source, table, [fit.law_of(group, fit.FORMS[group.form][1]) for group in groups])
    laws = hardware.load_chip(chip).operator_laws
    assert laws is not None
    written = {(law.op, law.dtype): law for law in laws.laws}
    for group in groups:
        if group.op == "conv":
            continue  # its last coefficient comes from silicon
        start = fit.FORMS[group.form][1]
        fitted = fit.fit_group(group, start, source.ridge[group.form], plain).law
        found = [getattr(fitted, name) for name in group.names]
        assert found == pytest.approx([getattr(written[group.op, group.dtype], name) for name in group.names], rel=0.02)
