"""The catalogue holds what the script fits, and the script reads the measured rows as the specification says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.hardware import load_gpu
from tools.fit_gpu_power import CATALOGUE, SOURCES, Source, fit, measured, read_caps, with_parameters

LIMIT_W = 400.0


@pytest.mark.data
def test_traps_of_the_measured_rows_are_known(shared_data: Callable[[str], Path]) -> None:
    """Repeats count once, zero is missing, longer answers stay out: the figures of the specification's table 3.2."""
    rows = measured(shared_data(SOURCES[0].file), LIMIT_W)
    found = rows["llama2-70b", 2, 512]
    assert found["prefill_s"] == pytest.approx(0.1967, abs=5e-5)
    assert found["peak_power_w"] == pytest.approx(LIMIT_W, rel=1e-3)
    assert "peak_power_w" not in measured(shared_data(SOURCES[1].file), 700.0)["llama2-70b", 4, 512]
    assert len(rows) == 18


@pytest.mark.data
def test_jobs_under_caps_are_compared_with_themselves(shared_data: Callable[[str], Path]) -> None:
    caps = read_caps(shared_data("data/power/zeus_power_cap_v100.csv"), 250.0)
    at = caps.cap_w == 150
    assert at.sum() == 68
    assert float(sorted(caps.slow_down[at])[33:35][0]) == pytest.approx(1.112, abs=0.002)


def test_parameters_are_written_where_the_file_says_that_they_were_fitted(tmp_path: Path) -> None:
    text = (CATALOGUE / "a100-80gb.yaml").read_text(encoding="utf-8")
    changed = tmp_path / "a100-80gb.yaml"
    changed.write_text(with_parameters(text, {"launch": 41e-6, "gemm_efficiency": 0.75, "per_flop": 1.25e-12}))
    gpu = load_gpu(changed)
    assert gpu.timing.launch.value == pytest.approx(41e-6)
    assert gpu.timing.gemm_efficiency.value == 0.75
    assert gpu.power.per_flop.value == pytest.approx(1.25e-12)
    with pytest.raises(ValueError, match="exponent stands 0 times"):
        with_parameters(text, {"exponent": 1.3})


@pytest.mark.nightly
@pytest.mark.data
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.gpu)
def test_the_catalogue_holds_what_the_script_fits(source: Source, shared_data: Callable[[str], Path]) -> None:
    gpu = load_gpu(source.gpu)
    rows = measured(shared_data(source.file), gpu.power.limit.value)
    fitted = {row: figures for row, figures in rows.items() if row[2] in source.fitted_prompts[row[0]]}
    for name, value in fit(source, fitted).items():
        part = gpu.timing if name in type(gpu.timing).model_fields else gpu.power
        assert getattr(part, name).value == pytest.approx(value, rel=0.02), name
