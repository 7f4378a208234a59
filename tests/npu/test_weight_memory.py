"""Weights that lie in a memory of their own: where their bytes go, when they wait, and that nothing blocks."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from armillary import npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError
from armillary.hardware import Chip
from armillary.npu.compile import compile_network
from armillary.npu.emit import emit
from armillary.npu.queues import WEIGHT_BUFFER
from armillary.npu.stream import stream
from armillary.timeline import Timeline
from armillary.workload import Graph, with_dtype
from armillary.workload.builder import Network
from tests.npu.networks import generic, graphs, one_conv

BUFFER = 32 * 1024


def apart(rate: str = "1 GB/s", **fields: str) -> Chip:
    """The generic array with its weights in a memory of their own."""
    lines = "".join(f"  {name}: {value}\n" for name, value in fields.items())
    return generic(("host:\n", f"weight_memory:\n  rate: {rate}\n{lines}\nhost:\n"))


def test_weights_and_activations_take_different_roads() -> None:
    together, alone = (npu.run("mobilenet_v2", chip=chip) for chip in (generic(), apart()))
    assert alone.weight_memory_bytes == alone.parameter_bytes
    assert together.weight_memory_bytes == 0
    assert alone.dram_bytes < together.dram_bytes - 0.8 * alone.parameter_bytes


def test_encoded_weights_move_fewer_bytes() -> None:
    plain, encoded = (npu.run("mobilenet_v2", chip=apart(compression=share)) for share in ("1.0", "0.5"))
    assert encoded.weight_memory_bytes == pytest.approx(plain.weight_memory_bytes / 2, rel=1e-3)
    assert encoded.latency_s <= plain.latency_s


def test_a_slow_weight_memory_bounds_a_network_and_the_remedy_helps() -> None:
    """Its bytes over its rate are a lower bound of the latency."""
    result = npu.run(one_conv(channels=256, outputs=256, size=4), chip=apart("10 MB/s"))
    assert result.bounds[0].what == "weight memory"
    assert result.latency_s >= result.weight_memory_bytes / 10e6
    assert {layer.bound for layer in result.layers} == {"weight memory"}


@pytest.mark.parametrize("streams", ["true", "false"])
def test_a_layer_lasts_as_long_as_its_weights_or_its_products(streams: str) -> None:
    """Streamed weights arrive while the array computes: the time is the larger of the two, not their sum."""
    graph = one_conv(channels=64, outputs=64, size=14)
    fast, slow = (npu.run(graph, chip=apart(rate, streams=streams)) for rate in ("4 GB/s", "20 MB/s"))
    fetch_s = slow.weight_memory_bytes / 20e6
    assert fetch_s <= slow.latency_s <= fast.latency_s + fetch_s


def test_weights_run_ahead_only_as_far_as_their_buffer_has_room() -> None:
    plan = compile_network(with_dtype(one_conv(channels=256, outputs=256, size=7), "int8"), apart(buffer="32 KiB"))
    timeline = Timeline.from_trace(simulate(emit(plan).tasks))
    in_use = timeline.in_use(WEIGHT_BUFFER)
    assert BUFFER / 2 < in_use.peak <= BUFFER


def test_weights_that_fit_no_buffer_are_refused_or_split() -> None:
    """A tile of one output channel is cut over its input channels until its weights fit twice."""
    plan = compile_network(with_dtype(one_conv(channels=512, outputs=16, size=4), "int8"), apart(buffer="4 KiB"))
    assert int(plan.tiling.parts.max()) > 1
    with pytest.raises(InfeasibleError, match="does not fit"):
        compile_network(with_dtype(one_conv(channels=4, outputs=4, size=4, kernel=3), "int8"), apart(buffer="8 B"))


@pytest.mark.parametrize(("barriers", "prefetch"), [(2, 64), (8, 3), (64, 1)])
@pytest.mark.parametrize(("buffer", "scratchpad"), [("8 KiB", "64 KiB"), ("32 KiB", "64 KiB"), ("32 KiB", "512 KiB")])
def test_weights_that_wait_for_room_hold_up_nothing_that_makes_room(
    barriers: int, prefetch: int, buffer: str, scratchpad: str
) -> None:
    """They stood first at the barriers, or early in the program, and what would have freed their buffer behind them."""
    chip = generic(
        ("layer_cost: ", f"barriers: {barriers}\n  prefetch: {prefetch}\n  layer_cost: "),
        ("size: 512 KiB", f"size: {scratchpad}"),
        ("host:\n", f"weight_memory:\n  rate: 1 GB/s\n  buffer: {buffer}\n\nhost:\n"),
    )
    net = Network("three")
    x = net.input("image", (1, 64, 28, 28)).conv_bn("first", 64, 1)
    plan = compile_network(with_dtype(net.graph(x.conv_bn("second", 96, 3).conv_bn("third", 96, 3)), "int8"), chip)
    assert simulate(emit(plan).tasks).makespan_s > 0


@st.composite
def chips_apart(draw: st.DrawFn) -> Chip:
    """Chips with a weight memory: streamed or not, with and without a buffer, keeping activations or not."""
    fields = {"streams": draw(st.sampled_from(["true", "false"])), "latency": "1 us"}
    if draw(st.booleans()):
        fields["buffer"] = draw(st.sampled_from(["6 KiB", "200 KiB"]))
    chip = apart(draw(st.sampled_from(["20 MB/s", "4 GB/s"])), **fields)
    pad = chip.scratchpad.model_copy(update={"keeps_activations": draw(st.booleans())})
    return chip.model_copy(update={"scratchpad": pad})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graphs(), chips_apart())
def test_every_network_ends_and_reads_every_weight(graph: Graph, chip: Chip) -> None:
    """No deadlock, alone or in a stream; all weights of layers on the chip pass at least once."""
    plan = compile_network(with_dtype(graph, "int8"), chip)
    result = npu.run(graph, chip=chip)
    assert result.weight_memory_bytes >= int(plan.tiling.stream_bytes.sum())
    if not chip.scratchpad.keeps_activations:
        assert not plan.residency.resident.any()
    assert stream(plan, 2).period_s > 0
