"""Laws of results: strict JSON, run folders that come back, digests, tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from armillary.errors import ArmillaryError, InputError
from armillary.stats import Interval
from armillary.store import dumps_strict
from armillary.timeline import Result, RunInfo, Trust, load_run
from tests.timeline.traces import random_timeline

TRUST = Trust("toy runs of 20 to 60 tasks", inside=True, expected_error=0.1, basis="none", improve="a real machine")


@dataclass(frozen=True, slots=True)
class ToyLayer:
    name: str
    macs: int
    bound: str | None


@dataclass(frozen=True, kw_only=True)
class ToyResult(Result):
    """A result as systems define theirs."""

    kind: ClassVar[str] = "toy run"

    latency_s: float
    kpis: Mapping[str, float]
    layers: tuple[ToyLayer, ...]
    spread: Interval | None = None

    def report_html(self) -> str:
        return f"<!doctype html><title>{self.latency_s}</title>"


@dataclass(frozen=True, kw_only=True)
class OtherResult(Result):
    kind: ClassVar[str] = "other run"


def toy(seed: int = 1) -> ToyResult:
    timeline = random_timeline(seed)
    return ToyResult(
        timeline=timeline,
        trust=TRUST,
        seed=seed,
        inputs={"model": "toy"},
        run=RunInfo.now(wall_s=0.25),
        latency_s=timeline.makespan_s,
        kpis={"idle_s": timeline.idle_s()},
        layers=(ToyLayer("conv", 12, None), ToyLayer("</script>", 2**53 + 1, "dma")),
        spread=Interval(0.5, 1.0, 2.0),
    )


def test_a_run_folder_comes_back_as_the_same_result(tmp_path: Path) -> None:
    result = toy()
    folder = result.save(tmp_path / "run")
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "result.json", "timeline.parquet", "trace.pftrace", "report.html",
    }  # fmt: skip
    again = ToyResult.load(folder)
    assert replace(again, timeline=result.timeline) == result
    assert again.digest() == result.digest()
    assert again.timeline.digest() == result.timeline.digest()
    assert dumps_strict(again.to_json()) == dumps_strict(result.to_json())


def test_digest_covers_figures_and_columns_but_not_the_run_block(tmp_path: Path) -> None:
    result = toy()
    later = replace(result, run=RunInfo("2001-01-01", "elsewhere", 99.0, {}))
    assert later.digest() == result.digest()
    assert replace(result, latency_s=result.latency_s * 2).digest() != result.digest()
    assert replace(result, trust=replace(TRUST, inside=False)).digest() != result.digest()
    assert replace(result, timeline=random_timeline(2)).digest() != result.digest()
    later.save(tmp_path / "run")
    assert ToyResult.load(tmp_path / "run").digest() == result.digest()


def test_json_holds_figures_trust_and_the_run_block_apart() -> None:
    document = json.loads(dumps_strict(toy().to_json()))
    assert list(document) == ["schema", "kind", "seed", "inputs", "result", "run"]
    assert set(document["result"]) == {"trust", "latency_s", "kpis", "layers", "spread"}
    assert document["result"]["layers"][0]["bound"] is None
    assert set(document["result"]["trust"]) == {"calibrated_range", "inside", "expected_error", "basis", "improve"}
    assert {"armillary", "numpy", "polars", "python"} <= set(document["run"]["versions"])


def test_a_figure_that_is_no_number_is_refused_before_anything_is_committed(tmp_path: Path) -> None:
    with pytest.raises(ArmillaryError, match=r"latency_s is nan"):
        replace(toy(), latency_s=float("nan")).save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_frames_are_the_timelines_and_those_of_the_figures() -> None:
    result = toy()
    assert result.frame("layers").rows() == [("conv", 12, None), ("</script>", 2**53 + 1, "dma")]
    assert result.frame("tasks").height == len(result.timeline)
    with pytest.raises(InputError, match="did you mean layers"):
        result.frame("layer")


def test_a_folder_of_another_kind_or_none_is_refused(tmp_path: Path) -> None:
    toy().save(tmp_path / "run")
    with pytest.raises(InputError, match="holds a run of 'toy run', not 'other run'"):
        OtherResult.load(tmp_path / "run")
    with pytest.raises(InputError, match="holds no run"):
        load_run(tmp_path)
    random_timeline(1).save(tmp_path / "timeline")
    with pytest.raises(InputError, match=r"holds no result\.json"):
        load_run(tmp_path / "timeline")


def test_a_folder_that_is_in_use_is_replaced_only_when_asked(tmp_path: Path) -> None:
    toy(1).save(tmp_path / "run")
    with pytest.raises(InputError, match="holds a run already"):
        toy(2).save(tmp_path / "run")
    toy(2).save(tmp_path / "run", overwrite=True, report=False)
    assert not (tmp_path / "run" / "report.html").exists()
    assert load_run(tmp_path / "run").document["seed"] == 2


def test_figures_that_the_class_does_not_fit_are_refused(tmp_path: Path) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wanting(Result):
        kind: ClassVar[str] = "toy run"
        throughput_per_s: float

    @dataclass(frozen=True, kw_only=True)
    class Unlike(Result):
        kind: ClassVar[str] = "toy run"
        latency_s: tuple[int, ...]

    toy().save(tmp_path / "run")
    with pytest.raises(InputError, match="lacks a figure .*throughput_per_s"):
        Wanting.load(tmp_path / "run")
    with pytest.raises(InputError, match="latency_s is not as this version writes it"):
        Unlike.load(tmp_path / "run")


def test_summary_ends_with_how_far_to_trust_and_what_would_help() -> None:
    rows = toy().summary()
    assert rows[-2] == ("trust", "expected error 10%: inside the calibrated range (toy runs of 20 to 60 tasks; none)")
    assert rows[-1] == ("to improve", "a real machine")
    assert "error not known: outside" in replace(TRUST, inside=False, expected_error=None).rows()[0][1]


def test_an_impossible_error_is_refused() -> None:
    with pytest.raises(InputError, match="expected error of -0.1"):
        replace(TRUST, expected_error=-0.1)
