"""Weights that run ahead, transfers over engines that go either way, and the handing over of an inference."""

from __future__ import annotations

import numpy as np
import pytest

from armillary import hardware, npu
from armillary.engine.simulate import simulate
from armillary.hardware import Chip, Quantity
from armillary.npu.compile import compile_network
from armillary.npu.emit import emit
from armillary.npu.queues import SCRATCHPAD
from armillary.npu.repeat import occupied_bytes, repeat
from armillary.npu.transfer import transfer_s
from armillary.timeline import Timeline
from armillary.validation import load_transfer_references
from armillary.workload import load_model

NETWORKS = ("mobilenet_v2", "resnet50", "vgg16")


def chip_of(*, prefetch: int = 64, submit_cost_s: float = 0.0, either_way: bool = True) -> Chip:
    chip = hardware.load_chip("intel-npu-2.7")
    assert chip.dram is not None
    return chip.model_copy(
        update={
            "control": chip.control.model_copy(update={"prefetch": prefetch, "submit_cost": Quantity(submit_cost_s)}),
            "dram": chip.dram.model_copy(update={"either_way": either_way}),
        }
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_what_runs_ahead_fits_the_scratchpad_at_every_time(network: str) -> None:
    chip = chip_of()
    plan = compile_network(load_model(network, dtype="int8"), chip)
    assert plan.ahead.max() > 1
    room = plan.scratchpad_bytes - plan.caching.bytes
    for several in (plan, repeat(plan, 3, 2)):
        timeline = Timeline.from_trace(simulate(emit(several).tasks))
        assert timeline.in_use(SCRATCHPAD).peak <= room
    assert int(occupied_bytes(plan).max()) <= room


@pytest.mark.parametrize("network", NETWORKS)
def test_loads_keep_their_order_and_do_not_reach_into_the_inference_before(network: str) -> None:
    plan = compile_network(load_model(network, dtype="int8"), chip_of())
    loads = np.flatnonzero(plan.tiles.weight_bytes)
    begin = loads - plan.ahead[loads]
    assert (np.diff(begin) >= 0).all()
    assert (begin[loads >= 2] >= 1).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_running_ahead_saves_time_where_weights_bound_a_layer(network: str) -> None:
    ahead, buffered = (npu.run(network, chip=chip_of(prefetch=tiles)).latency_s for tiles in (64, 1))
    assert ahead <= buffered * 1.001
    if network == "resnet50":
        assert ahead < 0.96 * buffered


def test_nothing_runs_ahead_where_the_chip_does_not_say_so() -> None:
    plan = compile_network(load_model("resnet50", dtype="int8"), hardware.load_chip("coral-edge-tpu-usb"))
    assert (plan.ahead == 1).all()


def test_engines_that_go_either_way_share_the_loads() -> None:
    loads = {}
    for either_way in (False, True):
        result = npu.run("resnet50", chip=chip_of(either_way=either_way))
        timeline = result.timeline
        moved = [int(timeline.bytes[timeline.on(f"DMA {engine}")].sum()) for engine in (0, 1)]
        loads[either_way] = min(moved) / sum(moved)
    assert loads[False] < 0.1
    assert loads[True] > 0.3


def test_a_submission_adds_its_time_to_the_latency_alone() -> None:
    """latency = device + submission; with others in flight the device goes on meanwhile."""
    plain, submitted = (
        npu.run("mobilenet_v2", chip=chip_of(submit_cost_s=cost), queue_depth=4) for cost in (0.0, 200e-6)
    )
    assert submitted.latency_s - plain.latency_s == pytest.approx(200e-6, abs=1e-9)
    assert submitted.throughput_per_s == pytest.approx(plain.throughput_per_s, rel=0.02)
    assert {bound.what for bound in submitted.bounds} >= {"driver"}


def test_submissions_bound_the_throughput_where_they_take_longest() -> None:
    """One thread hands over one inference after the other: at most 1 / 2 ms."""
    result = npu.run("mobilenet_v2", chip=chip_of(submit_cost_s=2e-3), queue_depth=4)
    assert result.throughput_per_s == pytest.approx(500, rel=0.01)


def test_single_transfers_take_what_was_measured() -> None:
    for reference in load_transfer_references("npu"):
        found = transfer_s(reference.bytes, hardware.load_chip(reference.chip))
        assert found == pytest.approx(reference.value.value, rel=0.01)


def test_latency_and_throughput_of_npu3720_are_met_within_10_percent() -> None:
    """Calibration rows of one network: in sample. 1.61 ms; 783.3 items/s with four in flight."""
    result = npu.run("resnet50", chip="intel-npu-2.7", queue_depth=4)
    assert result.cost_model == "calibrated"
    assert result.latency_s == pytest.approx(1.61e-3, rel=0.10)
    assert result.throughput_per_s == pytest.approx(783.3, rel=0.10)
