"""Comparisons and sizes: laws that hold between policies and sizes, and the files and pages that come of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from armillary import power
from armillary.errors import InfeasibleError, InputError
from armillary.power.compare import Comparison, with_gain_error, with_losses
from armillary.power.headroom import headroom
from armillary.power.pool import in_processes
from armillary.power.size import wilson
from armillary.power.slo import Slo
from armillary.power.topology import load_row
from armillary.power.trial import Plan, play_trial

ROW = load_row("dgx-a100-40")
LOOSE = Slo(1.0, 1.0, 1.0, 1.0)
SIZES = (40, 60)


@pytest.fixture(scope="module")
def found() -> Comparison:
    return power.compare(
        row=ROW, policies=("polca", "no-cap"), servers=SIZES, days=0.5, seeds=2, energy_price=0.2, workers=1
    )


def test_every_policy_plays_every_size_and_seed_on_the_same_requests(found: Comparison) -> None:
    assert [(one.policy, one.servers, one.seed) for one in found.outcomes] == [
        (policy, size, seed) for policy in ("polca", "no-cap") for size in SIZES for seed in (0, 1)
    ]
    for size in SIZES:
        for seed in (0, 1):
            rises = {one.max_rise_2s for one in found.outcomes if (one.servers, one.seed) == (size, seed)}
            assert len(rises) == 1 or size == 60  # where nothing acts, nothing differs


def test_more_servers_draw_more_and_a_cap_saves_brakes(found: Comparison) -> None:
    by = {(line.policy, line.servers): line for line in found.lines}
    for policy in ("polca", "no-cap"):
        assert by[policy, 60].peak_utilisation.value > by[policy, 40].peak_utilisation.value
    assert by["polca", 60].brakes.value < by["no-cap", 60].brakes.value
    assert by["no-cap", 60].low_capped.value == 0.0 < by["polca", 60].low_capped.value
    assert by["polca", 40].safe_seeds == 2


def test_energy_is_mean_power_times_time_and_costs_its_price(found: Comparison) -> None:
    for one in found.outcomes:
        energy_j = one.mean_utilisation * found.budget_w * 0.5 * 86_400
        assert one.energy_j == pytest.approx(energy_j, rel=1e-9)
        assert one.energy_cost == pytest.approx(one.energy_j / 3.6e6 * 0.2)
        assert one.servers_per_mw == pytest.approx(one.servers / found.budget_w * 1e6)


def test_headroom_adds_up_and_training_has_less(found: Comparison) -> None:
    for one in found.headroom:
        assert one.rated + one.phases + one.multiplexing + one.idle + one.used == pytest.approx(1.0)
    inference, training = found.headroom
    assert inference.total > training.total
    # Training swings in step: multiplexing takes back what long phases give.
    assert training.multiplexing == pytest.approx(-training.phases, rel=1e-6)
    assert abs(inference.multiplexing) < inference.phases
    with pytest.raises(InputError, match="inference or training"):
        headroom(ROW, servers=40, mix="mixed", days=0.1)


def test_it_writes_tables_and_a_page(found: Comparison, tmp_path: Path) -> None:
    folder = found.save(tmp_path / "run")
    assert pl.read_parquet(folder / "outcomes.parquet").height == len(found.outcomes)
    document = json.loads((folder / "result.json").read_text())
    assert {line["servers"] for line in document["result"]["lines"]} == set(SIZES)
    page = (folder / "report.html").read_text()
    assert page.count('<div class="plot"') >= 6


def test_size_is_where_the_next_server_breaks_something() -> None:
    plan = Plan(ROW, 0.25, slo=LOOSE)
    found = power.size(row=ROW, policy="no-cap", slo=LOOSE, days=0.25, seeds=1, workers=1)
    most = int(found.servers.value)
    (at_most,) = play_trial(plan, servers=most, policies=("no-cap",), seed=0)
    (beyond,) = play_trial(plan, servers=most + 1, policies=("no-cap",), seed=0)
    assert at_most.safe
    assert not beyond.safe
    assert found.by_seed[0].first_broken == ("brakes",)
    assert [point.unsafe.value for point in found.risk] == sorted(point.unsafe.value for point in found.risk)
    assert found.oversubscription.value == pytest.approx(most / 40 - 1)


def test_a_size_that_cannot_be_names_what_breaks() -> None:
    small = ROW.model_copy(update={"budget": type(ROW.server.rated)(120e3)})
    with pytest.raises(InfeasibleError, match="not even 40 servers"):
        power.size(row=small, days=0.1, seeds=1, workers=1)
    with pytest.raises(InputError, match="seeds"):
        power.size(row=ROW, seeds=0)
    with pytest.raises(InputError, match="at least one of each"):
        power.compare(row=ROW, policies=())
    with pytest.raises(InputError, match="price"):
        power.compare(row=ROW, energy_price=-1.0)


def test_a_meter_that_is_off_sees_another_risk() -> None:
    plan = Plan(with_gain_error(ROW, 0.05), 0.1)
    (seen,) = play_trial(plan, servers=52, policies=("no-cap",), seed=3)
    (true,) = play_trial(replace(plan, row=ROW), servers=52, policies=("no-cap",), seed=3)
    gain = seen.seen_peak_utilisation / true.seen_peak_utilisation
    assert 0.95 <= gain <= 1.05
    assert gain != pytest.approx(1.0, abs=1e-4)
    assert seen.peak_utilisation == true.peak_utilisation


def test_lost_telemetry_and_hungrier_work_are_played() -> None:
    plan = Plan(with_losses(ROW, 200.0, 300.0), 0.1)
    (lost,) = play_trial(plan, servers=40, policies=("polca",), seed=0)
    (whole,) = play_trial(replace(plan, row=ROW), servers=40, policies=("polca",), seed=0)
    assert lost.low_capped > whole.low_capped  # silence beyond the dead man's time caps low priority
    (hungry,) = play_trial(replace(plan, row=ROW, power_factor=1.05), servers=40, policies=("uncapped",), seed=0)
    (usual,) = play_trial(replace(plan, row=ROW), servers=40, policies=("uncapped",), seed=0)
    idle_w = 40 * (ROW.server.other_idle.value + 8 * 80.0)
    assert usual.mean_utilisation < hungry.mean_utilisation < 1.05 * usual.mean_utilisation
    assert usual.mean_utilisation * ROW.budget_w > idle_w


@pytest.mark.parametrize(("hits", "trials"), [(0, 3), (3, 3), (1, 10), (50, 100)])
def test_wilson_solves_its_equation(hits: int, trials: int) -> None:
    """|p - hits / n| = 1.96 sqrt(p (1 - p) / n) at both bounds."""
    interval = wilson(hits, trials)
    for bound in (interval.low, interval.high):
        if 0.0 < bound < 1.0:
            assert abs(bound - hits / trials) == pytest.approx(1.96 * np.sqrt(bound * (1 - bound) / trials), rel=1e-6)


def test_processes_keep_the_order_of_the_jobs() -> None:
    shares: list[float] = []
    assert in_processes(abs, [-3, 1, -2], workers=1, progress=shares.append) == [3, 1, 2]
    assert shares == [1 / 3, 2 / 3, 1.0]
    with pytest.raises(InputError, match="workers"):
        in_processes(abs, [1], workers=0)


@pytest.mark.nightly
def test_several_processes_give_what_one_gives() -> None:
    both = [
        power.compare(row=ROW, policies=("polca",), servers=SIZES, days=0.1, seeds=2, workers=workers)
        for workers in (1, 2)
    ]
    assert both[0].outcomes == both[1].outcomes
