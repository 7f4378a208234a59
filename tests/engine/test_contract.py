"""Each section of docs/engine.md by hand: small graphs whose starts, ends and causes one can work out on paper."""

from __future__ import annotations

from typing import Any

from armillary.engine import Discipline, EdgeKind, GraphBuilder
from tests.engine.executors import each_executor, play

SECOND = 1.0  # a tick of one second: capacities per second are capacities per tick


# section 2: life of a task


@each_executor
def test_chain_of_zero_durations_passes_in_one_tick(executor: Any) -> None:
    builder = GraphBuilder()
    builder.chain(builder.tasks(50))
    trace = play(executor, builder.build())
    assert trace.end.tolist() == [0] * 50
    assert trace.cause.tolist() == [-1, *range(49)]


@each_executor
def test_duration_counts_from_launch(executor: Any) -> None:
    builder = GraphBuilder()
    builder.task(latency=3, duration=4)
    trace = play(executor, builder.build())
    assert (trace.start[0], trace.end[0]) == (0, 7)


@each_executor
def test_task_is_not_ready_before_its_release_nor_before_its_edges(executor: Any) -> None:
    builder = GraphBuilder()
    first = builder.task(duration=5)
    early = builder.task(duration=1, release=3, after=[first])
    late = builder.task(duration=1, release=9, after=[first])
    trace = play(executor, builder.build())
    assert trace.start[[early, late]].tolist() == [5, 9]
    assert trace.cause[[early, late]].tolist() == [first, -1]


@each_executor
def test_task_ends_when_work_and_bytes_are_both_done(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    link = builder.link("wire", capacity=2.0)
    long_work = builder.task(duration=9, bytes=4.0, crossing=link)
    long_bytes = builder.task(duration=1, bytes=40.0, crossing=link, after=[long_work])
    trace = play(executor, builder.build())
    assert trace.end.tolist() == [9, 29]
    assert trace.cause[long_bytes] == long_work


@each_executor
def test_bytes_without_a_crossing_take_no_time(executor: Any) -> None:
    builder = GraphBuilder()
    builder.task(duration=2, bytes=1e12)
    assert play(executor, builder.build()).end[0] == 2


@each_executor
def test_start_edge_lets_the_target_start_beside_its_source(executor: Any) -> None:
    builder = GraphBuilder()
    source = builder.task(duration=5, latency=2)
    target = builder.task(duration=1)
    builder.edge(source, target, kind=EdgeKind.START)
    trace = play(executor, builder.build())
    assert (trace.start[target], trace.cause[target]) == (0, source)


# section 4: dispatch and causes


@each_executor
def test_server_serves_in_order_of_priority_then_readiness_then_id(executor: Any) -> None:
    builder = GraphBuilder()
    server = builder.server("s")
    opener = builder.task(duration=2, on=server)
    last = builder.task(duration=2, on=server, priority=1)
    later = builder.task(duration=2, on=server, release=1)
    first = builder.task(duration=2, on=server, priority=-1, release=1)
    second = builder.task(duration=2, on=server)
    trace = play(executor, builder.build())
    # The one of priority -1 was not there at tick 0; the rest wait for the server.
    order = sorted(range(5), key=lambda task: int(trace.start[task]))
    assert order == [opener, first, second, later, last]
    assert trace.cause[[first, second, later, last]].tolist() == [opener, first, second, later]


@each_executor
def test_wide_task_at_the_head_blocks_unless_the_server_backfills(executor: Any) -> None:
    for backfill, start_of_small in ((False, 4), (True, 0)):
        builder = GraphBuilder()
        server = builder.server("s", units=3, backfill=backfill)
        builder.task(duration=4, on=[(server, 2)])
        wide = builder.task(duration=1, on=[(server, 2)])
        small = builder.task(duration=1, on=server)
        trace = play(executor, builder.build())
        assert trace.start[small] == start_of_small
        assert trace.start[wide] == 4


@each_executor
def test_task_of_two_servers_starts_when_it_heads_both(executor: Any) -> None:
    builder = GraphBuilder()
    one, two = builder.server("one"), builder.server("two")
    a = builder.task(duration=3, on=one)
    b = builder.task(duration=5, on=two)
    both = builder.task(duration=1, on=[one, two])
    behind = builder.task(duration=1, on=one)
    trace = play(executor, builder.build())
    assert trace.start[[both, behind]].tolist() == [5, 6]
    assert trace.cause[[both, behind]].tolist() == [b, both]
    assert trace.cause[a] == -1


@each_executor
def test_cause_is_the_largest_release_of_the_round(executor: Any) -> None:
    builder = GraphBuilder()
    one, two = builder.server("one"), builder.server("two")
    builder.task(duration=3, on=one)
    b = builder.task(duration=3, on=two)
    both = builder.task(duration=1, on=[one, two])
    assert play(executor, builder.build()).cause[both] == b


@each_executor
def test_cause_is_the_starter_that_unblocked_the_queue(executor: Any) -> None:
    builder = GraphBuilder()
    wide, other = builder.server("wide", units=2), builder.server("other")
    hold = builder.task(duration=4, on=other)
    head = builder.task(duration=2, on=[wide, other])
    follower = builder.task(duration=2, on=wide)
    trace = play(executor, builder.build())
    assert trace.start[[head, follower]].tolist() == [4, 4]
    assert trace.cause[[head, follower]].tolist() == [hold, head]


# section 2: leases


@each_executor
def test_lease_lasts_from_the_first_start_to_the_last_end(executor: Any) -> None:
    builder = GraphBuilder()
    pool = builder.pool("buffer", units=10)
    lease = builder.lease(pool, 6)
    producer = builder.task(duration=3, leases=[lease])
    consumer = builder.task(duration=4, leases=[lease], after=[producer])
    rival = builder.task(duration=1, leases=[builder.lease(pool, 5)])
    trace = play(executor, builder.build())
    assert trace.start[rival] == 7
    assert trace.cause[rival] == consumer


@each_executor
def test_lease_until_start_is_returned_when_the_last_member_starts(executor: Any) -> None:
    builder = GraphBuilder()
    pool = builder.pool("slots", units=1)
    lease = builder.lease(pool, 1, until_start=True)
    producer = builder.task(duration=3, leases=[lease])
    consumer = builder.task(duration=4, leases=[lease], after=[producer])
    rival = builder.task(duration=1, leases=[builder.lease(pool, 1)])
    trace = play(executor, builder.build())
    assert (trace.start[rival], trace.cause[rival]) == (3, consumer)


@each_executor
def test_two_untaken_leases_of_one_pool_count_together(executor: Any) -> None:
    builder = GraphBuilder()
    pool = builder.pool("p", units=4)
    hold = builder.task(duration=5, leases=[builder.lease(pool, 1)])
    both = builder.task(duration=1, leases=[builder.lease(pool, 2), builder.lease(pool, 2)])
    trace = play(executor, builder.build())
    assert (trace.start[both], trace.cause[both]) == (5, hold)


# section 5: links


@each_executor
def test_flows_of_a_simple_link_share_by_weight(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    link = builder.link("wire", capacity=4.0)
    heavy = builder.task(bytes=30.0, crossing=link, weight=3)
    light = builder.task(bytes=30.0, crossing=link, weight=1)
    trace = play(executor, builder.build())
    # 3 and 1 bytes a tick until tick 10, then 4 for the 20 bytes left.
    assert trace.end[[heavy, light]].tolist() == [10, 15]


@each_executor
def test_costs_make_a_half_duplex_device_one_link(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    ssd = builder.link("ssd", capacity=1.0)
    read = builder.task(bytes=100.0, crossing=[(ssd, 1 / 10)])
    write = builder.task(bytes=50.0, crossing=[(ssd, 1 / 5)])
    # Each alone would take 10 ticks of the device.
    assert play(executor, builder.build()).end[[read, write]].tolist() == [20, 20]


@each_executor
def test_links_are_shared_max_min_fairly(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    narrow, wide = builder.link("narrow", capacity=2.0), builder.link("wide", capacity=10.0)
    through = builder.task(bytes=10.0, crossing=[narrow, wide])
    one = builder.task(bytes=10.0, crossing=narrow)
    other = builder.task(bytes=90.0, crossing=wide)
    trace = play(executor, builder.build())
    # 1 byte a tick each on the narrow link, the other one gets the 9 left on the wide link.
    assert trace.end[[through, one, other]].tolist() == [10, 10, 10]


@each_executor
def test_rate_cap_leaves_the_rest_to_the_others(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    link = builder.link("wire", capacity=10.0)
    capped = builder.task(bytes=20.0, crossing=link, rate_cap=1.0)
    free = builder.task(bytes=90.0, crossing=link)
    assert play(executor, builder.build()).end[[capped, free]].tolist() == [20, 10]


@each_executor
def test_link_of_capacity_zero_waits_for_its_restoration(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    simple, general = builder.link("simple", capacity=1.0), builder.link("general", capacity=1.0)
    ends = [builder.task(bytes=10.0, crossing=simple), builder.task(bytes=10.0, crossing=general, rate_cap=5.0)]
    for link in (simple, general):
        builder.change(4, link, 0.0)
        builder.change(10, link, 2.0)
    assert play(executor, builder.build()).end[ends].tolist() == [13, 13]


@each_executor
def test_ends_of_flows_round_up(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    simple, general = builder.link("simple", capacity=3.0), builder.link("general", capacity=3.0)
    ends = [builder.task(bytes=10.0, crossing=simple), builder.task(bytes=10.0, crossing=general, rate_cap=5.0)]
    assert play(executor, builder.build()).end[ends].tolist() == [4, 4]


# section 6: rates


@each_executor
def test_speed_times_time_equals_the_work(executor: Any) -> None:
    builder = GraphBuilder()
    server = builder.server("core")
    task = builder.task(duration=100, on=server, latency=5)
    builder.change(25, server, 0.5)
    builder.change(65, server, 2.0)
    # 20 at full speed, 40 at half, then 60 of work at double.
    trace = play(executor, builder.build())
    assert trace.end[task] == 5 + 20 + 40 + 30
    assert trace.rate_steps.tick.tolist() == [25, 65]


@each_executor
def test_sensitivity_scales_only_its_share(executor: Any) -> None:
    builder = GraphBuilder()
    server = builder.server("core", units=3)
    builder.change(0, server, 0.5)
    tasks = [builder.task(duration=100, on=server, sensitivity=b) for b in (0.0, 0.5, 1.0)]
    assert play(executor, builder.build()).end[tasks].tolist() == [100, 150, 200]


@each_executor
def test_only_the_first_server_governs_the_speed(executor: Any) -> None:
    builder = GraphBuilder()
    first, second = builder.server("first"), builder.server("second")
    builder.change(2, second, 0.5)
    task = builder.task(duration=10, on=[first, second])
    assert play(executor, builder.build()).end[task] == 10


@each_executor
def test_change_to_the_present_value_is_no_step(executor: Any) -> None:
    builder = GraphBuilder()
    server = builder.server("core")
    builder.task(duration=10, on=server)
    builder.change(3, server, 1.0)
    assert len(play(executor, builder.build()).rate_steps.tick) == 0


# section 7: arbiters


def _arbiter(builder: GraphBuilder, **values: Any) -> int:
    return builder.arbiter("memory", **{"capacity": 1.0, "quantum_bytes": 1.0, "depth": 1, **values})


@each_executor
def test_fifo_arbiter_serves_trains_one_after_another(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    memory = _arbiter(builder, class_cost=(1.0, 1.0))
    one = builder.task(bytes=4.0, crossing=memory, traffic_class=1)
    two = builder.task(bytes=3.0, crossing=memory)
    assert play(executor, builder.build()).end[[one, two]].tolist() == [4, 7]


@each_executor
def test_round_robin_arbiter_alternates_classes(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    memory = _arbiter(builder, discipline=Discipline.ROUND_ROBIN, class_cost=(1.0, 1.0))
    one = builder.task(bytes=4.0, crossing=memory, traffic_class=1)
    two = builder.task(bytes=3.0, crossing=memory)
    # Quanta in order: 0 1 0 1 0 1 1.
    assert play(executor, builder.build()).end[[one, two]].tolist() == [7, 5]


@each_executor
def test_threshold_arbiter_prefers_class_0_until_others_have_aged(executor: Any) -> None:
    # Issued in order: 0 0 0 0 1 1, or 0 0 1 0 1 0 when class 1 goes first once its head has waited 2 ticks.
    for age_limit, ends in ((100, [6, 4]), (2, [5, 6])):
        builder = GraphBuilder(tick_s=SECOND)
        memory = _arbiter(builder, discipline=Discipline.THRESHOLD, class_cost=(1.0, 1.0), age_limit=age_limit)
        bulk = builder.task(bytes=2.0, crossing=memory, traffic_class=1)
        first = builder.task(bytes=4.0, crossing=memory)
        assert play(executor, builder.build()).end[[bulk, first]].tolist() == ends


@each_executor
def test_threshold_keeps_room_in_the_device_queue_for_class_0(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    memory = _arbiter(
        builder, discipline=Discipline.THRESHOLD, class_cost=(1.0, 1.0), depth=4, threshold=2, age_limit=100
    )
    bulk = builder.task(bytes=6.0, crossing=memory, traffic_class=1)
    urgent = builder.task(bytes=1.0, crossing=memory, release=1)
    trace = play(executor, builder.build())
    # Two bulk quanta are in the device queue; one leaves at tick 1 and is replaced after the urgent one entered.
    assert trace.end[urgent] == 3
    assert trace.end[bulk] == 7


@each_executor
def test_cost_of_a_class_stretches_its_quanta(executor: Any) -> None:
    builder = GraphBuilder(tick_s=SECOND)
    memory = _arbiter(builder, class_cost=(1.0, 1.5))
    # Quanta of 1, 1 and 0.5 bytes: 1.5, 1.5 and 0.75 ticks, each rounded up.
    slow = builder.task(bytes=2.5, crossing=memory, traffic_class=1)
    assert play(executor, builder.build()).end[slow] == 5
