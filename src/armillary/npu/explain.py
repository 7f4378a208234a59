"""What bounds a run, and what a better chip would give: every "what if" is run, none is guessed.

In:  a run folder of `npu run`; the model file and chip file where they were no names of the catalogue.
Out: `Explanation`: what bounds the whole and each layer, and the gain of each variant of the chip.
The run itself is repeated first: a folder that this version does not reproduce is told apart by `recorded_latency_s`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from armillary.errors import ArmillaryError, InputError
from armillary.hardware import Chip, chip_names
from armillary.npu.result import Bound, NpuResult
from armillary.npu.run import chip_identity, device_at, model_identity, read_graph, run
from armillary.npu.variants import variants
from armillary.units import format_quantity
from armillary.workload import Graph

_WORTH_A_ROW = 0.005  # share of the critical path


@dataclass(frozen=True, slots=True)
class LayerBound:
    """What bounds one layer."""

    name: str
    op: str
    engine: str
    bound: str
    time_s: float
    share: float  # of the latency; layers overlap, so shares may add up to more than 1


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The same network on a chip that differs in one respect."""

    what: str
    latency_s: float | None  # None: it did not run
    latency_gain: float | None  # share of the latency saved; negative where it became longer
    throughput_per_s: float | None
    throughput_gain: float | None
    bound: str  # what bounds it then, or why it did not run


@dataclass(frozen=True, slots=True)
class Explanation:
    """Causes of a run and remedies that were tried."""

    model: str
    chip: str
    latency_s: float
    recorded_latency_s: float  # in the run folder; another one than `latency_s` if the version that wrote it differs
    throughput_per_s: float
    queue_depth: int
    bounds: tuple[Bound, ...]
    layers: tuple[LayerBound, ...]
    what_if: tuple[WhatIf, ...]  # the largest gain of latency first

    def to_json(self) -> Mapping[str, object]:
        """Return all figures."""
        return asdict(self)

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal: the run, what bounds it, what would help most."""
        rows = [
            ("network", f"{self.model} on {self.chip}"),
            ("latency", format_quantity(self.latency_s, "s")),
            ("throughput", f"{self.throughput_per_s:.4g} items/s with {self.queue_depth} in flight"),
        ]
        if self.latency_s != self.recorded_latency_s:
            recorded = format_quantity(self.recorded_latency_s, "s")
            rows.append(("note", f"the folder says {recorded}: another version wrote it"))
        shown = [bound for bound in self.bounds if bound.share >= _WORTH_A_ROW]
        rows += [("bound by", f"{bound.what}, {bound.share:.0%} of the time") for bound in shown]
        return rows


def explain(
    folder: str | Path, /, *, model: str | Path | Graph | None = None, chip: str | Path | Chip | None = None
) -> Explanation:
    """Explain the run in `folder`.

    Args:
        folder: what `npu run --out` or `NpuResult.save` wrote.
        model: the model file or graph of the run, where it was no network of the catalogue.
        chip: the chip file of the run, where it was no chip of the catalogue.

    Raises:
        InputError: no such run, or a model or chip that is not the one of the run.
    """
    recorded = NpuResult.load(Path(folder))
    device = _chip_of(recorded, chip)
    graph = _graph_of(recorded, model)
    base = run(graph, chip=device, dtype=recorded.dtype, queue_depth=recorded.queue_depth)
    tried = [_what_if(variant.what, variant.chip, graph, base) for variant in variants(device)]
    return Explanation(
        model=recorded.model,
        chip=device.name,
        latency_s=base.latency_s,
        recorded_latency_s=recorded.latency_s,
        throughput_per_s=base.throughput_per_s,
        queue_depth=base.queue_depth,
        bounds=base.bounds,
        layers=tuple(
            LayerBound(
                layer.name,
                layer.op,
                layer.engine,
                layer.bound,
                layer.end_s - layer.start_s,
                (layer.end_s - layer.start_s) / base.latency_s,
            )
            for layer in base.layers
        ),
        what_if=tuple(sorted(tried, key=lambda row: -(row.latency_gain if row.latency_gain is not None else -1e9))),
    )


def _what_if(what: str, chip: Chip, graph: Graph, base: NpuResult) -> WhatIf:
    try:
        result = run(graph, chip=chip, dtype=base.dtype, queue_depth=base.queue_depth)
    except ArmillaryError as error:
        if error.exit_code == 1:
            raise
        return WhatIf(what, None, None, None, None, str(error))
    return WhatIf(
        what,
        result.latency_s,
        1.0 - result.latency_s / base.latency_s,
        result.throughput_per_s,
        result.throughput_per_s / base.throughput_per_s - 1.0,
        result.bounds[0].what if result.bounds else "",
    )


def _chip_of(recorded: NpuResult, chip: str | Path | Chip | None) -> Chip:
    """Return the chip of the run, which must have the same numbers."""
    if chip is None and recorded.chip not in chip_names():
        raise InputError(f"the chip {recorded.chip!r} of the run is not in the catalogue", hint="give its file as chip")
    given = recorded.chip if chip is None else chip
    clock_mhz, voltage = (recorded.inputs.get(name) for name in ("clock_mhz", "voltage"))
    device = device_at(
        given, None if clock_mhz is None else float(clock_mhz), None if voltage is None else float(voltage)
    )
    if chip_identity(device) != recorded.inputs.get("chip"):
        raise InputError(
            f"{device.name!r} is not the chip of the run, or has changed since",
            hint="run again, or give its file as chip",
        )
    return device


def _graph_of(recorded: NpuResult, model: str | Path | Graph | None) -> Graph:
    """Return the graph of the run, which must be the same."""
    identity = recorded.inputs.get("model")
    if model is None and identity != recorded.model:
        raise InputError(f"the model {recorded.model!r} of the run was a file", hint="give that file as model")
    given: str | Path | Graph = recorded.model if model is None else model
    if identity == recorded.model:
        first = next(iter(recorded.input_shapes.values()))
        size = first[-1] if len(first) == 4 else None
        sequence = recorded.inputs.get("sequence")
        return read_graph(
            given,
            dtype=recorded.dtype,
            batch=recorded.batch,
            resolution=size,
            sequence=None if sequence is None else int(sequence),
            width=float(recorded.inputs.get("width", "1.0")),
        )
    shape = None if isinstance(given, Graph) else recorded.input_shapes
    graph = read_graph(given, dtype=recorded.dtype, shape=shape)
    if model_identity(given, graph) != identity:
        raise InputError(f"{graph.name!r} is not the model of the run", hint="give the file that was run")
    return graph
