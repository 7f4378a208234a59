"""A characterisation: what theory says of each sweep, and the files that it writes."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from armillary.errors import InfeasibleError, InputError
from armillary.power.characterize import Case, Characterization, characterize


@pytest.fixture(scope="module")
def found() -> Characterization:
    return characterize(gpu="a100-80gb", models=["llama2-70b", "bloom-176b", "flan-t5-xxl"])


def sweep(found: Characterization, name: str, model: str = "llama2-70b") -> list[Case]:
    return [case for case in found.cases if (case.sweep, case.model, case.refused) == (name, model, None)]


def test_prompts_and_batches_raise_the_peak_and_outputs_do_not(found: Characterization) -> None:
    for name in ("prompt", "batch"):
        peaks = [case.peak_power_w or 0.0 for case in sweep(found, name, "bloom-176b")]
        assert peaks == sorted(peaks)
        assert peaks[-1] > peaks[0] or name == "batch"
    assert len({case.peak_power_w for case in sweep(found, "output")}) == 1
    latencies = [case.latency_s or 0.0 for case in sweep(found, "output")]
    assert latencies == sorted(latencies)


def test_energy_a_token_falls_with_the_batch(found: Characterization) -> None:
    energies = [case.energy_j_per_token or 0.0 for case in sweep(found, "batch")]
    assert energies == sorted(energies, reverse=True)


def test_a_lock_bounds_the_peak_and_a_cap_does_not_bound_short_spikes(found: Characterization) -> None:
    for row in found.lock_or_cap:
        free = next(swing.peak_w for swing in found.swings if (swing.work, swing.kind) == (row.model, "inference"))
        assert row.lock_peak_w == pytest.approx(row.level * free, rel=1e-6)
        assert row.cap_peak_w > row.cap_w
        assert row.lock_loss > row.cap_loss >= 0


def test_the_front_holds_no_point_that_another_one_beats(found: Characterization) -> None:
    for point in found.front:
        assert not any(
            other.tokens_per_s_per_gpu > point.tokens_per_s_per_gpu
            and other.energy_j_per_token < point.energy_j_per_token
            for other in found.front
            if other.model == point.model
        )


def test_training_draws_more_of_its_peak_than_inference(found: Characterization) -> None:
    means = {kind: [s.mean_of_peak for s in found.swings if s.kind == kind] for kind in ("inference", "training")}
    assert max(means["inference"]) < min(means["training"])


def test_it_writes_tables_and_a_page(found: Characterization, tmp_path: Path) -> None:
    folder = found.save(tmp_path / "a100")
    frame = pl.read_parquet(folder / "cases.parquet")
    assert frame.height == len(found.cases) == pl.read_csv(folder / "cases.csv").height
    assert json.loads((folder / "result.json").read_text())["result"]["gpu"] == "a100-80gb"
    page = (folder / "report.html").read_text()
    assert page.count('<div class="plot"') >= 8
    refused = frame.filter(pl.col("refused").is_not_null())
    assert refused.height > 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no language model"):
        characterize(gpu="a100-80gb", models=[])
    with pytest.raises(InfeasibleError, match="none of bloom-176b"):
        characterize(gpu="v100", models=["bloom-176b"])
