from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from armillary import hardware, npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError, InputError
from armillary.hardware import Chip, Quantity
from armillary.npu import NpuResult, compile_network, emit
from armillary.npu.queues import SCRATCHPAD
from armillary.timeline import Timeline
from armillary.validation import Reference, load_references
from armillary.workload import Graph, load_model, with_dtype
from tests.npu.networks import branches, chips, edited, generic, graphs, one_conv, with_unknown_operator

CORAL = "coral-edge-tpu-usb"


@pytest.fixture(scope="module")
def mobilenet() -> NpuResult:
    return npu.run("mobilenet_v2", chip=CORAL)


def check_runs_within_scratchpad(graph: Graph, chip: Chip) -> None:
    """All tasks are done, leases and cached weights stay within the scratchpad, and no lease ever has to wait."""
    try:
        plan = compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return
    tasks = emit(plan).tasks
    trace = simulate(tasks)
    timeline = Timeline.from_trace(trace)
    assert np.all(timeline.end >= 0)
    assert timeline.in_use(SCRATCHPAD).peak + plan.caching.bytes <= chip.scratchpad.size.value
    units = tasks.resources.units.copy()
    units[tasks.resources.index(SCRATCHPAD)] = 2**50
    endless = simulate(replace(tasks, resources=replace(tasks.resources, units=units)))
    assert np.array_equal(trace.start, endless.start)


@settings(max_examples=50, deadline=None)
@given(graphs(), chips())
def test_every_compiled_graph_runs_to_its_end_within_its_scratchpad(graph: Graph, chip: Chip) -> None:
    """No deadlock; with an endless scratchpad every task would start at the same tick: tiling left room for all."""
    check_runs_within_scratchpad(graph, chip)


@pytest.mark.nightly
@settings(max_examples=2000, deadline=None)
@given(graphs(), chips())
def test_every_compiled_graph_runs_to_its_end_at_length(graph: Graph, chip: Chip) -> None:
    check_runs_within_scratchpad(graph, chip)


def test_the_same_input_gives_the_same_digest(mobilenet: NpuResult) -> None:
    assert npu.run("mobilenet_v2", chip=CORAL).digest() == mobilenet.digest()


def test_energy_is_the_integral_of_power_and_the_sum_of_its_parts(mobilenet: NpuResult) -> None:
    """Integral of P dt = energy of events + (idle + leakage) x latency."""
    power = mobilenet.timeline.power(static_w=mobilenet.static_power_w)
    time_s = np.append(power.time_s, mobilenet.latency_s)
    integral_j = float((power.power_w * np.diff(time_s)).sum())
    events_j = mobilenet.timeline.energy_sum_fj() * 1e-15
    assert integral_j == pytest.approx(mobilenet.energy_j, rel=1e-9)
    assert events_j + mobilenet.static_power_w * mobilenet.latency_s == pytest.approx(mobilenet.energy_j, rel=1e-9)
    arrivals_j = mobilenet.timeline.energy_sum_fj(mobilenet.timeline.of_kind("arrival")) * 1e-15
    assert sum(layer.energy_j for layer in mobilenet.layers) + arrivals_j == pytest.approx(events_j, rel=1e-9)


def compute_bound() -> Chip:
    """A generic array with so much memory and bandwidth that every layer is one tile and its time is the array's."""
    return generic(
        ("rate: 4 GB/s", "rate: 4 TB/s"),
        ("latency: 100 ns", "latency: 0 s"),
        ("layer_cost: 1 us", "layer_cost: 0 s"),
        ("size: 512 KiB", "size: 8 MiB"),
    )


def test_energy_of_one_convolution_follows_the_table() -> None:
    """MACs x 0.23 pJ + 2.5 pJ/B of scratchpad + 160 pJ/B of DRAM, for 3 x 3 x 64 x 64 on 28 x 28 in one tile."""
    result = npu.run(one_conv(), chip=compute_bound())
    macs, moved = 28 * 28 * 9 * 64 * 64, 64 * 28 * 28 * 2 + 9 * 64 * 64 + 4 * 64
    on_chip = 28 * 28 * 576 * 4 + 576 * 64 + 28 * 28 * 64  # inputs once for each of 4 passes, weights, outputs
    assert (result.macs, result.dram_bytes) == (macs, moved)
    expected_j = macs * 0.23e-12 + moved * 162.5e-12 + on_chip * 2.5e-12
    assert result.timeline.energy_sum_fj() * 1e-15 == pytest.approx(expected_j, rel=1e-6)


def halved(chip: Chip) -> Chip:
    return chip.model_copy(update={"clock": Quantity(chip.clock.value / 2)})


def test_half_the_clock_doubles_compute_bound_time() -> None:
    chip = compute_bound()
    fast, slow = (npu.run(one_conv(), chip=each).latency_s for each in (chip, halved(chip)))
    assert slow / fast == pytest.approx(2.0, rel=0.01)


def test_racing_and_crawling_have_a_crossover() -> None:
    """Slower and at less voltage saves energy while static power is small, and wastes it when leakage dominates."""
    lean = compute_bound()
    leaky = lean.model_copy(update={"energy": lean.energy.model_copy(update={"leakage": Quantity(5.0)})})
    energy_j = {
        (name, clock_hz): npu.run(one_conv(), chip=hardware.at_clock(chip, clock_hz)).energy_j
        for name, chip in (("lean", lean), ("leaky", leaky))
        for clock_hz in (500e6, 1e9)
    }
    assert energy_j["lean", 500e6] < energy_j["lean", 1e9]
    assert energy_j["leaky", 500e6] > energy_j["leaky", 1e9]


def test_half_the_clock_leaves_link_bound_time() -> None:
    chip = edited(CORAL)
    vgg = npu.run("vgg16", chip=chip)
    assert npu.run("vgg16", chip=halved(chip)).latency_s < 1.15 * vgg.latency_s
    assert vgg.bounds[0].what == "host link"


def test_a_faster_link_never_makes_the_network_slower() -> None:
    slow, fast = (npu.run("squeezenet", chip=f"coral-edge-tpu-{board}").latency_s for board in ("usb2", "usb"))
    assert fast < slow


def test_unions_and_overlaps_obey_their_identities() -> None:
    """|A or B| = |A| + |B| - |A and B|; union + idle = total."""
    kpis = npu.run(branches(), chip="generic-array-16x16").kpis
    timeline = npu.run(branches(), chip="generic-array-16x16").timeline
    dma = timeline.of_kind("weights", "input", "output")
    either_s = timeline.union_s(dma | timeline.of_kind("array"))
    assert either_s == pytest.approx(kpis["dma_s"] + kpis["dpu_s"] - kpis["dma_dpu_overlap_s"], abs=1e-12)
    assert kpis["union_s"] + kpis["idle_s"] == pytest.approx(kpis["total_s"], abs=1e-12)
    assert kpis["dma_dpu_overlap_s"] > 0


def test_latency_is_the_critical_path(mobilenet: NpuResult) -> None:
    assert sum(bound.time_s for bound in mobilenet.bounds) == pytest.approx(mobilenet.latency_s, rel=1e-6)


def test_fallbacks_are_listed_and_cut_the_graph() -> None:
    """Before and after the strange operator its tensors cross the host link."""
    result = npu.run(with_unknown_operator(), chip=CORAL)
    (fallback,) = result.fallbacks
    assert (fallback.name, fallback.op) == ("strange", "unknown")
    assert result.host_link_bytes == 4 * 16 * 8 * 8
    before, strange, after = result.layers
    assert before.end_s <= strange.start_s < strange.end_s <= after.start_s


def test_an_element_type_that_the_chip_lacks_falls_back_and_is_listed() -> None:
    result = npu.run("mobilenet_v2", chip=CORAL, dtype="fp16")
    assert len(result.fallbacks) == len(result.layers)
    assert result.mac_utilisation == 0
    assert not result.trust.inside


def test_bytes_are_at_least_compulsory() -> None:
    """DRAM traffic >= weights + input + output of the network."""
    result = npu.run("squeezenet", chip="generic-array-16x16")
    assert result.dram_bytes >= result.parameter_bytes + 3 * 224 * 224 + 1000


def test_throughput_of_a_batch_is_items_over_latency() -> None:
    single, batch = (npu.run("mobilenet_v2", chip=CORAL, batch=size) for size in (1, 4))
    assert batch.throughput_per_s == pytest.approx(4 / batch.latency_s)
    # Layer costs are paid once a batch.
    assert batch.throughput_per_s > single.throughput_per_s
    assert batch.macs == 4 * single.macs


def test_a_run_folder_reads_back_as_the_same_result(mobilenet: NpuResult, tmp_path: Path) -> None:
    folder = mobilenet.save(tmp_path / "run", report=False)
    assert NpuResult.load(folder).digest() == mobilenet.digest()


def test_the_report_names_the_layers(mobilenet: NpuResult) -> None:
    page = mobilenet.report_html()
    assert "block17/project" in page
    assert "What bounds it" in page


def test_tables_have_a_row_a_layer(mobilenet: NpuResult) -> None:
    frame = mobilenet.frame("layers")
    assert frame.height == len(mobilenet.layers) == 64
    assert frame["macs"].sum() == mobilenet.macs


def test_records_for_other_rings_carry_the_figures(mobilenet: NpuResult) -> None:
    profile, service = mobilenet.activity_profile(), mobilenet.service_time()
    assert profile.mean_power_w == pytest.approx(mobilenet.average_power_w)
    assert service.throughput_per_s == pytest.approx(mobilenet.throughput_per_s)
    assert 0 < profile.link_share < profile.compute_share <= 1


def test_layers_name_the_operators_that_ride_on_them(mobilenet: NpuResult) -> None:
    assert mobilenet.layers[0].fused == ("stem/relu6",)


def test_a_graph_keeps_its_own_shapes() -> None:
    with pytest.raises(InputError, match="leave out shape, resolution, sequence, width and batch"):
        npu.run(one_conv(), chip=CORAL, batch=2)


@pytest.mark.parametrize(
    "reference", [r for r in load_references("npu") if r.calibration and r.chip == CORAL], ids=lambda r: r.name
)
def test_the_fit_holds_on_its_calibration_networks(reference: Reference) -> None:
    """In sample: no evidence of accuracy, but the catalogue carries what the script fitted (at most 10 % each)."""
    result = npu.run(reference.model, chip=reference.chip, resolution=reference.resolution, dtype=reference.dtype)
    assert result.latency_s == pytest.approx(reference.number, rel=0.10)
    assert result.trust.inside


def test_other_boards_say_that_they_were_not_measured() -> None:
    result = npu.run("squeezenet", chip="coral-edge-tpu-usb2")
    assert not result.trust.inside
    assert result.trust.expected_error is None
    assert hardware.load_chip(CORAL).calibration is not None


def test_calibrated_operators_are_those_of_the_calibration_networks() -> None:
    """What the catalogue calls compared with measurements is what the networks of the fit hold, no more and no less."""
    chip = hardware.load_chip(CORAL)
    assert chip.calibration is not None
    kinds = set()
    for row in load_references("npu"):
        if row.calibration and row.chip == chip.name:
            plan = compile_network(load_model(row.model, resolution=row.resolution, dtype=row.dtype), chip)
            kinds |= {str(layer.op.kind) for layer in plan.network.layers}
    assert kinds == set(chip.calibration.operators)


def test_operators_that_were_never_measured_are_outside_the_calibrated_range() -> None:
    """Squeeze-excite blocks multiply maps: no calibration network does, so no error is promised."""
    result = npu.run("mobilenet_v3_large", chip=CORAL)
    assert not result.trust.inside
    assert result.trust.expected_error is None
    assert "mul" in result.trust.improve
