"""Streaming statistics of power against a slow oracle that keeps every sample."""

from __future__ import annotations

import numpy as np
import pytest

from armillary.engine.drive import Run
from armillary.power.policies.no_cap import uncapped
from armillary.power.row.handler import advance
from armillary.power.row.state import more_room
from armillary.testing.models import as_listed
from tests.power.rows import random_row

SAMPLE, UNTIL, WINDOWS = 100, 200_000, (20, 400)


def sampled(seed: int, slots: int, training: bool) -> tuple[np.ndarray, Run]:
    """Power at every sample, read off the row itself at a stop, and the run."""
    run = Run(advance, *random_row(seed, as_listed, slots=slots, training=training, budget_mw=24_000), grow=more_room)
    power = np.zeros(UNTIL // SAMPLE, np.int64)
    for sample in range(len(power)):
        run.advance(sample * SAMPLE)
        power[sample] = run.state.row["power_mw"][0]
    run.advance()
    return power, run


@pytest.mark.parametrize(("seed", "slots", "training"), [(0, 1, False), (1, 4, True)])
def test_streamed_statistics_are_those_of_all_samples(seed: int, slots: int, training: bool) -> None:
    power, run = sampled(seed, slots, training)
    state = run.state
    assert int(state.statistics["samples"][0]) == len(power)
    assert int(state.statistics["peak_mw"][0]) == power.max()
    expected = np.bincount(np.minimum(power * 1000 // 24_000, 1999), minlength=2000)
    assert (state.histogram == expected).all()
    rises = [
        max(int(power[at] - power[max(0, at - length) : at + 1].min()) for at in range(len(power)))
        for length in WINDOWS
    ]
    assert state.windows["rise_mw"].tolist() == rises


def test_energy_is_the_integral_of_power_tick_by_tick() -> None:
    run = Run(advance, *random_row(3, as_listed, until=12_000), grow=more_room)
    energy, over = 0, 0
    for tick in range(12_000):
        run.advance(tick)
        power = int(run.state.row["power_mw"][0])
        energy += power
        over += power > 40_000
    run.advance()
    assert int(run.state.history["energy"].sum()) == energy
    assert int(run.state.statistics["over"][0]) == over


def test_the_breaker_trips_after_its_time_and_the_supply_after_its_deadline() -> None:
    """Heat of 1e-5 a tick over the budget: the first trip after 100,000 ticks; the supply gives up after 10,000."""
    run = Run(
        advance,
        *random_row(0, as_listed, budget_mw=8_999, policy=uncapped, until=150_000),
        grow=more_room,
    )
    run.advance()
    totals = run.state.statistics[0]
    assert totals["trips"] == 1
    assert totals["over"] == totals["over_longest"] == 150_000
    assert totals["ups_trips"] == 1
