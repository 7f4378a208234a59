"""What `advance` returns, what a caller may do at a stop, and what is said when a run cannot go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from armillary.engine import GraphBuilder, Reason, Status, records, reference
from armillary.engine.reference import ReferenceSimulation
from armillary.engine.simulate import Simulation, simulate
from armillary.errors import ArmillaryError, InfeasibleError, InputError
from armillary.units import MAX_TICKS
from tests.engine.executors import EXECUTORS, each_executor

# reasons


@each_executor
def test_until_is_inclusive(executor: Any) -> None:
    builder = GraphBuilder()
    builder.task(duration=10)
    simulation = executor(builder.build())
    assert simulation.advance(9) == Reason.TIME
    assert simulation.trace().end[0] == -1
    assert simulation.advance(10) == Reason.IDLE
    assert simulation.trace().end[0] == 10


@each_executor
def test_empty_graph_is_idle_at_once(executor: Any) -> None:
    assert executor(GraphBuilder().build()).advance() == Reason.IDLE


@each_executor
def test_time_passes_until_the_stop(executor: Any) -> None:
    """A change at a stop acts at `until`, not at the last event before it."""
    builder = GraphBuilder()
    server = builder.server("core")
    task = builder.task(duration=100, on=server)
    simulation = executor(builder.build())
    simulation.advance(40)
    simulation.set_rate(server, 2.0)
    assert simulation.advance() == Reason.IDLE
    assert simulation.trace().end[task] == 70


def _deadlock() -> GraphBuilder:
    builder = GraphBuilder()
    pool = builder.pool("scratchpad", units=2)
    for name in ("left", "right"):
        lease = builder.lease(pool, 1)
        first = builder.task(f"{name}-load", duration=1, leases=[lease])
        more = builder.lease(pool, 1)
        builder.task(f"{name}-store", duration=1, leases=[lease, more], after=[first])
    return builder


@each_executor
def test_deadlock_names_tasks_and_what_they_wait_for(executor: Any) -> None:
    simulation = executor(_deadlock().build())
    assert simulation.advance() == Reason.DEADLOCK
    lines = simulation.blocked()
    assert len(lines) == 2
    for name, line in zip(("left-store", "right-store"), lines, strict=True):
        assert name in line
        assert "scratchpad" in line


@each_executor
def test_blocked_names_the_predecessors_of_a_task(executor: Any) -> None:
    builder = _deadlock()
    builder.task("sum", after=[1, 3])
    simulation = executor(builder.build())
    simulation.advance()
    line = next(line for line in simulation.blocked() if line.startswith("sum"))
    assert "left-store" in line
    assert "right-store" in line


def test_simulate_raises_on_deadlock_with_names() -> None:
    with pytest.raises(InfeasibleError, match=r"left-store.*scratchpad"):
        simulate(_deadlock().build())


@each_executor
def test_flow_on_a_dead_link_is_a_deadlock_until_the_link_is_restored(executor: Any) -> None:
    builder = GraphBuilder(tick_s=1.0)
    link = builder.link("wire", capacity=0.0)
    task = builder.task("copy", bytes=10.0, crossing=link)
    simulation = executor(builder.build())
    assert simulation.advance(50) == Reason.DEADLOCK
    assert "copy" in simulation.blocked()[0]
    simulation.set_capacity(link, 2.0)
    assert simulation.advance() == Reason.IDLE
    assert simulation.trace().end[task] == 55


@each_executor
@pytest.mark.parametrize("kind", ["release", "simple", "general", "arbiter", "rate"])
def test_end_beyond_the_range_of_ticks_is_an_overflow(executor: Any, kind: str) -> None:
    builder = GraphBuilder(tick_s=1e-12)
    if kind == "release":
        builder.task("late", duration=MAX_TICKS // 2, release=MAX_TICKS // 2 + 10)
    elif kind == "rate":
        server = builder.server("core")
        builder.task("slow", duration=MAX_TICKS // 2, on=server)
        builder.change(0, server, 1e-3)
    elif kind == "arbiter":
        memory = builder.arbiter("hbm", capacity=1e-6, quantum_bytes=1e9)
        builder.task("crawl", bytes=1e9, crossing=memory)
    else:
        link = builder.link("wire", capacity=1e-6)
        cap = 1.0 if kind == "general" else np.inf
        builder.task("crawl", bytes=1e9, crossing=link, rate_cap=cap)
    simulation = executor(builder.build())
    assert simulation.advance() == Reason.OVERFLOW
    assert simulation.advance() == Reason.OVERFLOW


@each_executor
def test_overflow_is_final_whatever_is_done_at_the_stop(executor: Any) -> None:
    builder = GraphBuilder()
    server, link = builder.server("core"), builder.link("wire", capacity=1e-6)
    crawl = builder.task("crawl", bytes=1e9, crossing=link)
    builder.task("long", duration=100, on=server)
    simulation = executor(builder.build())
    assert simulation.advance(10) == Reason.OVERFLOW
    simulation.cancel(crawl)
    more = GraphBuilder()
    more.task("new", duration=1)
    simulation.append(more)
    simulation.set_rate(server, 0.5)
    for until in (0, 50, None):
        assert simulation.advance(until) == Reason.OVERFLOW
    assert simulation.trace().reason == Reason.OVERFLOW


@each_executor
def test_rate_that_moves_an_end_beyond_the_range_is_an_overflow_at_the_stop(executor: Any) -> None:
    builder = GraphBuilder()
    server = builder.server("core")
    builder.task("slow", duration=2**61, on=server)
    simulation = executor(builder.build())
    assert simulation.advance(5) == Reason.TIME
    simulation.set_rate(server, 1e-3)
    assert simulation.advance(6) == Reason.OVERFLOW
    assert simulation.advance() == Reason.OVERFLOW


@each_executor
def test_policy_tick_beyond_the_range_is_an_overflow(executor: Any) -> None:
    """Only a flow that stands still is left, so time goes on with the policy alone."""
    builder = GraphBuilder()
    link = builder.link("wire", capacity=0.0)
    builder.task("stuck", bytes=1.0, crossing=link)
    simulation = executor(builder.build(), policy=lambda seen, state, command: None, period=2**61)
    assert simulation.advance() == Reason.OVERFLOW
    assert simulation.advance() == Reason.OVERFLOW


def test_simulate_names_the_policy_whose_tick_lies_beyond_the_range() -> None:
    builder = GraphBuilder()
    builder.task("stuck", bytes=1.0, crossing=builder.link("wire", capacity=0.0))
    with pytest.raises(InputError, match="the next call of the policy would lie beyond"):
        simulate(builder.build(), policy=lambda seen, state, command: None, period=2**61)


def test_period_beyond_the_range_of_ticks_is_refused() -> None:
    with pytest.raises(InputError, match="period of 9223372036854775807 ticks"):
        Simulation(GraphBuilder().build(), policy=lambda seen, state, command: None, period=2**63 - 1)


def test_simulate_raises_on_overflow_with_a_name() -> None:
    builder = GraphBuilder()
    link = builder.link("wire", capacity=1e-6)
    builder.task("crawl", bytes=1e9, crossing=link)
    with pytest.raises(ArmillaryError, match="crawl"):
        simulate(builder.build())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_too_many_rounds_in_one_tick_are_a_livelock(executor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round starts or ends a task, so no graph reaches the limit of tasks + 1000: it is lowered here to 3."""
    builder = GraphBuilder()
    long = builder.task(duration=100)
    builder.task(duration=4)
    chain = builder.tasks(10)
    builder.chain(chain)
    builder.edge(long, chain[0], keep=True)
    simulation = executor(builder.build())
    simulation.advance(4)
    simulation.cancel(long)
    if executor is ReferenceSimulation:
        monkeypatch.setattr(reference, "EXTRA_ROUNDS", 3 - len(simulation.graph))
    else:
        clock = simulation._state.clock
        clock[records.ROUND_LIMIT] = clock[records.TICK_ROUNDS] + 3
    assert simulation.advance() == Reason.LIVELOCK
    assert 0 < (simulation.trace().status[list(chain)] == Status.DONE).sum() < 10


# cancel


def _fork() -> tuple[GraphBuilder, list[int]]:
    builder = GraphBuilder()
    server = builder.server("core")
    first = builder.task("first", duration=10, on=server)
    waiting = builder.task("waiting", duration=5, on=server)
    behind = builder.task("behind", duration=1, after=[first])
    kept = builder.task("kept", duration=1)
    builder.edge(first, kept, keep=True)
    further = builder.task("further", duration=1, after=[behind])
    return builder, [first, waiting, behind, kept, further]


@each_executor
def test_cancel_frees_what_the_task_holds_and_takes_its_targets_along(executor: Any) -> None:
    builder, (first, waiting, behind, kept, further) = _fork()
    simulation = executor(builder.build())
    simulation.advance(4)
    simulation.cancel(first)
    assert simulation.advance() == Reason.IDLE
    trace = simulation.trace()
    assert (trace.start[first], trace.end[first], trace.status[first]) == (0, 4, Status.CANCELLED)
    assert (trace.start[waiting], trace.cause[waiting]) == (4, first)
    assert (trace.start[kept], trace.cause[kept]) == (4, first)
    for task in (behind, further):
        assert (trace.start[task], trace.end[task], trace.status[task]) == (-1, -1, Status.CANCELLED)


@each_executor
def test_cancel_of_an_ended_task_changes_nothing(executor: Any) -> None:
    builder, (first, *_) = _fork()
    plain, other = executor(builder.build()), executor(builder.build())
    plain.advance()
    other.advance(12)
    other.cancel(first)
    other.advance()
    assert plain.trace().digest() == other.trace().digest()


@each_executor
def test_cancelled_flow_leaves_its_bandwidth_to_the_others(executor: Any) -> None:
    for cap in (np.inf, 1e3):
        builder = GraphBuilder(tick_s=1.0)
        link = builder.link("wire", capacity=2.0)
        gone = builder.task(bytes=100.0, crossing=link, rate_cap=cap)
        stays = builder.task(bytes=30.0, crossing=link, rate_cap=cap)
        simulation = executor(builder.build())
        simulation.advance(10)
        simulation.cancel(gone)
        simulation.advance()
        # 10 bytes in 10 ticks beside the other, 20 alone.
        assert simulation.trace().end[stays] == 20


@each_executor
def test_quanta_in_the_device_queue_outlive_their_cancelled_train(executor: Any) -> None:
    builder = GraphBuilder(tick_s=1.0)
    memory = builder.arbiter("hbm", capacity=1.0, quantum_bytes=4.0, depth=2)
    gone = builder.task(bytes=100.0, crossing=memory)
    stays = builder.task(bytes=4.0, crossing=memory)
    simulation = executor(builder.build())
    simulation.advance(1)
    simulation.cancel(gone)
    assert simulation.advance() == Reason.IDLE
    assert simulation.trace().end[stays] == 12  # behind the two quanta that were issued


@each_executor
def test_lease_of_cancelled_members_returns(executor: Any) -> None:
    builder = GraphBuilder()
    pool = builder.pool("pad", units=1)
    lease = builder.lease(pool, 1)
    first = builder.task(duration=2, leases=[lease])
    second = builder.task(duration=50, leases=[lease], after=[first])
    rival = builder.task(duration=1, leases=[builder.lease(pool, 1)])
    simulation = executor(builder.build())
    simulation.advance(5)
    simulation.cancel(second)
    simulation.advance()
    assert (simulation.trace().start[rival], simulation.trace().cause[rival]) == (5, second)


# append


@each_executor
def test_appended_tasks_wait_for_old_ones(executor: Any) -> None:
    builder, (first, *_) = _fork()
    simulation = executor(builder.build())
    simulation.advance(3)
    more = GraphBuilder()
    new = more.task("new", duration=4, on=0)
    simulation.append(more, edges=[(first, 5 + new, 0)])
    assert simulation.advance() == Reason.IDLE
    trace = simulation.trace()
    assert trace.graph.task_name(5) == "new (task 5)"
    # `waiting` was ready earlier and goes first.
    assert (trace.start[5], trace.end[5]) == (15, 19)


@each_executor
def test_edge_from_an_ended_task_is_satisfied(executor: Any) -> None:
    builder, (first, *_) = _fork()
    simulation = executor(builder.build())
    simulation.advance(30)
    more = GraphBuilder()
    more.task(duration=2, release=7)
    simulation.append(more, edges=[(first, 5, 0)])
    assert simulation.advance() == Reason.IDLE
    assert simulation.trace().start[5] == 30


@each_executor
def test_edge_from_a_cancelled_task_cancels_unless_kept(executor: Any) -> None:
    builder, (first, *_) = _fork()
    simulation = executor(builder.build())
    simulation.advance(3)
    simulation.cancel(first)
    more = GraphBuilder()
    more.tasks(2, duration=1)
    simulation.append(more, edges=[(first, 5, 0), (first, 6, 2)])
    simulation.advance()
    assert simulation.trace().status[[5, 6]].tolist() == [Status.CANCELLED, Status.DONE]


@each_executor
def test_append_of_everything_at_tick_0_equals_the_whole_graph(executor: Any) -> None:
    whole = GraphBuilder()
    server = whole.server("core")
    whole.chain(whole.tasks(6, duration=2))
    whole.demand(np.arange(6), server)
    part, more = GraphBuilder(), GraphBuilder()
    server = part.server("core")
    part.chain(part.tasks(3, duration=2))
    part.demand(np.arange(3), server)
    more.chain(more.tasks(3, duration=2))
    more.demand(np.arange(3), server)
    one, other = executor(whole.build()), executor(part.build())
    other.append(more, edges=[(2, 3, 0)])
    one.advance()
    other.advance()
    assert one.trace().digest() == other.trace().digest()


@each_executor
def test_append_that_makes_a_simple_link_general_is_refused(executor: Any) -> None:
    builder = GraphBuilder()
    link = builder.link("wire", capacity=1e9)
    builder.task(bytes=10.0, crossing=link)
    simulation = executor(builder.build())
    more = GraphBuilder()
    more.task(bytes=10.0, crossing=link, rate_cap=5.0)
    with pytest.raises(InputError, match="wire"):
        simulation.append(more)


# refused calls


@each_executor
def test_wrong_calls_name_what_is_wrong(executor: Any) -> None:
    builder = GraphBuilder()
    server, pool = builder.server("core"), builder.pool("pad", units=1)
    link = builder.link("wire", capacity=1.0)
    builder.task(on=server)
    simulation = executor(builder.build())
    calls: list[tuple[Callable[[], Any], str]] = [
        (lambda: simulation.set_rate(link, 2.0), "'wire' has no rate"),
        (lambda: simulation.set_rate(server, 0.0), "'core' cannot be set to 0.0"),
        (lambda: simulation.set_capacity(server, 2.0), "'core' has no capacity"),
        (lambda: simulation.set_capacity(pool, 2.0), "pad"),
        (lambda: simulation.set_capacity(link, -1.0), "'wire' cannot be set to -1.0"),
        (lambda: simulation.set_capacity(9, 1.0), "resource 9 does not exist"),
        (lambda: simulation.cancel(4), "task 4 does not exist"),
    ]
    for call, message in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert message in str(caught.value)
