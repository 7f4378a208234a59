"""Compile a network for a chip, play it, and measure.

In:  a network (zoo name, model file or `Graph`) and a chip (catalogue name, YAML file or `Chip`).
Out: `NpuResult`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

from armillary.engine.simulate import simulate
from armillary.errors import InputError
from armillary.hardware import Chip, at_point, load_chip
from armillary.npu import measure
from armillary.npu.compile import compile_network
from armillary.npu.cost_models import CostChoice
from armillary.npu.emit import emit
from armillary.npu.plan import Plan
from armillary.npu.queues import HOST_LINK, SCRATCHPAD, WEIGHT_MEMORY
from armillary.npu.rates import transfer_rate
from armillary.npu.result import NpuResult
from armillary.npu.stream import stream
from armillary.store import content_key, file_digest
from armillary.timeline import RunInfo, Timeline
from armillary.timeline.power import FEMTOJOULE
from armillary.workload import Graph, load_model, with_dtype

MAX_QUEUE_DEPTH = 64


def run(
    model: str | Path | Graph,
    /,
    *,
    chip: str | Path | Chip,
    dtype: str = "int8",
    batch: int = 1,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    resolution: int | None = None,
    sequence: int | None = None,
    width: float = 1.0,
    queue_depth: int = 1,
    clock_mhz: float | None = None,
    voltage: float | None = None,
    cost_model: CostChoice = None,
    seed: int = 0,
) -> NpuResult:
    """Simulate one inference of `model` on `chip`.

    Args:
        model: name of the zoo, model file, or a graph.
        chip: name of the catalogue, YAML file, or a chip.
        dtype: element type that the floating tensors of the network are turned to.
        batch: items of one inference; networks of the zoo only.
        shape: shapes of inputs by name, for the dimensions that a model file leaves open.
        resolution: height and width of the image, pixels; networks of the zoo only.
        sequence: tokens, steps, or cached tokens of a decode; networks of the zoo only.
        width: channel multiplier; networks of the zoo only.
        queue_depth: inferences that may be in flight for the throughput; all other figures are those of one alone.
        clock_mhz: clock, within the chip's operating points; absent: its own, or the fastest that `voltage` allows.
        voltage: volts of the chip; absent: as few as the clock needs.
        cost_model: what prices tiles: "calibrated" (operator laws of the chip; the default where it has them),
            "theoretical" (granules and rates; the default elsewhere), a CSV table of operators, the name of an
            installed model, or a function `(TileBatch, Chip) -> cycles` (see `npu.cost_models`).
        seed: recorded with the result; nothing in this run is random.

    Returns:
        Latency in seconds, energy in joules, traffic in bytes, layers, fallbacks, and how far to trust them.

    Raises:
        InputError: unknown or malformed model, chip or cost model, sizes that do not fit, a queue depth outside of 1 to
            64, or a clock or voltage outside of the chip's operating points.
        InfeasibleError: a layer does not fit the scratchpad; names the tensor and the shortfall.
    """
    started = perf_counter()
    if not 1 <= queue_depth <= MAX_QUEUE_DEPTH:
        raise InputError(f"{queue_depth} inferences in flight", where="queue_depth", hint=f"1 to {MAX_QUEUE_DEPTH}")
    device = device_at(chip, clock_mhz, voltage)
    graph = read_graph(
        model, dtype=dtype, batch=batch, shape=shape, resolution=resolution, sequence=sequence, width=width
    )
    plan = compile_network(graph, device, cost_model)
    program = emit(plan)
    timeline = Timeline.from_trace(simulate(program.tasks))
    layers = measure.layer_figures(plan, program, timeline)
    static_w = device.energy.idle.value + device.energy.leakage.value
    power = timeline.power(static_w=static_w)
    latency_s = timeline.makespan_s
    peak = device.peak_macs_per_s.get(dtype, max(device.peak_macs_per_s.values()))
    items = _items(graph)
    return NpuResult(
        timeline=timeline,
        trust=measure.trust(plan, dtype, items, own_point=clock_mhz is None and voltage is None),
        seed=seed,
        inputs={
            "model": model_identity(model, graph),
            "chip": chip_identity(device),
            **_zoo_sizes(sequence, width),
            **_point(clock_mhz, voltage),
            "cost_model": plan.cost_model.identity,
        },
        run=RunInfo.now(wall_s=perf_counter() - started),
        model=graph.name,
        chip=device.name,
        dtype=dtype,
        batch=items,
        input_shapes={name: graph.tensors[name].shape for name in graph.inputs},
        latency_s=latency_s,
        # Fewer may be in flight than are allowed: one after the other is always possible.
        throughput_per_s=items
        / (latency_s if queue_depth == 1 else min(latency_s, stream(plan, queue_depth).period_s)),
        macs=plan.macs,
        parameter_bytes=_parameter_bytes(plan),
        dram_bytes=measure.bytes_over(timeline, measure.backing_name(device)),
        weight_memory_bytes=measure.bytes_over(timeline, WEIGHT_MEMORY),
        host_link_bytes=measure.bytes_over(timeline, HOST_LINK),
        scratchpad_peak_bytes=device.tiles * (plan.caching.bytes + timeline.in_use(SCRATCHPAD).peak),
        cached_parameter_bytes=plan.cached_bytes,
        mac_utilisation=(int(plan.tiles.macs.sum()) - plan.halo_macs) / (peak * latency_s),
        energy_j=power.energy_fj * FEMTOJOULE,
        average_power_w=power.mean_w,
        peak_power_w=power.peak_w,
        static_power_w=static_w,
        peak_macs_per_s=peak,
        memory_bytes_per_s=transfer_rate(device)[0],
        kpis=measure.statistics(timeline),
        bounds=measure.bounds(plan, program, timeline),
        layers=layers,
        fallbacks=measure.fallbacks(plan, layers),
        queue_depth=queue_depth,
        cost_model=plan.cost_model.name,
        cost_sources=measure.cost_sources(plan),
    )


def read_graph(
    model: str | Path | Graph,
    *,
    dtype: str,
    batch: int = 1,
    shape: Mapping[str, tuple[int, ...]] | None = None,
    resolution: int | None = None,
    sequence: int | None = None,
    width: float = 1.0,
) -> Graph:
    """Return the graph that `run` compiles; arguments and errors as there."""
    if not isinstance(model, Graph):
        return load_model(
            model, shapes=shape, resolution=resolution, sequence=sequence, width=width, batch=batch, dtype=dtype
        )
    if shape or resolution is not None or sequence is not None or width != 1.0 or batch != 1:
        raise InputError(
            f"the graph {model.name!r} has its shapes", hint="leave out shape, resolution, sequence, width and batch"
        )
    return with_dtype(model, dtype)


def device_at(chip: str | Path | Chip, clock_mhz: float | None, voltage: float | None) -> Chip:
    """Return the chip that `run` simulates; arguments and errors as there."""
    device = chip if isinstance(chip, Chip) else load_chip(chip)
    return at_point(device, clock_hz=None if clock_mhz is None else clock_mhz * 1e6, volts=voltage)


def _point(clock_mhz: float | None, voltage: float | None) -> dict[str, str]:
    """Return the operating point, where one was given."""
    given = {"clock_mhz": clock_mhz, "voltage": voltage}
    return {name: repr(value) for name, value in given.items() if value is not None}


def _parameter_bytes(plan: Plan) -> int:
    """Return the bytes of all constants, each once however many layers share it."""
    names = {name for layer in plan.network.layers for name in layer.weights}
    return sum(plan.network.graph.tensors[name].bytes for name in names)


def _zoo_sizes(sequence: int | None, width: float) -> dict[str, str]:
    """Return the sizes that the shapes of inputs do not tell, where they are not the defaults."""
    given = {} if sequence is None else {"sequence": str(sequence)}
    return given if width == 1.0 else given | {"width": repr(width)}


def _items(graph: Graph) -> int:
    """Return the batch: the leading dimension of the first input, 1 where that is a plain vector."""
    first = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    return first[0] if len(first) > 1 else 1


def chip_identity(chip: Chip) -> str:
    """Return a digest of all numbers of `chip`."""
    return content_key(chip.model_dump(mode="json", by_alias=True))


def model_identity(model: str | Path | Graph, graph: Graph) -> str:
    """Return what the input was: the name of the zoo, or a digest of the file or graph."""
    if isinstance(model, Graph):
        return content_key(model.name, [(tensor.name, tensor.shape, tensor.dtype) for tensor in model.tensors.values()])
    path = Path(model)
    return file_digest(path) if path.is_file() else graph.name
