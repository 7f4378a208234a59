"""Several networks on one chip: priority, preemption between layers, order among equals, conservation."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary import npu
from armillary.engine import ResourceKind
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity
from armillary.npu import ShareResult, Tenant, compile_network, emit, share
from armillary.npu.queues import ARRAY, VECTOR
from armillary.npu.share import segment_ticks
from armillary.npu.share_figures import first_tasks
from armillary.npu.share_graph import Party, Shared, join
from armillary.npu.turns import topological, turns
from armillary.report import timeline_columns
from armillary.timeline import Timeline
from armillary.workload import Graph, load_model, with_dtype
from tests.npu.networks import branches, chips, edited, generic, graphs, one_conv, with_unknown_operator

CORAL = "coral-edge-tpu-usb"
ROOMY = "size: 512 KiB"


def roomy() -> Chip:
    """A generic array with one DMA queue (so that order alone decides all times) and room for several networks."""
    return generic((ROOMY, "size: 8 MiB"), ("dma_engines: 2", "dma_engines: 1"))


def party(name: str, graph: Graph, chip: Chip, level: int, arrival: list[int]) -> Party:
    program = emit(compile_network(with_dtype(graph, "int8"), chip))
    return Party(name, program, turns(program), level, np.array(arrival, np.int64))


def played(parties: list[Party]) -> tuple[Shared, Timeline]:
    shared = join(parties)
    return shared, Timeline.from_trace(simulate(shared.graph))


def latencies(shared: Shared, timeline: Timeline, parties: list[Party]) -> list[np.ndarray]:
    return [timeline.end[done] - each.arrival for done, each in zip(shared.done, parties, strict=True)]


def alone(each: Party) -> int:
    return simulate(each.program.tasks).makespan


def check_that_segments_are_whole(shared: Shared, timeline: Timeline) -> None:
    """While a segment runs, from its first tile to its last, no tile of another network starts on any engine."""
    computing = np.flatnonzero(shared.segment >= 0)
    number, owner = shared.segment[computing], shared.party[computing]
    start, end = timeline.start[computing], timeline.end[computing]
    order = np.lexsort((end, start))
    number, owner, start, end = number[order], owner[order], start[order], end[order]
    begun = np.full(number.max() + 1, np.iinfo(np.int64).max)
    over = np.zeros(number.max() + 1, np.int64)
    np.minimum.at(begun, number, start)
    np.maximum.at(over, number, end)
    of = np.zeros(len(begun), np.int64)
    of[number] = owner
    by_time = np.argsort(begun, kind="stable")
    for first, second in pairwise(by_time):
        if of[first] != of[second]:
            assert begun[second] >= over[first]


@pytest.mark.parametrize("model", ["mobilenet_v2", "squeezenet"])
@pytest.mark.parametrize("chip", [CORAL, "intel-npu-2.7"])
def test_alone_it_is_the_run_itself(model: str, chip: str) -> None:
    result, run = share([model], chip=chip), npu.run(model, chip=chip)
    assert result.tenants[0].latency_max_s == result.tenants[0].alone_s == run.latency_s
    assert result.tenants[0].slowdown == 1.0
    assert result.energy_j == pytest.approx(run.energy_j, rel=1e-12)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(graphs(), min_size=2, max_size=3),
    chips(),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.integers(0, 2**32),
)
def test_any_networks_share_any_chip(networks: list[Graph], chip: Chip, urgency: list[int], seed: int) -> None:
    """No deadlock; all work is done once; segments are whole; equals are first come, first served."""
    check_sharing(networks, chip, urgency, seed)


@pytest.mark.nightly
@settings(max_examples=500, deadline=None)
@given(
    st.lists(graphs(), min_size=2, max_size=3),
    chips(),
    st.lists(st.integers(0, 2), min_size=3, max_size=3),
    st.integers(0, 2**32),
)
def test_any_networks_share_any_chip_at_length(
    networks: list[Graph], chip: Chip, urgency: list[int], seed: int
) -> None:
    check_sharing(networks, chip, urgency, seed)


def check_sharing(networks: list[Graph], chip: Chip, urgency: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    used = sorted(set(urgency[: len(networks)]))
    parties = []
    try:
        for number, graph in enumerate(networks):
            arrival = np.sort(random.integers(0, 10**9, 3)).tolist()
            parties.append(party(f"n{number}", graph, chip, used.index(urgency[number]), arrival))
    except InfeasibleError:
        return
    shared, timeline = played(parties)
    assert np.all(timeline.end >= 0)
    for number, each in enumerate(parties):
        tasks = each.program.tasks
        mine = shared.party == number
        assert timeline.energy_sum_fj(mine) == 3 * int(tasks.energy_fj.sum())
        assert timeline.bytes[mine].sum() == pytest.approx(3 * tasks.bytes.sum(), rel=1e-12)
        assert timeline.duration[mine].sum() == 3 * tasks.duration.sum()
        assert np.all(timeline.start[shared.arrive[number]] >= each.arrival)
    check_that_segments_are_whole(shared, timeline)
    for level in range(len(used)):
        asks = np.concatenate([shared.asks[n].ravel() for n, each in enumerate(parties) if each.level == level])
        asked = timeline.ready[asks]
        order = np.argsort(asked, kind="stable")
        assert np.all(np.diff(timeline.start[asks[order]])[np.diff(asked[order]) > 0] >= 0)


@settings(max_examples=40, deadline=None)
@given(graphs(), chips())
def test_segments_delay_nothing_where_nobody_else_comes(graph: Graph, chip: Chip) -> None:
    """Beside one that comes much later, a less urgent network takes to the tick what it takes alone."""
    try:
        parties = [party("low", graph, chip, 1, [0]), party("high", one_conv(size=4), chip, 0, [10**13])]
    except InfeasibleError:
        return
    shared, timeline = played(parties)
    assert latencies(shared, timeline, parties)[0][0] == alone(parties[0])
    assert latencies(shared, timeline, parties)[1][0] == alone(parties[1])


def test_segments_are_layers_where_one_engine_does_all() -> None:
    """On a Coral the output stage shares the array: every layer on the chip is a segment of its own."""
    program = emit(compile_network(load_model("mobilenet_v2"), edited(CORAL)))
    found = turns(program)
    assert len(np.unique(found.segment[found.segment >= 0])) == len(np.unique(program.layer[found.segment >= 0]))
    order = topological(program.tasks)
    assert np.array_equal(np.sort(order), np.arange(len(program.tasks)))


def others_ticks(shared: Shared, timeline: Timeline, number: int, begin: int, end: int) -> int:
    """Ticks within begin..end in which another network holds a queue that is no engine."""
    others = (shared.party != number) & (shared.segment < 0)
    clipped = replace(timeline, start=np.maximum(timeline.start, begin), end=np.minimum(timeline.end, end))
    return clipped.busy_intervals(others & (clipped.end > clipped.start)).ticks


@pytest.mark.parametrize("chip", [edited(CORAL), roomy()], ids=lambda chip: chip.name)
@pytest.mark.parametrize("at", np.linspace(0.05, 0.95, 7).tolist())
def test_the_most_urgent_waits_for_one_layer_of_the_others(chip: Chip, at: float) -> None:
    """Latency <= latency alone + the longest segment of the others + the time in which others' transfers are on.

    Wherever it comes in, and whatever waits: each of its tasks waits for tasks of its own (which begin no later than
    alone plus what has delayed them so far), for the one segment that ran when it asked, or behind a transfer in
    progress. Each queue moves one transfer at a time, so a transfer delays nothing for longer than it is on.
    """
    low, high = load_model("squeezenet"), branches()
    span = alone(party("low", low, chip, 0, [0]))
    parties = [
        party("high", high, chip, 0, [int(at * span)]),
        party("low", low, chip, 1, [0, 0]),
        party("lower", low, chip, 2, [0, 0]),
    ]
    shared, timeline = played(parties)
    latency = int(latencies(shared, timeline, parties)[0][0])
    ran = segment_ticks(shared.segment, timeline.start, timeline.end)
    theirs = np.unique(shared.segment[(shared.party != 0) & (shared.segment >= 0)])
    waited = int((timeline.start[shared.asks[0]] - timeline.ready[shared.asks[0]]).sum())
    assert waited <= ran[theirs].max()
    arrival = int(parties[0].arrival[0])
    assert latency <= alone(parties[0]) + waited + others_ticks(shared, timeline, 0, arrival, arrival + latency)
    assert latency < span


def test_a_more_urgent_network_comes_in_at_the_next_layer() -> None:
    """It asks in the middle of a layer, starts when that layer ends, and the rest of the other one follows after it."""
    chip = roomy()
    low = party("low", load_model("squeezenet"), chip, 1, [0])
    span = alone(low)
    parties = [party("high", one_conv(), chip, 0, [span // 2]), low]
    shared, timeline = played(parties)
    computing = shared.segment >= 0
    high, others = computing & (shared.party == 0), computing & (shared.party == 1)
    begin, end = timeline.start[high].min(), timeline.end[high].max()
    assert span // 2 <= begin < end < timeline.end[others].max()
    assert not np.any((timeline.start[others] > timeline.start[shared.asks[0][0, 0]]) & (timeline.start[others] < end))


def test_equals_go_in_the_order_of_arrival() -> None:
    """The first keeps the chip to its end, though the second is far shorter."""
    chip = roomy()
    parties = [party("long", load_model("squeezenet"), chip, 0, [0]), party("short", one_conv(), chip, 0, [1])]
    shared, timeline = played(parties)
    first, second = (np.flatnonzero((shared.segment >= 0) & (shared.party == number)) for number in (0, 1))
    assert timeline.start[second].min() >= timeline.end[first].max()


def test_equals_far_apart_do_not_feel_each_other() -> None:
    result = share(["mobilenet_v2:at-ms=0/200,share=0.5", "squeezenet:at-ms=100/300,share=0.5"], chip=CORAL)
    assert [tenant.slowdown for tenant in result.tenants] == [1.0, 1.0]
    assert all(
        row.latency_s == tenant.alone_s
        for tenant in result.tenants
        for row in result.inferences
        if row.tenant == tenant.name
    )


def test_a_network_that_waits_for_its_host_gives_the_chip_away() -> None:
    """While the host works for the more urgent one, the other computes; then the first comes in again."""
    chip = edited(CORAL)
    slow_host = chip.model_copy(update={"host": chip.host.model_copy(update={"call_cost": Quantity(5e-3)})})
    parties = [
        party("high", with_unknown_operator(), slow_host, 0, [0]),
        party("low", one_conv(), slow_host, 1, [10**9]),
    ]
    assert len(parties[0].turns.turns) == 2
    shared, timeline = played(parties)
    high, low = ((shared.segment >= 0) & (shared.party == number) for number in (0, 1))
    assert timeline.start[high].min() < timeline.start[low].min()
    assert timeline.end[low].max() < timeline.start[high].max()
    assert latencies(shared, timeline, parties)[0][0] == alone(parties[0])


def test_inferences_of_one_network_follow_one_another() -> None:
    """Asked for all at once: inference k ends after k + 1 latencies."""
    result = share([Tenant("mobilenet_v2", count=4)], chip=CORAL)
    latency_s = np.array([row.latency_s for row in result.inferences])
    assert latency_s == pytest.approx(result.tenants[0].alone_s * np.arange(1, 5), rel=1e-9)
    assert result.inferences[3].wait_s == pytest.approx(3 * result.tenants[0].alone_s, rel=1e-9)


@pytest.fixture(scope="module")
def pair() -> ShareResult:
    return share(
        ["mobilenet_v2:priority=0,period-ms=10,deadline-ms=4,share=0.6", "resnet50:priority=1,period-ms=60,share=0.4"],
        chip=CORAL,
        seconds=0.12,
    )


def test_deadlines_and_distributions_are_those_of_the_inferences(pair: ShareResult) -> None:
    urgent, other = pair.tenants
    rows = [row for row in pair.inferences if row.tenant == "mobilenet_v2"]
    assert (urgent.inferences, other.inferences) == (12, 2)
    assert urgent.deadline_misses == sum(row.latency_s > 4e-3 for row in rows) > 0
    assert other.deadline_misses is None
    assert sum(row.latency_s <= urgent.latency_p50_s for row in rows) >= 6
    assert urgent.latency_p99_s == urgent.latency_max_s == max(row.latency_s for row in rows)
    assert urgent.alone_s < urgent.latency_mean_s < other.latency_mean_s


def test_use_is_the_work_over_the_duration(pair: ShareResult) -> None:
    timeline = pair.timeline
    on_array = timeline.on(ARRAY)
    assert pair.utilisation[ARRAY] == pytest.approx(timeline.duration_sum_s(on_array) / pair.duration_s)
    assert VECTOR not in pair.utilisation
    assert pair.energy_j == pytest.approx(
        sum(tenant.energy_j for tenant in pair.tenants) + pair.static_power_w * pair.duration_s, rel=1e-9
    )


def test_the_same_tenants_give_the_same_digest(pair: ShareResult) -> None:
    again = share(
        ["mobilenet_v2:priority=0,period-ms=10,deadline-ms=4,share=0.6", "resnet50:priority=1,period-ms=60,share=0.4"],
        chip=CORAL,
        seconds=0.12,
    )
    assert again.digest() == pair.digest()


def test_every_share_holds_what_its_network_keeps_there(pair: ShareResult) -> None:
    table = pair.timeline.resources
    for tenant in pair.tenants:
        pool = table.index(f"Scratchpad: {tenant.name}")
        assert table.kind[pool] == ResourceKind.POOL
        assert table.units[pool] + tenant.cached_parameter_bytes == tenant.scratchpad_bytes
    assert sum(tenant.scratchpad_bytes for tenant in pair.tenants) <= edited(CORAL).scratchpad.size.value


def test_a_control_processor_serves_the_more_urgent_first() -> None:
    """The law of the longest layer holds with issue tasks too: nothing stalls, and the urgent one stays the faster."""
    control = edited(CORAL).control.model_copy(update={"issue_cost": Quantity(2e-7), "queue_entries": 4})
    chip = edited(CORAL).model_copy(update={"control": control})
    result = share(["squeezenet:period-ms=10", "squeezenet:priority=1,period-ms=10"], chip=chip, seconds=0.05)
    first, second = result.tenants
    assert (first.name, second.name) == ("squeezenet", "squeezenet (2)")
    assert first.alone_s <= first.latency_max_s <= first.alone_s + 2 * second.longest_segment_s
    assert second.latency_mean_s > first.latency_mean_s
    assert "Control" in result.utilisation


@pytest.mark.parametrize(
    ("tenants", "message"),
    [
        ([], "0 networks"),
        (["squeezenet"] * 17, "17 networks"),
        (["squeezenet:share=0.7", "squeezenet:share=0.7"], "add up to 1.4"),
        (["squeezenet:share=1", "squeezenet"], "nothing of the scratchpad is left"),
        (["resnet50:period-ms=0.1"], "tasks in 1.0 s.*longer periods"),
    ],
)
def test_what_cannot_be_shared_is_refused(tenants: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        share(tenants, chip=CORAL)


def test_a_share_that_is_too_small_is_said() -> None:
    with pytest.raises(InfeasibleError, match=r"tenant 'vgg16' with 1e-05 .*give it a larger share"):
        share(["vgg16:share=0.00001", "squeezenet"], chip=CORAL)


def test_the_page_shows_the_begin_of_a_long_run(pair: ShareResult) -> None:
    """Cut at a time: as many tasks as asked for at most, each with its cause among them, all begun before the cut."""
    whole = timeline_columns(pair.timeline)
    part = first_tasks(whole, 500)
    assert 0.8 * 500 <= len(part) <= 500
    assert part.start_s.max() < np.partition(whole.start_s, 500)[500]
    assert part.cause is not None
    known = part.cause[part.cause >= 0]
    assert np.all(part.start_s[known] <= part.start_s[part.cause >= 0])
    assert all(counter.time_s.max() < part.end_s.max() for counter in part.counters)
    assert first_tasks(whole, len(whole)) is whole
