"""`power simulate`: a whole row, against itself and against theory."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from armillary import power
from armillary.cli import main
from armillary.errors import InputError
from armillary.hardware.gpu import load_gpu
from armillary.power.load import LoadCurve
from armillary.power.row import records as at
from armillary.power.row.play import play
from armillary.power.row.run import Case, policy_for, prepare, run_case
from armillary.power.row_power import RowPower, weekly
from armillary.power.service import service_columns
from armillary.power.service_table import service_table
from armillary.power.steady import mean_power_w
from armillary.power.topology import load_row
from armillary.workload.language_models import load_language_model

DAYS = 0.5


@cache
def result(policy: str = "polca", servers: int = 52, mix: str = "inference") -> power.RowResult:
    return power.simulate(row="dgx-a100-40", servers=servers, policy=policy, days=DAYS, mix=mix, load_scale=1.3, seed=3)


def test_uncapped_has_no_impact_on_itself() -> None:
    same = result("uncapped")
    assert {entry.p99_impact for entry in same.latency.values()} == {0.0}
    assert same.throughput_impact["high"] == same.throughput_impact["low"] == 0.0
    assert same.caps_timeline == ()


def test_energy_is_that_of_the_history_and_of_the_mean() -> None:
    run = result()
    assert run.energy_j == pytest.approx(sum(run.history.mean_w) * run.history.bin_s, rel=1e-6)
    assert run.energy_j == pytest.approx(run.mean_utilisation * run.budget_w * DAYS * 86_400, rel=1e-9)
    assert max(run.history.peak_w) >= run.peak_utilisation * run.budget_w - 1e-3
    assert sum(run.histogram) == round(DAYS * 864_000)


def test_polca_caps_low_priority_before_high() -> None:
    run = result()
    assert run.caps_timeline[0].what == "low"
    states = run.time_in_state
    assert states["low"]["uncapped"] < states["high"]["uncapped"]
    for seconds in states.values():
        assert sum(seconds.values()) == pytest.approx(DAYS * 86_400)
    high, low = run.latency["high"].mean_impact, run.latency["low"].mean_impact
    assert high is not None
    assert low is not None
    assert low > high >= -0.002
    assert run.peak_utilisation <= result("uncapped").peak_utilisation + 0.01


def test_the_timeline_holds_the_caps() -> None:
    run = result()
    held = sum(s for label, s in run.time_in_state["low"].items() if label != "uncapped")
    assert run.timeline.union_s(run.timeline.on("low priority")) == pytest.approx(held, abs=1e-3)


def test_requests_are_the_same_under_every_policy() -> None:
    assert len({result(policy).requests for policy in ("polca", "uncapped", "no-cap")}) == 1


def test_a_run_repeats_and_comes_back_from_its_folder(tmp_path: Path) -> None:
    run = result()
    again = power.simulate(row="dgx-a100-40", servers=52, days=DAYS, load_scale=1.3, seed=3)
    assert run.digest() == again.digest()
    run.save(tmp_path / "run", report=False)
    back = power.RowResult.load(tmp_path / "run")
    assert back.digest() == run.digest()
    assert (back.readings_w == run.readings_w).all()
    assert len(run.readings_w) == pytest.approx(DAYS * 43_200, abs=1)


def test_readings_are_the_power_of_the_row() -> None:
    run = result("uncapped")
    assert np.mean(run.readings_w) / run.budget_w == pytest.approx(run.mean_utilisation, rel=0.005)


def test_cutting_the_requests_into_other_pieces_changes_nothing() -> None:
    """Requests are renumbered at each cut, with some in service, some waiting."""
    case = prepare(row="dgx-a100-40", servers=8, days=0.1, load_scale=5.0, seed=1)
    until, policy = case.assembly.watch.until, policy_for(case, "polca")
    (_, whole), *_ = case.pieces()
    ends = [*range(123_456_789, until, 400_000_000), until]
    cut = [(end, whole.between(begin, end)) for begin, end in zip([0, *ends], ends, strict=False)]
    one, other = run_case(case, policy), play(case.assembly, policy, cut)
    assert int(one.state.classes["lanes"].sum()) == 8
    assert (one.state.histogram == other.state.histogram).all()
    assert (one.state.readings == other.state.readings).all()
    assert (np.sort(one.requests.latency_s) == np.sort(other.requests.latency_s)).all()


def test_the_fast_tables_are_the_phases_of_each_request() -> None:
    gpu, model = load_gpu("a100-80gb"), load_language_model("bloom-176b")
    prompt, output = np.array([2048, 3000, 4096]), np.array([128, 1000, 2048])
    columns = service_columns(model, gpu, tensor_parallel=8, prompt=prompt, output=output)
    table = service_table(
        model, gpu, tensor_parallel=8, lowest_prompt=2048, highest_prompt=4096, mean_output=1088, largest_batch=1
    )
    rows = table.fill(np.zeros(3, at.REQUEST), prompt, output)
    assert (rows["prefill"] == columns.prefill_ticks).all()
    assert (rows["prefill_mw"] == columns.prefill_dynamic_mw).all()
    assert rows["cache_step"] == pytest.approx(columns.cache_step_ticks, rel=1e-6)
    assert table.step[1] == columns.batch_step_ticks[1]


def test_mean_power_is_that_of_the_closed_form() -> None:
    """At constant load below saturation: busy share = load, power from the shares of prefill and decode."""
    case = prepare(row="dgx-a100-40", days=1, seed=0)
    assert case.curve is not None
    for load in (0.2, 0.5):
        flat = LoadCurve(60.0, np.full_like(case.curve.load, load))
        steady = Case(case.row, case.mix, case.days, 0, case.assembly, flat, None, 1.0)
        played = run_case(steady, policy_for(steady, "uncapped"))
        watched = case.assembly.watch.until - case.assembly.watch.opens
        mean_w = int(played.state.history["energy"].sum(dtype=object)) / watched * 1e-3
        assert mean_w == pytest.approx(float(mean_power_w(case.assembly, load)), rel=0.02)


def test_a_week_that_was_not_fitted_is_met_within_five_percent() -> None:
    """Power of week 1 gives the mean working day and weekend; requests drawn from it meet week 2 in quarter hours."""
    true = prepare(row="dgx-a100-40", days=14, seed=11)
    played = run_case(true, policy_for(true, "uncapped"))
    bins = played.state.history["energy"] / true.assembly.watch.bin * 1e-3
    width = true.assembly.watch.bin * at.TICK_S
    week = int(7 * 86_400 / width)
    first, second = bins[:week], bins[week : 2 * week]
    measured = RowPower(np.arange(week, dtype=np.float64) * width, first, 0.0)
    fitted = prepare(row="dgx-a100-40", days=7, seed=12)
    curve = weekly(measured, fitted.assembly, days=7).warmed(900.0)
    again = Case(fitted.row, fitted.mix, 7.0, 12, fitted.assembly, curve, None, 1.0)
    quarter, bin_ticks = 900.0, fitted.assembly.watch.bin
    per_quarter = round(quarter / (bin_ticks * at.TICK_S))
    drawn = run_case(again, policy_for(again, "uncapped")).state.history["energy"][: 672 * per_quarter]
    mine = (drawn / bin_ticks * 1e-3).reshape(-1, per_quarter).mean(axis=1)
    held = np.interp((np.arange(len(mine)) + 0.5) * quarter, (np.arange(week) + 0.5) * width, second)
    assert np.mean(np.abs(mine / held - 1)) < 0.05


def test_training_swings_more_than_inference_and_peaks_higher() -> None:
    training, inference = result("uncapped", 40, "training"), result("uncapped", 40)
    assert training.peak_utilisation > inference.peak_utilisation
    assert training.max_rise_2s > inference.max_rise_2s
    assert training.requests == 0
    assert training.training_iterations > 0
    mixed = result("uncapped", 40, "mixed")
    assert inference.peak_utilisation < mixed.peak_utilisation < training.peak_utilisation


def test_power_of_the_gpus_scales_with_its_factor() -> None:
    """Energy is linear in the factor: twice the power above idle adds twenty times what 5 % more adds."""
    base, *hungry = (
        power.simulate(
            row="dgx-a100-40", policy="uncapped", days=DAYS, load_scale=1.3, power_factor=factor, seed=3
        ).energy_j
        for factor in (1.0, 1.05, 2.0)
    )
    assert hungry[1] - base == pytest.approx(20 * (hungry[0] - base), rel=1e-3)
    assert hungry[1] > 1.15 * base


@pytest.mark.data
def test_an_hour_of_azure_is_replayed(shared_data: Callable[[str], Path]) -> None:
    run = power.simulate(
        row="dgx-a100-40",
        trace=shared_data("data/power/azure_llm_2023_conv.csv"),
        load_scale=0.4,
        policy="no-cap",
        days=1,
    )
    assert run.requests == 19_366
    assert run.days * 24 == pytest.approx(1 / 0.4, rel=0.03)


def test_the_command_line_gives_the_fields_of_the_issue(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["power", "simulate", "--row", "dgx-a100-40", "--servers", "44", "--days", "0.02", "--json", "-"])
    assert code == 0
    figures = json.loads(capsys.readouterr().out)["result"]
    for name in ("brakes", "breaker_trips", "peak_utilisation", "max_rise_2s", "max_rise_40s", "energy_j"):
        assert figures[name] >= 0
    assert set(figures["latency"]["high"]) >= {"p50_impact", "p99_impact"}
    assert {"caps_timeline", "throughput_impact", "time_in_state"} <= set(figures)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("--days", "0"), "days: 0.0 days"),
        (("--mix", "both"), "both"),
        (("--servers", "0"), "1 to 10000"),
        (("--parameter", "t1"), "write for example t1_ppm=850000"),
        (("--parameter", "t1_ppm=950000"), "t1_ppm < t2_ppm"),
        (("--trace", "none.csv"), "no such file"),
        (("--actuation-s", "-1"), "0 to 3600"),
    ],
)
def test_wrong_options_are_refused(wrong: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "simulate", "--row", "dgx-a100-40", *wrong]) == 2
    assert says in capsys.readouterr().err


def test_a_trace_and_a_history_are_too_much() -> None:
    with pytest.raises(InputError, match="give one of them"):
        prepare(row=load_row("dgx-a100-40"), trace="a.csv", history="b.csv")
