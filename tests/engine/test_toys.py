"""Six systems in small: each stands on the engine as it is, and keeps its laws.

Those that are task graphs are played by every executor; servers and tenants run on `drive` too, and the two agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.engine import Discipline, Reason
from armillary.engine.deciding import decide, new_decider
from armillary.engine.drive import Run
from armillary.engine.policy import policy
from armillary.engine.recorder import integral
from armillary.engine.reference import ReferenceSimulation
from armillary.testing.models import as_listed, check_model
from tests.engine.executors import each_executor, play
from tests.engine.toys import functions, layers, memory, servers, tenants, tiles

IntArray = npt.NDArray[np.int64]


def most_at_once(start: IntArray, end: IntArray) -> int:
    """The largest number of half-open spans [start, end) that overlap."""
    ticks = np.concatenate([start, end])
    steps = np.concatenate([np.ones(len(start), np.int64), -np.ones(len(end), np.int64)])
    order = np.lexsort((steps, ticks))
    return int(np.cumsum(steps[order]).max(initial=0))


# Tiles with finite recycled barriers.


@each_executor
@pytest.mark.parametrize("barriers", [1, 2, 3, 8])
@pytest.mark.parametrize(("load", "compute"), [(3, 7), (7, 3), (5, 5), (1, 0)])
def test_tiles_take_the_time_of_their_pipeline(executor: Any, load: int, compute: int, barriers: int) -> None:
    case = {"load": load, "compute": compute, "store": 1, "barriers": barriers}
    assert play(executor, tiles.tiles(12, **case)).makespan == tiles.makespan(12, **case)


@each_executor
def test_tiles_never_hold_more_barriers_than_there_are(executor: Any) -> None:
    trace = play(executor, tiles.tiles(20, load=2, compute=5, store=3, barriers=3))
    assert most_at_once(trace.start[0::3], trace.end[1::3]) == 3


# A memory controller for two classes with tracker entries.


def random_requests(seed: int) -> tuple[Any, IntArray, IntArray]:
    rng = np.random.default_rng(seed)
    sizes = rng.choice([10.0, 64.0, 100.0, 256.0], 60)
    return sizes, rng.integers(0, 2, 60), rng.integers(0, 200, 60)


@each_executor
@pytest.mark.parametrize("discipline", list(Discipline))
@pytest.mark.parametrize("entries", [1, 5, 100])
def test_controller_works_whenever_there_is_work(executor: Any, discipline: Discipline, entries: int) -> None:
    """All requests there at tick 0: the last one ends after exactly the sum of all quanta, whatever the discipline."""
    sizes, classes, releases = random_requests(1)
    graph = memory.controller(sizes, classes, 0 * releases, discipline=discipline, entries=entries)
    assert play(executor, graph).makespan == memory.service_ticks(sizes, classes)


@each_executor
def test_tracker_entries_bound_the_requests_in_the_controller(executor: Any) -> None:
    sizes, classes, releases = random_requests(2)
    trace = play(executor, memory.controller(sizes, classes, releases, discipline=Discipline.FIFO, entries=4))
    assert most_at_once(trace.start, trace.end) == 4


@each_executor
def test_threshold_serves_the_urgent_class_sooner_and_the_age_limit_bounds_the_other(executor: Any) -> None:
    """Reads that keep the memory busy for a while, and writes that were there first."""
    sizes = np.full(80, 64.0)
    classes, releases = np.repeat([1, 0], 40), np.zeros(80, np.int64)

    def mean_ends(discipline: Discipline, age_limit: int = 2**61) -> tuple[float, float]:
        graph = memory.controller(
            sizes, classes, releases, discipline=discipline, entries=100, threshold=1, age_limit=age_limit
        )
        end = play(executor, graph).end
        return float(end[classes == 0].mean()), float(end[classes == 1].mean())

    fifo, urgent = mean_ends(Discipline.FIFO), mean_ends(Discipline.THRESHOLD)
    aged = mean_ends(Discipline.THRESHOLD, age_limit=6)
    assert urgent[0] < aged[0] < fifo[0]
    assert fifo[1] < aged[1] < urgent[1]


# SSD-staged layers on a half-duplex link with a prefetch window.


@each_executor
def test_layers_one_at_a_time_take_the_sum_of_their_parts(executor: Any) -> None:
    """Window 1, no writes: count x (read + compute)."""
    graph = layers.layers(9, read=12.0, compute=5, write=0.0, window=1)
    assert play(executor, graph).makespan == 9 * (3 + 5)


@each_executor
def test_layers_prefetched_hide_the_link_behind_compute(executor: Any) -> None:
    """Window 2 and compute longer than a read: one read, then compute alone."""
    graph = layers.layers(9, read=12.0, compute=5, write=0.0, window=2)
    assert play(executor, graph).makespan == 3 + 9 * 5


@each_executor
def test_half_duplex_link_carries_reads_and_writes_in_turn(executor: Any) -> None:
    """No compute: busy for bytes read / read rate + bytes written / write rate, plus at most a tick a transfer."""
    count = 10
    trace = play(executor, layers.layers(count, read=20.0, compute=0, write=14.0, window=3))
    needed = count * (20.0 / layers.READ + 14.0 / layers.WRITE)
    assert needed <= trace.makespan <= needed + 2 * count


@each_executor
def test_prefetch_window_bounds_the_layers_that_are_staged(executor: Any) -> None:
    trace = play(executor, layers.layers(12, read=4.0, compute=9, write=3.0, window=3))
    assert most_at_once(trace.start[0::3], trace.end[1::3]) == 3


# Servers whose clock is capped in mid-request.

CAPS = ((100, 0.5), (130, 0.8), (131, 0.25), (400, 1.0), (600, 0.6))


def speed_at(tick: int, caps: tuple[tuple[int, float], ...], sensitivity: float) -> float:
    factor = next((f for at, f in reversed(caps) if at <= tick), 1.0)
    return 1.0 / (sensitivity / factor + 1.0 - sensitivity)


def played_servers(caps: tuple[tuple[int, float], ...], sensitivity: float, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    arrival, work = rng.integers(0, 800, 60), rng.integers(0, 60, 60)
    run = Run(servers.advance, *servers.new_servers(arrival, work, 3, caps, sensitivity))
    assert run.advance() == Reason.IDLE
    return run.state.requests


@pytest.mark.parametrize(("factors", "sensitivity"), [((0.5, 2.0, 0.25, 1.0, 0.5), 1.0), ((0.5, 0.8), 0.0)])
def test_integral_of_speed_equals_work_to_the_tick(factors: tuple[float, ...], sensitivity: float) -> None:
    """From start to end the clock has done the work; a tick earlier it had not (speeds exact in binary)."""
    caps = tuple(zip((100, 130, 131, 400, 600), factors, strict=False))
    for request in played_servers(caps, sensitivity):
        speeds = [speed_at(tick, caps, sensitivity) for tick in range(request["start"], request["end"])]
        assert sum(speeds) >= request["work"]
        assert not speeds or sum(speeds[:-1]) < request["work"]


def test_integral_of_any_speed_equals_work_up_to_rounding() -> None:
    """As above, with one part in 10**12 for the last bits of the remaining work."""
    for request in played_servers(CAPS, 0.4):
        speeds = [speed_at(tick, CAPS, 0.4) for tick in range(request["start"], request["end"])]
        assert sum(speeds) >= request["work"] * (1 - 1e-12)
        assert not speeds or sum(speeds[:-1]) < request["work"] * (1 + 1e-12)


@each_executor
@pytest.mark.parametrize("sensitivity", [0.0, 0.4, 1.0])
def test_servers_are_the_same_on_both_entries_of_the_engine(executor: Any, sensitivity: float) -> None:
    requests = played_servers(CAPS, sensitivity)
    trace = play(executor, servers.as_graph(requests, 3, CAPS, sensitivity))
    assert np.array_equal(trace.start, requests["start"])
    assert np.array_equal(trace.end, requests["end"])


@policy(state=np.dtype([("capped", np.int64)]))
def cap_every_other_period(seen: Any, state: Any, command: Any) -> None:
    state["capped"] = 1 - state["capped"]
    command[0]["rate_ppm"] = 250_000 if state["capped"] else 1_000_000


@each_executor
def test_a_policy_caps_as_timed_changes_do_on_both_entries(executor: Any) -> None:
    """At each multiple of 50: as timed changes, and the same policy object asked by a handler, compiled or not."""
    caps = tuple((tick, 0.25 if (tick // 50) % 2 else 1.0) for tick in range(50, 4000, 50))
    requests = played_servers(caps, 1.0)
    graph = servers.as_graph(requests, 3, (), 1.0)
    mind = cap_every_other_period.new_state()
    simulation = executor(graph, policy=cap_every_other_period, period=50, state=mind)
    while (reason := simulation.advance()) == Reason.POLICY:
        pass
    assert reason == Reason.IDLE
    trace = simulation.trace()
    assert np.array_equal(trace.end, requests["end"])
    assert trace.rate_steps.tick.tolist()[:3] == [50, 100, 150]

    for compiled in (True, False):
        decider = new_decider(cap_every_other_period, compiled=compiled)
        state, calendar = servers.new_servers(requests["arrival"], requests["work"], 3, decider=decider, period=50)
        run = Run(servers.advance, state, calendar, decide=lambda state: decide(cap_every_other_period, state.decider))
        assert run.advance() == Reason.IDLE
        assert np.array_equal(trace.end, run.state.requests["end"])


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=15)
def test_servers_with_ties_at_most_ticks_agree_with_the_oracle(seed: int, sensitivity: float) -> None:
    rng = np.random.default_rng(seed)
    arrival, work = rng.integers(0, 60, 40), rng.integers(0, 5, 40)
    ticks, factors = np.sort(rng.integers(1, 80, 12)).tolist(), rng.choice([0.5, 0.9, 1.0, 1.7], 12).tolist()
    caps = tuple(zip(ticks, factors, strict=True))
    run = Run(servers.advance, *servers.new_servers(arrival, work, 2, caps, sensitivity))
    assert run.advance() == Reason.IDLE
    trace = play(ReferenceSimulation, servers.as_graph(run.state.requests, 2, caps, sensitivity))
    assert np.array_equal(trace.start, run.state.requests["start"])
    assert np.array_equal(trace.end, run.state.requests["end"])


# Functions with keep-alive timers and a shared pool.


def test_functions_keep_the_laws_of_models() -> None:
    check_model(functions.MODEL, workers=2)


@pytest.mark.parametrize(
    "model", [servers.MODEL, servers.CAPPED, tenants.MODEL], ids=["servers", "capped servers", "tenants"]
)
def test_servers_and_tenants_keep_the_laws_of_models(model: Any) -> None:
    check_model(model, workers=0)


def test_every_request_is_served_once_and_pods_that_serve_add_up() -> None:
    """Integral of serving pods = sum of run times and cold starts; a cold start per pod that was ever live."""
    run = Run(functions.advance, *functions.build(7, as_listed))
    assert run.advance() == Reason.IDLE
    requests, platform = run.state.requests, run.state.platform[0]
    assert platform["served"] == len(requests)
    assert platform["live"] == 0
    assert np.all(requests["begin"] >= requests["tick"])
    assert (
        integral(run.state.recorder, 0, run.now) == requests["span"].sum() + platform["cold"] * requests["cold"].sum()
    )


def test_longer_keep_alive_without_contention_never_adds_a_cold_start() -> None:
    rng = np.random.default_rng(2)
    tick, function = np.sort(rng.integers(0, 30_000, 600)), rng.integers(0, 5, 600)
    cold = []
    for keep in (0, 10, 100, 1000, 10**6):
        run = Run(functions.advance, *functions.new_platform(tick, function, 0 * tick, pods=600, cold=0, keep=keep))
        run.advance()
        cold.append(int(run.state.requests["cold"].sum()))
    assert cold == sorted(cold, reverse=True)
    assert cold[0] > cold[-1] == 5


# Two tenants that sense each other on a shaped link.


@each_executor
@pytest.mark.parametrize("seed", range(3))
def test_transfers_are_the_same_on_both_entries_of_the_engine(executor: Any, seed: int) -> None:
    """Awkward sizes, three links, capacities that drop to 0 and come back: equal to the tick."""
    capacities, tick, link, size, shaping = tenants.random_case(seed)
    run = Run(tenants.advance, *tenants.new_tenants(capacities, tick, link, size, shaping))
    assert run.advance() == Reason.IDLE
    trace = play(executor, tenants.as_graph(capacities, run.state.transfers, shaping))
    assert np.array_equal(trace.end, run.state.transfers["end"])


def probe_times(bits: IntArray, *, links: int, shaping: tuple[tuple[int, int, float], ...] = ()) -> IntArray:
    """Time of one probe of 100 bytes a window of 1000 ticks; the sender is loud in the windows of its 1 bits."""
    windows = np.arange(len(bits)) * 1000
    tick = np.concatenate([windows + 100, windows[bits == 1] + 100])
    link = np.concatenate([np.zeros(len(bits), np.int64), np.full(int(bits.sum()), links - 1)])
    size = np.concatenate([np.full(len(bits), 100.0), np.full(int(bits.sum()), 500.0)])
    run = Run(tenants.advance, *tenants.new_tenants([1.0] * links, tick, link, size, shaping))
    assert run.advance() == Reason.IDLE
    transfers = run.state.transfers
    mine = transfers[transfers["bytes"] == 100.0]
    return np.asarray(mine["end"] - mine["tick"])


def test_a_tenant_senses_another_on_a_shared_link_and_not_on_its_own() -> None:
    """Sharing halves the rate: a probe takes 100 ticks alone and 200 beside the sender; on two links always 100."""
    bits = np.random.default_rng(9).integers(0, 2, 64)
    assert np.array_equal(probe_times(bits, links=1), 100 * (1 + bits))
    assert np.array_equal(probe_times(bits, links=2), np.full(64, 100))


def test_shaping_scales_what_a_tenant_senses() -> None:
    """At a quarter of the capacity from tick 0 every probe takes four times as long."""
    bits = np.tile([0, 1], 8)
    assert np.array_equal(probe_times(bits, links=1, shaping=((0, 0, 0.25),))[:1], [400])
    assert np.array_equal(probe_times(bits, links=1, shaping=((0, 0, 2.0),)), 50 * (1 + bits))
