"""Laws of power over time."""

from __future__ import annotations

import numpy as np
import pytest

from armillary.engine.graph import GraphBuilder
from armillary.errors import InputError
from tests.timeline.traces import played, random_timeline


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("static_w", [0.0, 1.7e-3])
def test_integral_of_power_is_the_energy_to_the_femtojoule(seed: int, static_w: float) -> None:
    timeline = random_timeline(seed)
    power = timeline.power(static_w=static_w)
    static_fj = round(static_w * timeline.makespan_s * 1e15)
    assert power.energy_fj == timeline.energy_sum_fj() + static_fj
    # A task without duration at the end spends its energy in the tick after it.
    edges = np.linspace(0, timeline.ticks + 1, 13).astype(np.int64)
    assert int(power.energy_in_bins_fj(edges).sum()) == power.energy_fj
    widths_s = np.diff(power.time_s)
    assert float((power.power_w[:-1] * widths_s).sum()) == pytest.approx(power.energy_fj * 1e-15)
    assert power.power_w[-1] == 0.0


def test_energies_add_up_over_disjoint_sets_of_tasks() -> None:
    timeline = random_timeline(4)
    some = np.random.default_rng(4).random(len(timeline)) < 0.5
    edges = np.array([0, timeline.ticks + 1])
    parts = [int(timeline.power(tasks=tasks).energy_in_bins_fj(edges)[0]) for tasks in (some, ~some)]
    assert sum(parts) == timeline.energy_sum_fj()


def test_power_is_energy_over_time_and_static_power_lies_below() -> None:
    """2 nJ over 1 us are 2 mW, from 1 us to 2 us, upon 3 mW of static power."""
    builder = GraphBuilder()
    builder.task(duration=1_000_000, release=1_000_000, energy_fj=2_000_000)
    power = played(builder).power(static_w=3e-3)
    assert power.time_s.tolist() == pytest.approx([0.0, 1e-6, 2e-6])
    assert power.power_w.tolist() == pytest.approx([3e-3, 5e-3, 0.0])
    assert power.peak_w == pytest.approx(5e-3)
    assert power.mean_w == pytest.approx(4e-3)
    edges_s, mean_w = power.mean_in_bins_w(4)
    assert edges_s.tolist() == pytest.approx([0.0, 0.5e-6, 1e-6, 1.5e-6, 2e-6])
    assert mean_w.tolist() == pytest.approx([3e-3, 3e-3, 5e-3, 5e-3])


def test_power_below_one_femtojoule_a_tick_is_seen() -> None:
    """43 pJ over 1 ms of picosecond ticks: 43 nW, where a whole femtojoule per tick would be 1 mW."""
    builder = GraphBuilder()
    builder.task(duration=10**9, energy_fj=43_000)
    assert played(builder).power().peak_w == pytest.approx(43e-9, rel=0.03)


def test_impossible_requests_are_refused() -> None:
    builder = GraphBuilder()
    builder.task(duration=5, energy_fj=1)
    timeline = played(builder)
    with pytest.raises(InputError, match="static power of -1"):
        timeline.power(static_w=-1.0)
    with pytest.raises(InputError, match="static power of nan"):
        timeline.power(static_w=float("nan"))
    with pytest.raises(InputError, match="6 bins"):
        timeline.power().mean_in_bins_w(6)
