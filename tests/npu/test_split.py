from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary import hardware, npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError
from armillary.hardware import Chip, Quantity
from armillary.npu import Plan, compile_network, emit
from armillary.npu.part import one_tile
from armillary.npu.place import Engine
from armillary.npu.queues import ARRAY, SCRATCHPAD, VECTOR
from armillary.npu.split import halo_bytes
from armillary.npu.strategies import Strategy
from armillary.timeline import Timeline
from armillary.workload import Graph, Operator, OpKind, Tensor, Window, load_model, with_dtype
from armillary.workload.builder import Network
from tests.npu.networks import chips, generic, graphs, one_conv
from tests.npu.test_run import check_runs_within_scratchpad, compute_bound
from tests.npu.test_stream import check_stream

INTEL = ("intel-npu-2.0", "intel-npu-2.7", "intel-npu-4.0", "intel-npu-5.0")
NETWORKS = ("mobilenet_v2", "resnet50", "bert_base", "unet", "llama2_7b_decode")


def with_tiles(chip: Chip, tiles: int) -> Chip:
    return chip.model_copy(update={"tiles": tiles})


@st.composite
def tiled_chips(draw: Any) -> Chip:
    chip = with_tiles(draw(chips()), draw(st.integers(2, 6)))
    if draw(st.booleans()):
        rates = {"broadcast_per_cycle": dict.fromkeys(chip.array.macs_per_cycle, 8)}
        chip = chip.model_copy(update={"array": chip.array.model_copy(update=rates)})
    return chip


def compiled(graph: Graph, chip: Chip) -> Plan | None:
    try:
        return compile_network(with_dtype(graph, "int8"), chip)
    except InfeasibleError:
        return None


def per_layer(plan: Plan, values: np.ndarray) -> np.ndarray:
    return np.bincount(plan.tiles.layer, weights=values, minlength=len(plan.shapes))


def check_work_and_traffic(plan: Plan) -> None:
    """Products and outputs exactly once; weights and inputs at least once, and once where a layer is one tile."""
    tiles, tiling, shapes, split = plan.tiles, plan.tiling, plan.shapes, plan.split
    on_chip = plan.first_tile >= 0
    assert np.array_equal(per_layer(plan, tiles.macs), np.where(on_chip, shapes.macs, 0))
    assert plan.pieces.macs.sum() == tiles.macs.sum()
    assert np.array_equal(per_layer(plan, tiles.output_bytes), tiling.store_bytes)
    weights, inputs = per_layer(plan, tiles.weight_bytes), per_layer(plan, tiles.input_bytes)
    assert np.all(weights >= tiling.stream_bytes)
    every_row = shapes.stride == 1
    assert np.all(inputs[every_row] >= tiling.load_bytes[every_row])
    once = on_chip & (tiling.tiles == 1)
    assert np.array_equal(weights[once], tiling.stream_bytes[once])
    # Halo rows come once for each tile that reads them; a share of a view's bytes, each rounded up.
    halo = halo_bytes(shapes, split) * (tiling.load_bytes / np.maximum(1, shapes.in_bytes))
    assert np.all(inputs[once] <= tiling.load_bytes[once] + halo[once] + 2 * split.pieces[once])


def check_choice(plan: Plan) -> None:
    """No layer has a strategy that costs more than another one would, with all others as they are."""
    split = plan.split
    chosen = np.take_along_axis(split.price_s, split.strategy[:, None], axis=1)[:, 0]
    assert np.all(chosen <= split.price_s.min(axis=1) * (1 + 1e-8))
    assert np.all(split.pieces[split.strategy == Strategy.ONE] == 1)
    assert np.all(split.pieces[split.strategy != Strategy.ONE] > 1)
    assert np.all(split.pieces <= plan.chip.tiles)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("chip", INTEL)
def test_networks_are_shared_out_whole(network: str, chip: str) -> None:
    graph = load_model(network, dtype="int8", sequence=32 if "llama" in network else None)
    plan = compile_network(graph, hardware.load_chip(chip))
    check_work_and_traffic(plan)
    check_choice(plan)


@settings(max_examples=40, deadline=None)
@given(graphs(), tiled_chips())
def test_work_is_shared_out_whole(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_work_and_traffic(plan)
        check_choice(plan)


@settings(max_examples=30, deadline=None)
@given(graphs(), tiled_chips())
def test_tiles_of_the_chip_run_to_their_end_within_their_scratchpad(graph: Graph, chip: Chip) -> None:
    """Leases are those of one tile: no more than its part of the scratchpad at any time, and none ever waits."""
    check_tiled_run(graph, chip)


def check_tiled_run(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is None:
        return
    timeline = Timeline.from_trace(simulate(emit(plan).tasks))
    assert timeline.in_use(SCRATCHPAD).peak + plan.caching.bytes <= chip.scratchpad.size.value // chip.tiles
    check_runs_within_scratchpad(graph, chip)


@settings(max_examples=15, deadline=None)
@given(graphs(), tiled_chips())
def test_inferences_in_flight_share_the_tiles(graph: Graph, chip: Chip) -> None:
    plan = compiled(graph, chip)
    if plan is not None:
        check_stream(plan, 3)


@pytest.mark.nightly
@settings(max_examples=1000, deadline=None)
@given(graphs(), tiled_chips())
def test_laws_of_tiles_at_length(graph: Graph, chip: Chip) -> None:
    check_tiled_run(graph, chip)
    plan = compiled(graph, chip)
    if plan is not None:
        check_work_and_traffic(plan)
        check_choice(plan)
        check_stream(plan, 2)


@pytest.mark.parametrize("network", ["mobilenet_v2", "resnet50", "bert_base", "unet"])
@pytest.mark.parametrize("name", ["intel-npu-2.7", "intel-npu-5.0"])
def test_two_tiles_are_never_slower_than_half_of_the_rates(network: str, name: str) -> None:
    """One tile of the two, and the same with the scratchpad of both."""
    pair = with_tiles(hardware.load_chip(name), 2)
    one = one_tile(pair)
    roomy = one.model_copy(update={"scratchpad": pair.scratchpad})
    graph = load_model(network, dtype="int8")
    two_s, one_s, roomy_s = (
        simulate(emit(compile_network(graph, chip)).tasks).makespan_s for chip in (pair, one, roomy)
    )
    assert two_s <= min(one_s, roomy_s)


def tiny_steps(tiles: int) -> Chip:
    """A chip with no cost but that of the array, and room for everything in each of its tiles."""
    chip = with_tiles(compute_bound(), tiles)
    return chip.model_copy(update={"scratchpad": chip.scratchpad.model_copy(update={"size": Quantity(2**25)})})


@pytest.mark.parametrize(
    ("graph", "strategy"),
    [
        (one_conv(channels=64, outputs=64, size=28), Strategy.ROWS),
        (one_conv(channels=64, outputs=64, size=1, kernel=1), Strategy.CHANNELS),
    ],
    ids=["rows", "channels"],
)
def test_what_divides_evenly_takes_half_the_cycles(graph: Graph, strategy: Strategy) -> None:
    """Two equal parts: cycles on the pair = cycles on one of its tiles / 2; so do its time and its products."""
    pair = tiny_steps(2)
    two, one = (compile_network(with_dtype(graph, "int8"), chip) for chip in (pair, one_tile(pair)))
    assert two.split.strategy.tolist() == [strategy]
    assert two.pieces.cycles.tolist() == [one.tiles.cycles.sum() / 2] * 2
    assert two.pieces.macs.tolist() == [one.tiles.macs.sum() // 2] * 2


def test_uneven_rows_leave_the_last_tile_less() -> None:
    """20 rows on 3 tiles: 7, 7 and 6."""
    plan = compile_network(with_dtype(one_conv(size=20), "int8"), tiny_steps(3))
    assert plan.split.strategy.tolist() == [Strategy.ROWS]
    assert plan.pieces.cycles / plan.pieces.cycles[2] == pytest.approx([7 / 6, 7 / 6, 1])


def test_what_cannot_be_divided_runs_on_one_tile() -> None:
    """One row and fewer channels than a granule."""
    graph = with_dtype(one_conv(channels=8, outputs=8, size=1, kernel=1), "int8")
    plan = compile_network(graph, tiny_steps(4))
    assert plan.split.strategy.tolist() == [Strategy.ONE]
    assert plan.pieces.on.tolist() == [0]


def windows(kernel: int, stride: int, pad: int, dilation: int, height: int) -> Graph:
    """A 1 x 1 convolution, and another one with a window behind it."""
    out = (height + 2 * pad - (kernel - 1) * dilation - 1) // stride + 1
    shapes = {"x": (1, 32, height, 8), "a": (1, 32, height, 8), "b": (1, 32, out, 8)}
    tensors = {name: Tensor(name, shape, "int8") for name, shape in shapes.items()}
    tensors |= {f"w{k}": Tensor(f"w{k}", (32, 32, k, 1), "int8", constant=True) for k in {1, kernel}}
    window = Window((kernel, 1), (stride, 1), (pad, 0, pad, 0), (dilation, 1))
    operators = (
        Operator("point", OpKind.CONV, ("x", "w1"), ("a",), Window((1, 1))),
        Operator("window", OpKind.CONV, ("a", f"w{kernel}"), ("b",), window),
    )
    return Graph("windows", tensors, operators, ("x",), ("b",))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(12, 40), st.integers(2, 6)
)
def test_segments_hold_the_rows_that_a_tile_writes_and_reads(
    kernel: int, stride: int, pad: int, dilation: int, height: int, tiles: int
) -> None:
    """Oracle: walk over every output row of every tile and note the input rows under its window."""
    plan = compile_network(windows(kernel, stride, pad, dilation, height), tiny_steps(tiles))
    if "a" not in plan.split.segmented:
        return
    out = int(plan.shapes.rows[1])
    held = 0
    for tile in range(tiles):
        rows = {row for row in range(height) if row // -(-height // tiles) == tile}
        for row in range(out):
            if row // -(-out // tiles) == tile:
                rows |= {row * stride - pad + tap * dilation for tap in range(kernel)}
        rows &= set(range(height))
        held = max(held, max(rows) - min(rows) + 1 if rows else 0)
    assert plan.split.tensor_bytes["a"] == held * 32 * 8


def test_a_neighbour_row_on_either_side_is_the_halo_of_a_3x3_window() -> None:
    """28 rows on 2 tiles: each holds 14 of its own and 1 of its neighbour; on 4 tiles 7 and up to 2."""
    graph = windows(3, 1, 1, 1, 28)
    for tiles, rows in ((2, 15), (4, 9)):
        plan = compile_network(graph, tiny_steps(tiles))
        assert plan.split.tensor_bytes["a"] == rows * 32 * 8
        assert plan.split.segmented == {"a"}


def test_an_activation_is_whole_in_every_tile_if_a_reader_needs_all_rows() -> None:
    """Two convolutions by rows keep it in segments; a global pool beside the second reads all of it."""
    net = Network("pooled")
    x = net.input("image", (1, 64, 32, 32)).conv_bn("first", 64, 1)
    pooled = net.graph(x.conv_bn("second", 64, 1).add("sum", x.global_pool("mean")))
    plan = compile_network(with_dtype(pooled, "int8"), tiny_steps(2))
    first = plan.network.layers[0].outputs[0]
    assert first not in plan.split.segmented
    assert plan.split.tensor_bytes[first] == 64 * 32 * 32


def test_writing_to_every_tile_takes_its_time() -> None:
    """Gemms of one row go by channels, their output to every tile: cycles >= outputs of a part / rate of a tile."""
    net = Network("dense")
    x = net.input("x", (1, 8)).dense("first", 512).dense("second", 512)
    graph = with_dtype(net.graph(x), "int8")
    chip = tiny_steps(2)
    quick = {"granules": chip.array.granules.model_copy(update={"positions": 1})}
    chip = chip.model_copy(update={"array": chip.array.model_copy(update=quick)})
    rates = {"broadcast_per_cycle": {"int8": 1, "fp16": 1}}
    slow = chip.model_copy(update={"array": chip.array.model_copy(update=rates)})
    plan = compile_network(graph, slow)
    assert plan.split.strategy.tolist() == [Strategy.CHANNELS] * 2
    slowed, free = (per_layer(each, each.tiles.cycles) for each in (plan, compile_network(graph, chip)))
    assert slowed[0] == (512 / 2) / (1 / 2) > free[0]
    # The output of the network leaves the chip: it is written once.
    assert slowed[1] == free[1]


def test_every_tile_has_queues_of_its_own() -> None:
    graph = load_model("mobilenet_v3_large", dtype="int8")
    chip = hardware.load_chip("intel-npu-2.7")
    tasks = emit(compile_network(graph, chip)).tasks
    for tile in range(2):
        for engine in (ARRAY, VECTOR):
            at = tasks.resources.index(f"Tile {tile} {engine}")
            assert np.count_nonzero(tasks.demands.index == at) > 0
    assert ARRAY in emit(compile_network(graph, one_tile(chip))).tasks.resources.names


def test_figures_are_unions_over_tiles() -> None:
    """Tiles that work side by side count once: array and vector time lie within the latency."""
    result = npu.run("mobilenet_v2", chip="intel-npu-4.0", queue_depth=2)
    assert 0 < result.kpis["dpu_s"] <= result.latency_s
    assert result.kpis["union_s"] + result.kpis["idle_s"] == pytest.approx(result.latency_s)
    assert result.scratchpad_peak_bytes <= hardware.load_chip("intel-npu-4.0").scratchpad.size.value
    assert sum(bound.time_s for bound in result.bounds) == pytest.approx(result.latency_s, rel=1e-6)
    assert result.throughput_per_s >= 1 / result.latency_s


def test_a_layer_that_does_not_fit_a_tile_is_refused_by_name() -> None:
    chip = with_tiles(generic(("size: 512 KiB", "size: 1 KiB")), 4)
    with pytest.raises(InfeasibleError, match=r"layer 'conv' needs .*, one of the 4 tiles of generic-array-16x16 has "):
        compile_network(with_dtype(one_conv(channels=512, outputs=512, size=64), "int8"), chip)


def test_layers_on_the_host_are_not_divided() -> None:
    plan = compile_network(with_dtype(one_conv(), "fp16"), with_tiles(hardware.load_chip("coral-edge-tpu-usb"), 2))
    assert {placement.engine for placement in plan.placements} == {Engine.HOST}
    assert plan.split.pieces.tolist() == [1]
