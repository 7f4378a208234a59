from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary import npu
from armillary.engine import TaskGraph
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity, load_chip
from armillary.npu import Plan, Program, compile_network, emit
from armillary.npu.barriers import Barriers
from armillary.npu.repeat import repeat
from armillary.timeline import Timeline
from armillary.workload import Graph, load_model, with_dtype
from tests.npu.networks import branches, chips, generic, graphs
from tests.npu.places import check_barriers

PLENTY = 2**20


def limited(plan: Plan, barriers: int | None) -> Plan:
    """The plan on a chip with so many barriers."""
    control = plan.chip.control.model_copy(update={"barriers": barriers})
    return replace(plan, chip=plan.chip.model_copy(update={"control": control}))


def found(program: Program) -> Barriers:
    assert program.barriers is not None
    return program.barriers


def compiled(graph: Graph, chip: Chip) -> Plan | None:
    try:
        return compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return None


def ancestors(graph: TaskGraph, order: list[int], sources: list[list[int]]) -> list[int]:
    """Bit sets of the tasks that have ended when each task starts."""
    before = [0] * len(graph)
    for task in order:
        for source in sources[task]:
            before[task] |= before[source] | 1 << source
    return before


def pairs(graph: TaskGraph) -> list[tuple[int, int]]:
    source = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset)).tolist()
    return list(zip(source, graph.edges.index.tolist(), strict=True))


def check_meaning(plan: Plan) -> None:
    """Queues in order and barriers alone imply every edge of the program, and no barrier has a producer too many."""
    bare = emit(limited(plan, None)).tasks
    barriers = found(emit(limited(plan, PLENTY)))
    queue = bare.demands.index[bare.demands.offset[:-1]].tolist()
    order = barriers.order.tolist()
    sources: list[list[int]] = [[] for _ in order]
    newest: dict[int, int] = {}
    for task in order:
        if queue[task] in newest:
            sources[task].append(newest[queue[task]])
        newest[queue[task]] = task
    for barrier in range(len(barriers)):
        for consumer in barriers.consumers.of(barrier):
            sources[consumer] += barriers.producers.of(barrier)
    before = ancestors(bare, order, sources)
    for source, target in pairs(bare):
        assert before[target] >> source & 1, (source, target)
    for barrier in range(len(barriers)):
        for consumer in barriers.consumers.of(barrier):
            for producer in barriers.producers.of(barrier):
                assert queue[producer] != queue[consumer]
                assert not any(before[other] >> producer & 1 for other in sources[consumer])


def check_units(plan: Plan, units: int) -> None:
    """Every program ends, and no physical barrier serves two at once: one is free when all its consumers started."""
    program = emit(limited(plan, units))
    tasks = program.tasks
    timeline = Timeline.from_trace(simulate(tasks))
    assert np.all(timeline.end >= 0)
    check_barriers(program, timeline, units)
    # The bytes that move and the work that is done are those of the chip without barriers.
    bare = emit(limited(plan, None)).tasks
    assert np.array_equal(bare.bytes, tasks.bytes)
    assert np.array_equal(bare.duration, tasks.duration)


@settings(max_examples=30, deadline=None)
@given(graphs(), chips())
def test_barriers_say_all_that_edges_between_queues_say(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None and len(plan.tiles) < 120:
        check_meaning(plan)
        check_meaning(repeat(plan, 3, 2))


@settings(max_examples=30, deadline=None)
@given(graphs(), chips(), st.sampled_from([2, 3, 4, 5, 8]))
def test_no_number_of_barriers_locks_up_or_serves_two_at_once(graph: Graph, chip: Chip, units: int) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_units(plan, units)
        check_units(repeat(plan, 5, 3), units)


@settings(max_examples=15, deadline=None)
@given(graphs(), chips(), st.sampled_from([2, 3, 8]), st.sampled_from([None, 1, 3]))
def test_the_control_processor_hands_out_what_barriers_order(
    graph: Graph, chip: Chip, units: int, entries: int | None
) -> None:
    """Tasks are handed out in program order while barriers hold them back: neither locks the other up."""
    control = chip.control.model_copy(update={"issue_cost": Quantity(5e-8), "queue_entries": entries})
    plan = compiled(graph, chip.model_copy(update={"control": control}))
    if plan is not None:
        check_units(plan, units)
        check_units(repeat(plan, 5, 3), units)


@pytest.mark.nightly
@settings(max_examples=500, deadline=None)
@given(graphs(), chips())
def test_barriers_of_any_number_at_length(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        for units in (2, 3, 4, 6, 64):
            check_units(plan, units)
            check_units(repeat(plan, 9, 4), units)


@settings(max_examples=20, deadline=None)
@given(graphs(), chips())
def test_enough_barriers_change_no_time(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        bare, plenty = (simulate(emit(limited(plan, number)).tasks) for number in (None, PLENTY))
        assert np.array_equal(bare.start, plenty.start)
        assert np.array_equal(bare.end, plenty.end)


@pytest.mark.parametrize("model", ["mobilenet_v2", "bert_base"])
@pytest.mark.parametrize("units", [2, 3, 4, 64])
def test_networks_run_with_few_barriers(model: str, units: int) -> None:
    plan = compile_network(load_model(model, dtype="int8"), load_chip("intel-npu-2.7"))
    check_units(plan, units)
    check_units(repeat(plan, 4, 2), units)


def test_too_few_barriers_cost_time_and_are_part_of_the_critical_path() -> None:
    """Queues that meet wait for one another; the causes still add up to the whole."""
    chip = generic(("layer_cost: ", "barriers: 3\n  layer_cost: "))
    few, many = (npu.run("mobilenet_v2", chip=one) for one in (chip, "generic-array-16x16"))
    assert few.latency_s > 1.02 * many.latency_s
    assert sum(bound.share for bound in few.bounds) == pytest.approx(1.0, abs=0.01)


def test_the_pass_shows_every_barrier() -> None:
    table = npu.passes(branches(), "barriers", chip=generic(("layer_cost: ", "barriers: 4\n  layer_cost: ")))
    assert "of 4" in table.title
    plan = compile_network(with_dtype(branches(), "int8"), generic())
    assert len(table.rows) == len(found(emit(limited(plan, 4))))


@pytest.mark.parametrize("barriers", ["0", "1", "2.5", "many"])
def test_impossible_numbers_of_barriers_are_refused(barriers: str) -> None:
    with pytest.raises(InputError, match=r"control\.barriers"):
        generic(("layer_cost: ", f"barriers: {barriers}\n  layer_cost: "))
