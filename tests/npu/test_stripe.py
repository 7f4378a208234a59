from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from armillary import hardware, npu
from armillary.engine.simulate import simulate
from armillary.errors import InfeasibleError
from armillary.hardware import Chip
from armillary.hardware.quantity import Quantity
from armillary.npu import NpuResult, Plan, compile_network, emit
from armillary.npu.chains import inside, links, trace
from armillary.npu.fuse import Layer, fuse
from armillary.npu.queues import SCRATCHPAD
from armillary.npu.repeat import repeat
from armillary.npu.rows import input_ranges, reach, stripe_window
from armillary.timeline import Timeline
from armillary.workload import Graph, Operator, OpKind, Tensor, Window, load_model, with_dtype
from armillary.workload.builder import Network
from tests.npu.networks import chips, generic, graphs

CORAL = "coral-edge-tpu-usb"
KIB = 1024


def sized(name: str, kib: int) -> Chip:
    """The catalogue's chip `name` with another scratchpad."""
    chip = hardware.load_chip(name)
    pad = chip.scratchpad.model_copy(update={"size": Quantity(float(kib * KIB))})
    return chip.model_copy(update={"scratchpad": pad})


def int8(graph: Graph) -> Graph:
    return with_dtype(graph, "int8")


def windowed(kind: OpKind, window: Window, rows: int) -> tuple[Layer, Graph]:
    """A layer with `window` over `rows` rows, and its graph."""
    if kind is OpKind.CONV_TRANSPOSE:
        out = (rows - 1) * window.stride[0] + reach(window) - window.pads[0] - window.pads[2]
    else:
        out = (rows + window.pads[0] + window.pads[2] - reach(window)) // window.stride[0] + 1
    tensors = {
        "x": Tensor("x", (1, 4, rows, 5), "int8"),
        "w": Tensor("w", (4, 4, window.kernel[0], 1), "int8", constant=True),
        "y": Tensor("y", (1, 4, out, 5), "int8"),
    }
    op = Operator("layer", kind, ("x",) if kind is OpKind.MAX_POOL else ("x", "w"), ("y",), window)
    graph = Graph("one", tensors, (op,), ("x",), ("y",))
    return Layer(op, ("x",), ("x",), op.inputs[1:], ("y",)), graph


def rows_read(kind: OpKind, window: Window, rows: int, low: int, high: int) -> set[int]:
    """Input rows that output rows [low, high) read, tap by tap."""
    pad, stride = window.pads[0], window.stride[0]
    taps = [tap * window.dilation[0] for tap in range(window.kernel[0])]
    if kind is OpKind.CONV_TRANSPOSE:
        return {row for row in range(rows) for tap in taps if low <= row * stride - pad + tap < high}
    return {row * stride - pad + tap for row in range(low, high) for tap in taps} & set(range(rows))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    kernel, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    most = (kernel - 1) * dilation
    pads = draw(st.integers(0, most)), draw(st.integers(0, most))
    return Window((kernel, 1), (draw(st.integers(1, 3)), 1), (pads[0], 0, pads[1], 0), (dilation, 1))


@settings(max_examples=200, deadline=None)
@given(windows(), st.sampled_from([OpKind.CONV, OpKind.MAX_POOL, OpKind.CONV_TRANSPOSE]), st.data())
def test_a_stripe_reads_from_the_first_to_the_last_row_that_its_window_touches(
    window: Window, kind: OpKind, data: st.DataObject
) -> None:
    """Against an oracle that goes through every output row and every tap: exact where the window has no gaps."""
    rows = data.draw(st.integers(reach(window) + 1, 24))
    layer, graph = windowed(kind, window, rows)
    height = graph.tensors["y"].shape[2]
    low = data.draw(st.integers(0, height - 1))
    high = data.draw(st.integers(low + 1, height))
    start, end = (int(each[0]) for each in input_ranges(layer, graph, np.array([low]), np.array([high])))
    read = rows_read(kind, window, rows, low, high)
    if read:
        # Between the taps of a dilated window lie rows that it covers and does not read.
        between = (window.dilation[0] - 1) * (1 if kind is not OpKind.CONV_TRANSPOSE else window.kernel[0])
        assert min(read) - between <= start <= min(read)
        assert max(read) + 1 <= end <= max(read) + 1 + between
    assert 0 <= start < end <= rows
    cut = stripe_window(layer, graph, (low, high), (start, end))
    assert cut is not None
    pads = cut.pads[0] + cut.pads[2]
    if read and kind is not OpKind.CONV_TRANSPOSE:
        assert (end - start + pads - reach(window)) // window.stride[0] + 1 == high - low
    # Whole, it is the layer as it was, but for pads and rows that no tap falls on.
    assert replace(cut, pads=window.pads) == window


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(2, 6))
def test_stripes_cover_every_row_and_hand_on_what_the_next_layer_needs(graph: Graph, stripes: int) -> None:
    """Of any layers that can be cut: outputs once, all rows of the rest at least once, every row read was written."""
    linked = links(fuse(int8(graph), generic()))
    count = len(linked.network.layers)
    for first in range(count - 1):
        last = first
        while last < count and linked.reads[last] is not None and linked.height(last) >= stripes:
            last += 1
        if last - first < 2:
            continue
        traced = trace(linked, first, last - 1, (stripes,))
        if traced is None:
            continue
        for index in range(first, last):
            low, high = traced.out[index - first]
            assert low[0] == 0
            assert high[-1] == linked.height(index)
            assert np.all(low < high)
            assert np.all(low[1:] <= high[:-1])  # no row between two stripes is left out
            stored = traced.stored[index - first]
            if stored is None:
                assert inside(linked, linked.output(index), first, last - 1)
            else:
                assert np.array_equal(stored[0], [0, *stored[1][:-1]])
                assert stored[1][-1] == linked.height(index)
                assert np.all((low <= stored[0]) & (stored[1] <= high))
            for read, (row_from, row_to) in zip(linked.reads[index] or (), traced.data[index - first], strict=True):
                for leaf in read.leaves:
                    writer = linked.writer.get(leaf, -1)
                    if writer >= first:
                        written_from, written_to = traced.out[writer - first]
                        assert np.all((written_from <= row_from) & (row_to <= written_to))
                        assert traced.until[writer - first] >= index


@st.composite
def tall_graphs(draw: st.DrawFn) -> Graph:
    """Random networks over maps that are larger than the scratchpads of `chips`: most of them hold a chain."""
    net = Network("tall")
    rows, channels = draw(st.sampled_from([48, 96])), draw(st.sampled_from([8, 16]))
    x = net.input("image", (1, channels, rows, 64))
    maps = [x]
    for number in range(draw(st.integers(2, 6))):
        x = maps[-1] if draw(st.booleans()) else draw(st.sampled_from(maps[-2:]))
        match draw(st.sampled_from(["conv", "strided", "depthwise", "pool", "residual", "concat", "gate"])):
            case "strided" if x.shape[2] >= 24:
                x = x.conv_bn(f"strided{number}", channels, 3, stride=2)
            case "depthwise":
                x = x.conv_bn(f"depthwise{number}", x.channels, 5, groups=x.channels)
            case "pool" if x.shape[2] >= 24:
                x = x.max_pool(f"pool{number}", 3, stride=2)
            case "residual":
                x = x.add(f"add{number}", x.conv_bn(f"inner{number}", x.channels, 3))
            case "concat":
                x = x.concat(f"concat{number}", x.conv_bn(f"other{number}", 8, 3))
            case "gate":
                x = x.mul(f"scale{number}", x.global_pool(f"mean{number}").conv(f"gate{number}", x.channels, 1))
            case _:
                x = x.conv_bn(f"conv{number}", draw(st.sampled_from([8, 24])), draw(st.sampled_from([1, 3, 5])))
        maps.append(x)
    return int8(net.graph(maps[-1]))


@settings(max_examples=30, deadline=None)
@given(tall_graphs(), chips())
def test_chains_of_random_networks_conserve_products_and_fit(graph: Graph, chip: Chip) -> None:
    conserve(graph, chip)


@pytest.mark.nightly
@settings(max_examples=500, deadline=None)
@given(tall_graphs(), chips())
def test_chains_of_many_random_networks_conserve_products_and_fit(graph: Graph, chip: Chip) -> None:
    conserve(graph, chip)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(tall_graphs(), chips())
def test_a_chain_that_is_taken_saves_time_and_bytes_when_it_is_played(graph: Graph, chip: Chip) -> None:
    """The price is a model; the timeline is what counts: latency and bytes never rise, inferences are whole."""
    try:
        plan = compile_network(graph, chip)
    except InfeasibleError:
        return
    if any(chain.taken for chain in plan.striping.chains):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("armillary.npu.compile.stripe", lambda plan: ())
            whole = compile_network(graph, chip)
        before, after = check(whole, graph), check(plan, graph)
        assert after.makespan_s <= before.makespan_s
        assert after.bytes.sum() < before.bytes.sum()


def conserve(graph: Graph, chip: Chip) -> None:
    try:
        plan = compile_network(graph, chip)
    except InfeasibleError:
        return
    check(plan, graph)


@settings(max_examples=40, deadline=None)
@given(graphs(), chips())
def test_stripes_conserve_products_read_what_was_written_and_fit(graph: Graph, chip: Chip) -> None:
    """MACs less those of halos = MACs of the network; readers come after writers; the pool holds all leases at once."""
    conserve(int8(graph), chip)


def check(plan: Plan, graph: Graph) -> Timeline:
    """Play `plan` and check what holds of every striped plan."""
    assert plan.macs == graph.macs
    assert plan.halo_macs >= 0
    on_chip = plan.first_tile >= 0
    assert plan.tiles.macs.sum() == plan.shapes.macs[on_chip].sum()
    tensors = plan.network.graph.tensors
    written = set(plan.network.inputs)
    for layer in plan.network.layers:
        assert set(layer.sources) <= written
        for name, size in zip(layer.sources, layer.source_bytes, strict=bool(layer.source_bytes)):
            assert 0 < size <= tensors[name].bytes
        if layer.source_bytes and not any(tensors[name].shape[2] == 1 for name in layer.reads):
            assert sum(layer.source_bytes) == sum(tensors[name].bytes for name in layer.reads)
        assert not set(layer.outputs) & written
        written |= set(layer.outputs)
    assert set(plan.network.outputs) <= written
    return fits(plan)


def fits(plan: Plan) -> Timeline:
    """Play `plan`: its leases fit the scratchpad, with an endless one every task starts at the same tick."""
    tasks = emit(plan).tasks
    trace = simulate(tasks)
    timeline = Timeline.from_trace(trace)
    assert plan.caching.bytes + timeline.in_use(SCRATCHPAD).peak <= int(plan.chip.scratchpad.size.value)
    units = tasks.resources.units.copy()
    units[tasks.resources.index(SCRATCHPAD)] = 2**50
    endless = simulate(replace(tasks, resources=replace(tasks.resources, units=units)))
    assert np.array_equal(trace.start, endless.start)
    return timeline


CASES = [
    ("mobilenet_v2", 448, "generic-array-16x16", 512),
    ("deeplab_v3_mobilenet_v2", None, "generic-array-16x16", 1024),
    ("resnet50", 512, "intel-npu-2.7", 3872),
    ("vgg16", None, "intel-npu-2.7", 1936),
    ("unet", None, "intel-npu-2.7", 1936),
]


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[NpuResult, NpuResult]]:
    """Every case with all layers whole, and as it is compiled."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for model, resolution, name, kib in CASES:
            graph, chip = load_model(model, dtype="int8", resolution=resolution), sized(name, kib)
            striped = npu.run(graph, chip=chip)
            patch.setattr("armillary.npu.compile.stripe", lambda plan: ())
            found[model] = npu.run(graph, chip=chip), striped
            patch.undo()
    return found


@pytest.mark.parametrize("model", [case[0] for case in CASES])
def test_stripes_move_fewer_bytes_in_less_time(model: str, pairs: dict[str, tuple[NpuResult, NpuResult]]) -> None:
    whole, striped = pairs[model]
    assert striped.dram_bytes < 0.97 * whole.dram_bytes
    assert striped.latency_s < 0.99 * whole.latency_s
    assert striped.energy_j < whole.energy_j
    assert striped.macs == whole.macs


@pytest.mark.parametrize("model", [case[0] for case in CASES])
def test_the_stripes_of_a_layer_are_one_row_of_the_report(
    model: str, pairs: dict[str, tuple[NpuResult, NpuResult]]
) -> None:
    """Same names, products, engines and tensors as whole layers; bytes and times of all rows are those of the run."""
    whole, striped = pairs[model]
    for row, before in zip(striped.layers, whole.layers, strict=True):
        same = ("name", "op", "engine", "macs", "tensor_bytes", "fused")
        assert [getattr(row, name) for name in same] == [getattr(before, name) for name in same]
        assert 0 <= row.start_s < row.end_s <= striped.latency_s
    assert sum(row.bytes for row in striped.layers) == striped.dram_bytes
    assert sum(row.macs for row in striped.layers) == striped.macs


@pytest.mark.parametrize("model", ["mobilenet_v2", "resnet50", "vgg16"])
def test_networks_whose_activations_stay_are_not_looked_at(model: str) -> None:
    plan = compile_network(load_model(model), hardware.load_chip(CORAL))
    assert plan.striping.chains == ()
    assert plan.striping.network is plan.striping.whole


def tall(*, kernel: int = 3, rows: int = 128, channels: int = 16, depth: int = 2) -> Graph:
    """Convolutions over a map of `rows` x 64, one after the other."""
    net = Network("tall")
    x = net.input("image", (1, channels, rows, 64))
    for number in range(depth):
        x = x.conv_bn(f"conv{number}", channels, kernel)
    return int8(net.graph(x))


def fast_array(kib: int, rate: str = "4 GB/s") -> Chip:
    """The generic chip with an array that never waits, so that bytes decide."""
    return generic(
        ("size: 512 KiB", f"size: {kib} KiB"),
        ("macs_per_cycle: {int8: 256, fp16: 128}\n  d", "macs_per_cycle: {int8: 4096, fp16: 2048}\n  d"),
        ("rate: 4 GB/s", f"rate: {rate}"),
    )


def verdicts(graph: Graph, chip: Chip) -> list[str]:
    table = npu.passes(graph, "stripe", chip=chip)
    return [str(row[table.columns.index("verdict")]) for row in table.rows]


def test_a_pair_of_convolutions_is_cut_and_its_halo_is_exact() -> None:
    """s stripes of the second layer make the first one do 2 (s - 1) rows twice: one above and one below each cut."""
    graph, chip = tall(), fast_array(128)
    plan = compile_network(graph, chip)
    (chain,) = plan.striping.chains
    assert chain.taken
    twice = 2 * (chain.stripes - 1)
    assert plan.halo_macs == twice * 64 * 16 * 16 * 9
    assert chain.halo == pytest.approx(twice / (2 * 128))
    # Input rows are read twice at every cut, two above and two below; nothing between the layers moves.
    row = 64 * 16
    assert plan.residency.load_bytes.sum() == (128 + 4 * (chain.stripes - 1)) * row
    assert plan.residency.store_bytes.sum() == 128 * row
    check(plan, graph)


def test_weights_are_loaded_once_where_they_fit_beside_the_stripes() -> None:
    plan = compile_network(tall(), fast_array(128))
    assert plan.keeping.keeps.sum() == 2
    assert plan.tiles.weight_bytes.sum() == plan.whole.weight_bytes.sum()
    first, last = plan.striping.whole_place, plan.keeping.until
    assert all(plan.striping.origin[last[at]] == plan.striping.origin[at] for at in first.tolist())
    assert plan.keeping.found.sum() == len(plan.network.layers) - 2


def test_cached_weights_count_once_for_all_stripes() -> None:
    """With a parameter cache for exactly the weights of both layers, nothing of them is streamed."""
    chip = fast_array(136)
    size = int(compile_network(tall(), chip).whole.weight_bytes.sum())
    part = hardware.load_chip(CORAL).parameter_cache
    assert part is not None
    cached = chip.model_copy(update={"parameter_cache": part.model_copy(update={"size": Quantity(float(size))})})
    plan = compile_network(tall(), cached)
    assert any(chain.taken for chain in plan.striping.chains)
    assert plan.caching.bytes == size
    assert plan.caching.cached.all()
    assert plan.tiles.weight_bytes.sum() == 0


@pytest.mark.parametrize(
    ("graph", "chip", "why"),
    [
        (tall(), fast_array(128, "400 GB/s"), "computation takes all of its time, there is nothing to save"),
        (tall(), fast_array(24), r"the smallest stripes lack \d+ bytes of scratchpad"),
        (tall(kernel=15, rows=24, channels=64), fast_array(160), r"two stripes repeat \d+% of the work"),
    ],
)
def test_a_chain_is_refused_with_the_reason(graph: Graph, chip: Chip, why: str) -> None:
    found = verdicts(graph, chip)
    assert found
    for verdict in found:
        assert re.fullmatch(why, verdict)
    assert compile_network(graph, chip).striping.network.layers == compile_network(graph, chip).striping.whole.layers


def test_weights_that_every_stripe_streams_outweigh_small_maps() -> None:
    """The last blocks of ResNet-50: 2 MB of weights over maps of 100 kB."""
    table = npu.passes("resnet50", "stripe", chip=sized("generic-array-16x16", 512))
    verdict = table.columns.index("verdict")
    late = [row[verdict] for row in table.rows if str(row[0]).startswith("stage4")]
    assert late
    assert "taken" not in late
    assert any("outweigh" in str(reason) for reason in late)


def test_rows_that_others_read_are_stored_once_beside_the_stripe() -> None:
    """A map read by the next layer (with halo) and by a later one: stored whole, once; the next layer loads none."""
    net = Network("skip")
    x = net.input("image", (1, 16, 128, 64)).conv_bn("first", 16, 3)
    y = x.conv_bn("second", 16, 3).conv_bn("third", 16, 3)
    far = y.global_pool("mean").conv("gate", 16, 1, bias=True)
    graph = int8(net.graph(x.mul("late", far)))
    plan = compile_network(graph, fast_array(160))
    (first, *_) = plan.striping.chains
    assert first.taken
    assert first.first == 0
    stripes = [layer for layer, whole in zip(plan.network.layers, plan.striping.origin, strict=True) if whole == 0]
    tensors = plan.network.graph.tensors
    stored = [name for layer in stripes for name in layer.outputs if not plan.residency.stays(name)]
    assert sum(tensors[name].shape[2] for name in stored) == 128
    assert all(plan.residency.stays(layer.outputs[0]) for layer in stripes)
    late = next(layer for layer in plan.network.layers if layer.name == "late")
    assert set(stored) <= set(late.sources)
    check(plan, graph)


@pytest.mark.parametrize("queue_depth", [2, 4])
def test_striped_inferences_follow_each_other(queue_depth: int) -> None:
    """Several in flight share the scratchpad, and come at least as fast as one after the other."""
    graph, chip = load_model("mobilenet_v2", dtype="int8"), sized("generic-array-16x16", 512)
    plan = compile_network(graph, chip)
    assert any(chain.taken for chain in plan.striping.chains)
    many = repeat(plan, 3, queue_depth)
    timeline = fits(many)
    alone = npu.run(graph, chip=chip)
    assert many.tiles.macs.sum() == 3 * plan.tiles.macs.sum()
    assert timeline.makespan_s <= 3 * alone.latency_s * (1 + 1e-9)


def test_the_pass_table_shows_prices_and_verdicts() -> None:
    table = npu.passes("mobilenet_v2", "stripe", chip=sized("generic-array-16x16", 512))
    at = {name: index for index, name in enumerate(table.columns)}

    def taken(name: str) -> list[float]:
        return [float(row[at[name]]) for row in table.rows if row[at["verdict"]] == "taken"]

    assert taken("stripes")
    assert all(after < before for after, before in zip(taken("us in stripes"), taken("us whole"), strict=True))
    assert all(0 <= percent < 20 for percent in taken("halo %"))
    saved = [before - after for after, before in zip(taken("bytes in stripes"), taken("bytes whole"), strict=True)]
    assert min(saved) > 0
    assert f"move {sum(saved):.0f} bytes less" in table.title


def test_resizes_and_transposed_convolutions_run_in_stripes() -> None:
    net = Network("decoder")
    x = net.input("image", (1, 16, 32, 64)).conv_transpose("up", 16, 2, stride=2)
    x = x.resize("wide", 128, 128).conv_bn("smooth", 16, 3)
    graph = int8(net.graph(x))
    plan = compile_network(graph, fast_array(128))
    (chain, *_) = plan.striping.chains
    assert (chain.taken, chain.first, chain.last) == (True, 0, 2)
    check(plan, graph)
