from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from armillary import hardware
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity
from armillary.npu import Plan, compile_network, emit
from armillary.npu.repeat import repeat
from armillary.timeline import Timeline
from armillary.workload import Graph, load_model, with_dtype
from tests.npu.networks import chips, generic, graphs
from tests.npu.places import check_addresses
from tests.npu.test_stream import large_ends, link_only


def sized(name: str, scale: float) -> Chip:
    """The catalogue's chip with a scratchpad `scale` times as large, its cache cut to it."""
    chip = hardware.load_chip(name)
    size = Quantity(float(int(chip.scratchpad.size.value * scale)))
    changes: dict[str, object] = {"scratchpad": chip.scratchpad.model_copy(update={"size": size})}
    if chip.parameter_cache is not None and chip.parameter_cache.size.value > size.value:
        changes["parameter_cache"] = chip.parameter_cache.model_copy(update={"size": size})
    return chip.model_copy(update=changes)


def check_plan(plan: Plan) -> None:
    """Play the plan: its addresses hold."""
    program = emit(plan)
    check_addresses(plan, program, Timeline.from_trace(simulate(program.tasks)))


def compiled(graph: Graph, chip: Chip) -> Plan | None:
    try:
        return compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return None


@settings(max_examples=40, deadline=None)
@given(graphs(), chips())
def test_what_lives_at_the_same_time_lies_apart(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_plan(plan)
        check_plan(repeat(plan, 2, 1))
        check_plan(repeat(plan, 7, 3))


@pytest.mark.nightly
@settings(max_examples=500, deadline=None)
@given(graphs(), chips())
def test_what_lives_at_the_same_time_lies_apart_at_length(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        for depth in (1, 2, 4):
            check_plan(repeat(plan, 3 * depth, depth))


CASES = [
    ("mobilenet_v2", "coral-edge-tpu-usb", 1.0, (1, 2, 4)),
    ("mobilenet_v2", "intel-npu-2.7", 0.25, (1, 2, 4)),
    ("resnet50", "generic-array-16x16", 0.25, (1,)),
    ("densenet121", "coral-edge-tpu-usb", 0.5, (1, 3)),
    ("unet", "coral-edge-tpu-usb", 1.0, (1, 2)),
    ("unet", "intel-npu-2.7", 0.125, (1, 2)),  # with fences
    ("squeezenet", "tpu-v1", 0.05, (1, 2, 4)),
    ("bert_base", "intel-npu-2.7", 1.0, (1, 2)),
]


@pytest.mark.parametrize(("model", "name", "scale", "depths"), CASES)
def test_addresses_of_networks(model: str, name: str, scale: float, depths: tuple[int, ...]) -> None:
    plan = compile_network(load_model(model, dtype="int8"), sized(name, scale))
    for depth in depths:
        check_plan(repeat(plan, depth, depth))


@pytest.mark.nightly
@pytest.mark.parametrize("name", hardware.chip_names())
def test_addresses_of_many_networks(name: str) -> None:
    for model in ("mobilenet_v3_large", "inception_v1", "resnet18", "densenet121", "unet", "bert_base"):
        for scale in (1.0, 0.5, 0.25):
            try:
                plan = compile_network(load_model(model, dtype="int8"), sized(name, scale))
            except InfeasibleError:
                continue
            for depth in (1, 2, 4):
                check_plan(repeat(plan, depth, depth))


@pytest.mark.parametrize(("network", "size"), [("squeezenet", "160 KiB"), ("mobilenet_v2", "192 KiB")])
def test_a_tensor_without_a_hole_moves_and_says_why(network: str, size: str) -> None:
    """A spill is an extra pair of transfers: its writer stores the tensor, which no longer stays."""
    chip = generic(("size: 512 KiB", f"size: {size}\n  alignment: 2048"))
    plan = compile_network(load_model(network, dtype="int8"), chip)
    residency, spills = plan.residency, plan.allocation.spills
    assert spills
    for spill in spills:
        index = residency.names.index(spill.tensor)
        assert not residency.resident[index]
        assert spill.bytes == residency.bytes[index]
        assert "largest hole" in spill.why
        writer = int(residency.first[index])
        assert plan.tiling.store_bytes[writer] >= spill.bytes
    check_plan(plan)


def test_aligned_buffers_begin_on_multiples() -> None:
    chip = generic(("size: 512 KiB", "size: 512 KiB\n  alignment: 4096"))
    plan = compile_network(load_model("mobilenet_v2", dtype="int8"), chip)
    assert np.all(plan.allocation.address % 4096 == 0)
    assert np.any(plan.allocation.buffers.bytes % 4096)
    check_plan(plan)
    check_plan(repeat(plan, 4, 2))


def test_inferences_with_no_common_room_have_the_same_addresses() -> None:
    """With a gap between inferences, every one has the addresses of the first."""
    roomy = compile_network(large_ends(), link_only())
    tight = replace(roomy, chip=link_only(f"{roomy.allocation.peak_bytes} B"))
    whole = repeat(tight, 4, 2)
    assert whole.gap > 0
    check_plan(whole)
    tensors = len(tight.residency.names)
    assert np.array_equal(whole.allocation.users.tensors, np.tile(tight.allocation.users.tensors[:tensors], 4))


@pytest.mark.parametrize("alignment", ["0", "-1", "1 MiB", "200000"])
def test_impossible_alignments_are_refused(alignment: str) -> None:
    with pytest.raises(InputError, match="alignment"):
        generic(("size: 512 KiB", f"size: 512 KiB\n  alignment: {alignment}"))
