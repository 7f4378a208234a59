"""Laws that hold for every network on every chip, on random ones: 50 pairs here, 500 nightly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from armillary import npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError
from armillary.hardware import Chip, Quantity
from armillary.npu import emit
from armillary.npu.stream import stream
from armillary.npu.variants import variants
from armillary.timeline import Timeline
from armillary.units import MIB
from armillary.workload import Graph
from tests.npu import oracle
from tests.npu.oracle import Played
from tests.npu.random_chips import random_chips
from tests.npu.random_networks import networks

INFEASIBLE = re.compile(
    r"layer '.+' needs (\S+) MiB of scratchpad at its smallest tiling, random-chip has \S+ MiB "
    r"\(short by (\S+) MiB\); its largest tensor is '.+' \(.*\)"
)
TINY_KIB = (1, 2, 4)
EVENLY = 1e-9
# What is faster may run in an order that is slower (transfers share a rate, tiles are chosen by a price): anomalies are
# real, but rare and small.
ANOMALY, WORST_ANOMALY, SHARE_OF_ANOMALIES = 0.05, 0.5, 0.05


def feasible(graph: Graph, chip: Chip) -> Played | None:
    try:
        return oracle.played(graph, chip)
    except InfeasibleError as error:
        assert INFEASIBLE.fullmatch(str(error)), str(error)
        return None


@settings(max_examples=50)
@given(networks(), random_chips())
def test_every_law_of_an_inference_holds(graph: Graph, chip: Chip) -> None:
    run = feasible(graph, chip)
    if run is not None:
        oracle.check(run)


@pytest.mark.nightly
@settings(max_examples=500)
@given(networks(most=24), random_chips())
def test_every_law_of_an_inference_holds_at_length(graph: Graph, chip: Chip) -> None:
    run = feasible(graph, chip)
    if run is not None:
        oracle.check(run)


@settings(max_examples=50)
@given(networks(), random_chips(TINY_KIB))
def test_what_is_infeasible_would_fit_with_what_it_is_short_by(graph: Graph, chip: Chip) -> None:
    """The message names layer, need, shortfall and tensor; a scratchpad of the need (three digits of it) is enough."""
    try:
        oracle.played(graph, chip)
    except InfeasibleError as error:
        found = INFEASIBLE.fullmatch(str(error))
        assert found is not None, str(error)
        need, short = (float(number) * MIB for number in found.groups())
        assert need - short == pytest.approx(chip.scratchpad.size.value, rel=0.02, abs=0.01 * need)
        assert short > 0
        enough = chip.scratchpad.model_copy(update={"size": Quantity(float(int(need * 1.01)))})
        oracle.check(oracle.played(graph, chip.model_copy(update={"scratchpad": enough, "parameter_cache": None})))


@settings(max_examples=20)
@given(networks(), random_chips())
def test_the_same_network_and_chip_give_the_same_timeline(graph: Graph, chip: Chip) -> None:
    run = feasible(graph, chip)
    if run is not None:
        again = oracle.played(replace(graph), chip.model_copy())
        assert run.timeline.digest() == again.timeline.digest()


@settings(max_examples=20)
@given(networks(), random_chips())
def test_the_result_adds_up(graph: Graph, chip: Chip) -> None:
    """Energy = events + static power x time; peak of the scratchpad <= its size; moved bytes are those of the tasks."""
    run = feasible(graph, chip)
    if run is None:
        return
    dtype = next(tensor.dtype for tensor in graph.tensors.values() if tensor.dtype != "int32")
    result = npu.run(graph, chip=chip, dtype=dtype)
    events_j = run.timeline.energy_sum_fj() * 1e-15
    assert result.energy_j == pytest.approx(events_j + result.static_power_w * result.latency_s, rel=1e-9, abs=1e-15)
    assert result.macs == graph.macs
    assert result.scratchpad_peak_bytes <= chip.scratchpad.size.value
    tiles = run.moved_bytes("weights", "input", "output")
    ends = run.moved_bytes("arrival", "departure")
    host = run.moved_bytes("host")
    moved = (tiles, ends + host) if chip.dram is not None else (0, tiles + ends + host)
    assert (result.dram_bytes, result.host_link_bytes) == moved
    assert sum(bound.share for bound in result.bounds) <= 1 + EVENLY


def check_faster_chips(run: Callable[[Callable[[Graph, Chip], None]], None]) -> None:
    """Play every variant of a chip that has more of one thing; it helps, or anomalies are few and small."""
    ratios: dict[str, list[float]] = defaultdict(list)

    def compare(graph: Graph, chip: Chip) -> None:
        plain = feasible(graph, chip)
        if plain is not None:
            for variant in variants(chip):
                ratios[variant.what].append(oracle.played(graph, variant.chip).timeline.ticks / plain.timeline.ticks)

    run(compare)
    assert len(ratios) == 6
    for what, values in ratios.items():
        ratio = np.array(values)
        assert ratio.max() <= 1 + WORST_ANOMALY, f"{what}: {ratio.max():.3f} of the time"
        assert np.mean(ratio > 1 + ANOMALY) <= SHARE_OF_ANOMALIES, f"{what}: {np.sum(ratio > 1 + ANOMALY)} anomalies"
        assert np.mean(ratio) < 1, f"{what} helps nothing"


def test_more_of_anything_is_no_slower_but_for_small_anomalies() -> None:
    check_faster_chips(lambda law: settings(max_examples=50)(given(networks(), random_chips())(law))())


@pytest.mark.nightly
def test_more_of_anything_is_no_slower_at_length() -> None:
    check_faster_chips(lambda law: settings(max_examples=500)(given(networks(), random_chips())(law))())


def check_in_flight(run: Played, queue_depth: int) -> None:
    """Throughput with several in flight is at least that of one at a time (shared rates: within a few percent)."""
    period_s = stream(run.plan, queue_depth).period_s
    assert period_s <= run.timeline.makespan_s * (1 + ANOMALY)


@settings(max_examples=25)
@given(networks(), random_chips())
def test_inferences_in_flight_are_no_slower_than_one_at_a_time(graph: Graph, chip: Chip) -> None:
    run = feasible(graph, chip)
    if run is not None:
        check_in_flight(run, 2)


@pytest.mark.nightly
@settings(max_examples=300)
@given(networks(), random_chips())
def test_inferences_in_flight_are_no_slower_at_length(graph: Graph, chip: Chip) -> None:
    run = feasible(graph, chip)
    if run is not None:
        for queue_depth in (2, 3, 5):
            check_in_flight(run, queue_depth)
