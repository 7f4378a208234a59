from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from armillary import hardware, npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip
from armillary.npu import Plan, compile_network, emit
from armillary.npu.queues import ARRAY, DRAM, HOST, HOST_LINK, SCRATCHPAD, VECTOR
from armillary.npu.repeat import repeat
from armillary.npu.stream import stream
from armillary.timeline import Timeline
from armillary.workload import Graph, Operator, OpKind, Tensor, Window, load_model, with_dtype
from armillary.workload.builder import Network
from tests.npu.networks import branches, chips, generic, graphs, one_conv

CORAL = "coral-edge-tpu-usb"


def host_tail() -> Graph:
    """A convolution, and an operator that no chip has behind it."""
    tensors = {
        "x": Tensor("x", (1, 16, 8, 8), "int8"),
        "w": Tensor("w", (16, 16, 1, 1), "int8", constant=True),
        "a": Tensor("a", (1, 16, 8, 8), "int8"),
        "b": Tensor("b", (1, 16, 8, 8), "int8"),
    }
    operators = (
        Operator("conv", OpKind.CONV, ("x", "w"), ("a",)),
        Operator("strange", OpKind.UNKNOWN, ("a",), ("b",), source_op="NonMaxSuppression"),
    )
    return Graph("tail", tensors, operators, ("x",), ("b",))


def large_ends() -> Graph:
    """Its input and what its last layer reads are its largest tensors."""
    net = Network("large-ends")
    x = net.input("image", (1, 16, 64, 64)).max_pool("shrink", 2, stride=2)
    return with_dtype(net.graph(x.conv_bn("widen", 64, 1).conv_bn("narrow", 8, 1)), "int8")


def link_only(size: str = "256 KiB") -> Chip:
    return generic(
        ("size: 512 KiB", f"size: {size}"),
        ("dram:\n  rate: 4 GB/s\n  latency: 100 ns\n  dma_engines: 2\n", "host_link:\n  rate: 200 MB/s\n"),
    )


def busiest_s(plan: Plan) -> float:
    """Time for which the busiest server or link works for one inference, whatever the others do."""
    tasks = emit(plan).tasks
    timeline = Timeline.from_trace(simulate(tasks))
    work_s = (tasks.duration + tasks.latency) * tasks.tick_s
    servers = [name for name in (ARRAY, VECTOR, HOST) if name in timeline.resources.names]
    links = [name for name in (DRAM, HOST_LINK) if name in timeline.resources.names]
    busy = [float(work_s[timeline.on(name)].sum()) for name in servers]
    busy += [
        float(tasks.bytes[timeline.on(name)].sum() / tasks.resources.capacity[tasks.resources.index(name)])
        for name in links
    ]
    return max(busy)


def check_stream(plan: Plan, queue_depth: int) -> None:
    """All inferences end; none is ever more than `queue_depth` ahead; scratchpad as if it were endless; same work."""
    inferences = 3 * queue_depth
    whole = repeat(plan, inferences, queue_depth)
    program = emit(whole)
    trace = simulate(program.tasks)
    timeline = Timeline.from_trace(trace)
    assert timeline.in_use(SCRATCHPAD).peak + plan.caching.bytes <= plan.chip.scratchpad.size.value
    units = program.tasks.resources.units.copy()
    units[program.tasks.resources.index(SCRATCHPAD)] = 2**50
    resources = replace(program.tasks.resources, units=units)
    assert np.array_equal(trace.start, simulate(replace(program.tasks, resources=resources)).start)
    begin = np.full(inferences, np.iinfo(np.int64).max)
    done = np.zeros(inferences, np.int64)
    np.minimum.at(begin, program.inference, timeline.start)
    np.maximum.at(done, program.inference, timeline.end)
    assert np.all(begin[queue_depth:] >= done[:-queue_depth])
    alone = Timeline.from_trace(simulate(emit(plan).tasks))
    assert timeline.energy_sum_fj() == inferences * alone.energy_sum_fj()
    assert timeline.bytes.sum() == pytest.approx(inferences * alone.bytes.sum(), rel=1e-12)


def nothing_shares_a_link(plan: Plan) -> bool:
    """True if each link serves one in-order queue alone, so that order alone decides all times."""
    return not plan.host_layers and (plan.chip.dram is None or plan.chip.dram.dma_engines == 1)


def check_throughput(plan: Plan) -> None:
    """Never beyond what the busiest part allows; never less with more in flight, where no rate is shared."""
    latency_s = simulate(emit(plan).tasks).makespan_s
    # As `run` has it: one after the other is always possible.
    rates = np.array([1 / latency_s, *(1 / min(latency_s, stream(plan, depth).period_s) for depth in (2, 3, 5))])
    assert rates.max() <= 1 / busiest_s(plan) * (1 + 1e-9)
    # Where links are shared, an earlier start may slow another transfer: anomalies of a few percent are real.
    slack = 1e-9 if nothing_shares_a_link(plan) else 0.05
    assert np.diff(rates).min() >= -slack * rates[0]


def compiled(graph: Graph, chip: Chip) -> Plan | None:
    try:
        return compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return None


@settings(max_examples=25, deadline=None)
@given(graphs(), chips())
def test_inferences_in_flight_share_queues_and_scratchpad(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_stream(plan, 3)


@settings(max_examples=12, deadline=None)
@given(graphs(), chips())
def test_more_in_flight_is_no_slower_and_the_busiest_part_bounds_it(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_throughput(plan)


@pytest.mark.nightly
@settings(max_examples=500, deadline=None)
@given(graphs(), chips())
def test_laws_of_inferences_in_flight_at_length(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_stream(plan, 2)
        check_stream(plan, 4)
        check_throughput(plan)


def test_inferences_that_do_not_fit_beside_each_other_stay_apart() -> None:
    """A scratchpad of just the peak of one inference: the next one takes nothing before the first holds nothing."""
    roomy = compile_network(large_ends(), link_only())
    peak = Timeline.from_trace(simulate(emit(roomy).tasks)).in_use(SCRATCHPAD).peak
    tight = replace(roomy, chip=link_only(f"{peak} B"))
    assert (repeat(roomy, 4, 2).gap, repeat(tight, 4, 2).gap) == (0, 2)
    check_stream(tight, 2)
    check_stream(tight, 4)
    check_throughput(tight)
    assert stream(tight, 2).period_s > stream(roomy, 2).period_s


def test_a_queue_that_falls_behind_slowly_bounds_the_throughput() -> None:
    """Two layers on the host take a little longer than the link that ends each inference: it shows only after many."""
    tensors = {
        "image": Tensor("image", (1, 3, 16, 9), "int8"),
        "w": Tensor("w", (96, 3, 1, 1), "int8", constant=True),
        "bias": Tensor("bias", (96,), "int32", constant=True),
        "a": Tensor("a", (1, 3, 16, 9), "int8"),
        "b": Tensor("b", (1, 3, 16, 9), "int8"),
        "c": Tensor("c", (1, 96, 8, 5), "int8"),
    }
    operators = (
        Operator("first", OpKind.UNKNOWN, ("image",), ("a",), source_op="Strange"),
        Operator("second", OpKind.UNKNOWN, ("image",), ("b",), source_op="Strange"),
        Operator("conv", OpKind.CONV, ("image", "w", "bias"), ("c",), window=Window((1, 1), (2, 2))),
    )
    chip = generic(
        ("size: 512 KiB", "size: 48 KiB"),
        (
            "dram:\n  rate: 4 GB/s\n  latency: 100 ns\n  dma_engines: 2\n",
            "host_link:\n  rate: 200 MB/s\n  latency: 3 us\n",
        ),
    )
    plan = compile_network(Graph("lag", tensors, operators, ("image",), ("c",)), chip)
    for depth in (2, 3, 5):
        assert stream(plan, depth).period_s >= busiest_s(plan) * (1 - 1e-9)


def test_one_in_flight_is_the_run_itself() -> None:
    plain, one, four = (
        npu.run("mobilenet_v2", chip=CORAL),
        npu.run("mobilenet_v2", chip=CORAL, queue_depth=1),
        npu.run("mobilenet_v2", chip=CORAL, queue_depth=4),
    )
    assert plain.digest() == one.digest()
    assert one.throughput_per_s == 1 / one.latency_s
    assert four.timeline.digest() == one.timeline.digest()
    assert (four.latency_s, four.energy_j, four.queue_depth) == (one.latency_s, one.energy_j, 4)
    assert four.throughput_per_s > 1.05 * one.throughput_per_s


def test_a_host_that_takes_longest_sets_the_period() -> None:
    """Period = call cost + work of the host, once two are in flight; the convolution hides behind it."""
    plan = compile_network(host_tail(), hardware.load_chip(CORAL))
    tasks = emit(plan).tasks
    host_s = float((tasks.duration + tasks.latency)[tasks.kind == tasks.kinds.index("host")].sum()) * tasks.tick_s
    assert stream(plan, 4).period_s == pytest.approx(host_s, rel=1e-9)
    assert simulate(tasks).makespan_s > 1.1 * host_s


def test_weights_beyond_the_cache_bound_the_throughput_by_the_link() -> None:
    """VGG16 streams its weights at every inference: more in flight does not help."""
    plan = compile_network(load_model("vgg16"), hardware.load_chip(CORAL))
    latency_s = simulate(emit(plan).tasks).makespan_s
    assert latency_s / stream(plan, 4).period_s < 1.02


def test_throughput_is_measured_between_completions() -> None:
    """The first inference takes its whole latency, the others one period each."""
    ran = stream(compile_network(load_model("mobilenet_v2"), hardware.load_chip(CORAL)), 2)
    gaps_s = np.diff(ran.completion_s)
    assert ran.completion_s[0] > ran.period_s
    assert gaps_s[-3] == pytest.approx(ran.period_s, rel=1e-6)
    assert len(ran.completion_s) / ran.completion_s[-1] < 1 / ran.period_s


def test_a_network_of_one_tile_streams() -> None:
    """The last tile of one inference is the first of the next but one's neighbour."""
    plan = compile_network(with_dtype(one_conv(channels=4, outputs=4, size=4), "int8"), generic())
    assert len(plan.tiles) == 1
    check_stream(plan, 3)
    check_throughput(plan)


def test_the_service_time_of_a_ring_of_servers_has_the_period() -> None:
    result = npu.run(branches(), chip=CORAL, queue_depth=2)
    service = result.service_time()
    assert service.period_s == pytest.approx(1 / result.throughput_per_s)
    assert service.period_s < service.latency_s


@pytest.mark.parametrize("queue_depth", [0, 65])
def test_the_queue_depth_has_limits(queue_depth: int) -> None:
    with pytest.raises(InputError, match="queue_depth: .* in flight; 1 to 64"):
        npu.run(branches(), chip=CORAL, queue_depth=queue_depth)
