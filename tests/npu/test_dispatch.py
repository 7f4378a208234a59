"""The control processor: issue cost, bounded queues, submission."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary.engine import TaskGraph
from armillary.engine.simulate import simulate
from armillary.engine.trace import Trace
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity, load_chip
from armillary.npu import Plan, compile_network, emit
from armillary.npu.dispatch import ISSUE, SUBMIT
from armillary.npu.queues import ARRAY, CONTROL
from armillary.npu.repeat import repeat
from armillary.npu.run import run
from armillary.timeline import Timeline
from armillary.units import PICOSECOND, to_ticks
from armillary.workload import Graph, load_model, with_dtype
from tests.npu.networks import branches, chips, edited, generic, graphs

CORAL = "coral-edge-tpu-usb"
LONG_S = 1e-3  # longer than any one task of the networks below


def controlled(chip: Chip, *, issue_s: float = 0.0, entries: int | None = None, submit_s: float = 0.0) -> Chip:
    update = {"issue_cost": Quantity(issue_s), "queue_entries": entries, "submit_cost": Quantity(submit_s)}
    return chip.model_copy(update={"control": chip.control.model_copy(update=update)})


def played(plan: Plan) -> Trace:
    return simulate(emit(plan).tasks)


def with_control(plan: Plan, chip: Chip) -> Plan:
    return replace(plan, chip=chip)


def of_kind(graph: TaskGraph, kind: str) -> np.ndarray:
    return np.flatnonzero(graph.kind == graph.kinds.index(kind))


def issued_by(graph: TaskGraph) -> tuple[np.ndarray, np.ndarray]:
    """(issue, the task that it hands out) of a program."""
    issue = of_kind(graph, ISSUE)
    source = np.repeat(np.arange(len(graph)), np.diff(graph.edges.offset))
    out = np.isin(source, issue) & ~np.isin(graph.edges.index, issue)
    return source[out], graph.edges.index[out].astype(np.int64)


@pytest.fixture(scope="module")
def cached() -> Plan:
    """MobileNetV2 on a Coral: weights and activations stay on the chip, so all but both ends is one chain of tiles."""
    return compile_network(load_model("mobilenet_v2"), load_chip(CORAL))


def test_without_costs_there_is_no_control_processor(cached: Plan) -> None:
    graph = emit(cached).tasks
    assert CONTROL not in graph.resources.names
    assert not {ISSUE, SUBMIT} & set(graph.kinds)


def test_short_tasks_are_bound_by_their_issue(cached: Plan) -> None:
    """Makespan = n x issue cost + the last task, where no task takes longer than an issue."""
    plan = with_control(cached, controlled(cached.chip, issue_s=LONG_S))
    trace = played(plan)
    issue, task = issued_by(trace.graph)
    last = task[np.argmax(trace.end[issue])]
    assert np.all(trace.end[task] - trace.start[task] < to_ticks(LONG_S, PICOSECOND))
    tail = int(trace.end[last] - trace.start[last])
    assert trace.makespan == len(issue) * to_ticks(LONG_S, PICOSECOND) + tail


def test_issue_hides_behind_longer_tasks(cached: Plan) -> None:
    """With room in the queues an issue cost below the shortest tile costs nothing: the inputs take longer to arrive."""
    alone = played(cached)
    shortest_s = float((alone.end - alone.start).min()) * PICOSECOND
    assert played(with_control(cached, controlled(cached.chip, issue_s=0.9 * shortest_s))).makespan == alone.makespan


def test_one_entry_serialises_issue_and_run(cached: Plan) -> None:
    """Each tile but the first is handed out when the one before has ended: (n - 1) x issue cost on top."""
    issue_s = 1e-6
    tight = played(with_control(cached, controlled(cached.chip, issue_s=issue_s, entries=1)))
    on_array = Timeline.from_trace(tight).on(ARRAY)
    assert tight.makespan == played(cached).makespan + (int(on_array.sum()) - 1) * to_ticks(issue_s, PICOSECOND)


def test_submission_comes_once_before_everything(cached: Plan) -> None:
    plan = with_control(cached, controlled(cached.chip, submit_s=200e-6))
    trace = played(plan)
    assert trace.makespan == played(cached).makespan + to_ticks(200e-6, PICOSECOND)
    submit = of_kind(trace.graph, SUBMIT)
    assert len(submit) == 1
    others = np.delete(np.arange(len(trace.graph)), submit)
    assert trace.start[others].min() >= trace.end[submit[0]]


def deepest(trace: Trace, issue: np.ndarray, task: np.ndarray) -> int:
    """The most tasks of any queue that are issued (or being issued) and have not ended."""
    demands, most = trace.graph.demands, 0
    queue_of = demands.index[demands.offset[task]]
    for queue in np.unique(queue_of):
        mine = queue_of == queue
        begin, end = np.sort(trace.start[issue[mine]]), np.sort(trace.end[task[mine]])
        # Tasks of a queue are issued and end in the same order; one that ends at a tick makes room at that tick.
        most = max(most, int((np.arange(1, len(begin) + 1) - np.searchsorted(end, begin, side="right")).max()))
    return most


@settings(max_examples=20, deadline=None)
@given(
    graphs(), chips(), st.sampled_from([0.0, 1e-7, 1e-5]), st.sampled_from([1, 2, 5, None]), st.sampled_from([1, 2, 3])
)
def test_programs_with_a_control_processor_run_to_their_end(
    graph: Graph, chip: Chip, issue_s: float, entries: int | None, depth: int
) -> None:
    """No deadlock; queues never hold more than their entries; tasks start after their issue, in its order."""
    chip = controlled(chip, issue_s=issue_s, entries=entries, submit_s=1e-6)
    try:
        plan = compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return
    program = emit(repeat(plan, 3 * depth if depth > 1 else 1, depth))
    trace = simulate(program.tasks)
    assert np.all(trace.end >= 0)
    assert len(program.inference) == len(program.tasks)
    if issue_s == 0 and entries is None:
        return
    issue, task = issued_by(program.tasks)
    assert np.all(trace.start[task] >= trace.end[issue])
    assert np.array_equal(program.inference[issue], program.inference[task])
    if entries is not None:
        assert deepest(trace, issue, task) <= entries


def test_inferences_are_submitted_as_room_is_made() -> None:
    """With two in flight, the third is submitted when the first has ended."""
    plan = compile_network(with_dtype(branches(), "int8"), controlled(generic(), issue_s=1e-7, submit_s=5e-6))
    program = emit(repeat(plan, 5, 2))
    trace = simulate(program.tasks)
    submit = of_kind(program.tasks, SUBMIT)
    done = np.zeros(5, np.int64)
    np.maximum.at(done, program.inference, trace.end)
    assert np.array_equal(program.inference[submit], np.arange(5))
    assert np.all(trace.start[submit[2:]] >= done[:-2])
    assert trace.start[submit[1]] == trace.end[submit[0]]


def test_a_slower_control_processor_is_never_faster() -> None:
    """One DMA engine: order alone decides all times, so they grow with the issue cost and with fewer entries."""
    one = generic(("dma_engines: 2", "dma_engines: 1"))
    costs = [0.0, 1e-8, 1e-7, 1e-6, 1e-5]
    by_cost = [run(branches(), chip=controlled(one, issue_s=cost)).latency_s for cost in costs]
    by_room = [run(branches(), chip=controlled(one, issue_s=1e-6, entries=room)).latency_s for room in (None, 8, 2, 1)]
    assert by_cost == sorted(by_cost)
    assert by_room == sorted(by_room)
    assert by_cost[-1] > by_cost[0]
    assert by_room[-1] > by_room[0]


def test_what_the_control_processor_costs_is_said() -> None:
    slow = run("mobilenet_v2", chip=controlled(load_chip("intel-npu-2.7"), issue_s=20e-6, submit_s=1e-3))
    assert {"control processor", "driver"} <= {bound.what for bound in slow.bounds}
    assert sum(bound.share for bound in slow.bounds) == pytest.approx(1.0, abs=0.02)


def test_a_chip_file_names_the_costs_of_control() -> None:
    layer_cost = "  layer_cost: 1 us"
    chip = edited("generic-array-16x16", (layer_cost, f"{layer_cost}\n  issue_cost: 50 ns\n  queue_entries: 4"))
    assert chip.control.issue_cost.value == pytest.approx(50e-9)
    assert chip.control.queue_entries == 4
    with pytest.raises(InputError, match="queue_entries"):
        edited("generic-array-16x16", (layer_cost, f"{layer_cost}\n  queue_entries: 0"))
