"""`armillary npu`: latency, power and energy of networks on an NPU, and what bounds them.

In:  arguments. Out: a short table or strict JSON, and a run folder with `--out`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from armillary.cli.common import Common, Verbosity
from armillary.cli.present import STANDARD_OUTPUT, note, present, print_rows, print_table
from armillary.cli.shapes import parse_shapes
from armillary.errors import InputError
from armillary.units import format_bytes, format_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from armillary.npu import Explanation, FolderRuns, PassTable, TenantFigures

app = App(name="npu", help="Latency, power and energy of a network on an NPU.")

Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]
_ONE_MODEL = "a folder takes the sizes that its files have"


@app.command
def run(
    model: str,
    /,
    *,
    chip: str,
    dtype: str = "int8",
    batch: int = 1,
    shape: Annotated[list[str] | None, Parameter(negative=())] = None,
    resolution: int | None = None,
    sequence: int | None = None,
    width: float = 1.0,
    queue_depth: int = 1,
    clock_mhz: float | None = None,
    voltage: float | None = None,
    cost_model: str | None = None,
    show_pass: str | None = None,
    common: Common = Common(),
) -> int:
    """Simulate MODEL on CHIP and report latency, energy and what bounds them.

    Args:
        model: a network of `armillary catalog models`, a model file, or a folder of model files (one table).
        chip: a chip of `armillary catalog chips`, or a YAML file.
        dtype: element type that the network computes in (int8, fp16, ...).
        batch: items of one inference (networks of the catalogue).
        shape: shape of an input of a model file, NAME=1,3,320,320; repeatable.
        resolution: height and width of the image, pixels (networks of the catalogue).
        sequence: tokens, steps, or cached tokens of a decode (networks of the catalogue).
        width: channel multiplier (networks of the catalogue).
        queue_depth: inferences in flight for the throughput; latency is always that of one alone.
        clock_mhz: clock of the chip, within its operating points (default: its own, or the fastest at that voltage).
        voltage: volts of the chip (default: as few as the clock needs).
        cost_model: what prices tiles: calibrated (the default where the chip has operator laws), theoretical, a CSV
            table of operators with their cycles, or an installed model.
        show_pass: compile only, and show what this pass hands on (recognise, fold, lower, fuse, place, stripe,
            geometry, split, reside, cache, tile, cut, allocate, barriers, emit).
    """
    from armillary import npu

    shapes = parse_shapes(shape or []) or None
    if (clock_mhz is not None or voltage is not None) and (show_pass is not None or Path(model).is_dir()):
        raise InputError(
            "an operating point is for the run of one model",
            where="--clock-mhz, --voltage",
            hint="leave them out, or put the clock into a chip file",
        )
    if show_pass is not None:
        if common.out is not None:
            raise InputError(
                "nothing is run when a pass is shown", where="--out", hint="leave out --out or --show-pass"
            )
        shown = npu.passes(
            model,
            show_pass,
            chip=chip,
            dtype=dtype,
            batch=batch,
            shape=shapes,
            resolution=resolution,
            sequence=sequence,
            width=width,
            cost_model=cost_model,
        )
        return _show(shown.to_json(), lambda: _print_pass(shown), common.json, common)
    if Path(model).is_dir():
        if batch != 1 or resolution is not None or sequence is not None or width != 1.0:
            raise InputError(
                "batch, resolution, sequence and width are for networks of the catalogue", where=model, hint=_ONE_MODEL
            )
        table = npu.run_folder(
            model,
            chip=chip,
            dtype=dtype,
            shape=shapes,
            queue_depth=queue_depth,
            cost_model=cost_model,
            seed=common.seed,
            out=common.out,
            overwrite=common.overwrite,
        )
        return _show(table.to_json(), lambda: _print_folder(table), common.json, common)
    result = npu.run(
        model,
        chip=chip,
        dtype=dtype,
        batch=batch,
        shape=shapes,
        resolution=resolution,
        sequence=sequence,
        width=width,
        queue_depth=queue_depth,
        clock_mhz=clock_mhz,
        voltage=voltage,
        cost_model=cost_model,
        seed=common.seed,
    )
    return present(result, common)


@app.command
def share(
    *,
    tenants: Annotated[list[str], Parameter(name="--tenant", negative=())],
    chip: str,
    seconds: float = 1.0,
    common: Common = Common(),
) -> int:
    """Simulate several networks that share CHIP, the more urgent first, and report the latency of each.

    Args:
        tenants: a network, MODEL[:KEY=VALUE,...]; repeatable. Keys: priority (0 goes first), period-ms, offset-ms,
            count, at-ms (arrivals 0/5/12), deadline-ms, share (of the scratchpad), name, dtype, batch, resolution,
            sequence, width.
        chip: a chip of `armillary catalog chips`, or a YAML file.
        seconds: for how long inferences arrive; all are played to their end.
    """
    from armillary import npu

    result = npu.share(tenants, chip=chip, seconds=seconds, seed=common.seed)
    code = present(result, common)
    if not common.quiet and common.json != STANDARD_OUTPUT:
        _print_tenants(result.tenants)
    return code


@app.command
def operators(table: str, /, *, chip: str, common: Common = Common()) -> int:
    """Report the cycles of each operator of TABLE on one tile of CHIP, and their errors against `cycles_nn`.

    Args:
        table: a CSV file with the columns op, dtype, in_w, in_h, in_c, out_w, out_h, out_c, k, s, pad.
        chip: a chip of `armillary catalog chips` with operator laws, or a YAML file.
    """
    from armillary import npu

    return present(npu.operators(table, chip=chip, seed=common.seed), common)


@app.command
def explain(
    folder: Path,
    /,
    *,
    model: Path | None = None,
    chip: str | None = None,
    cost_model: str | None = None,
    json: Json = None,
    common: Verbosity = Verbosity(),
) -> int:
    """Say what bounds the run in FOLDER and each of its layers, and what a better chip would give (each is run).

    Args:
        folder: a run folder, as `npu run --out` wrote it.
        model: the model file of the run, where it was no network of the catalogue.
        chip: the chip file of the run, where it was no chip of the catalogue.
        cost_model: the CSV table of the run, where it was priced by one.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary import npu

    explanation = npu.explain(folder, model=model, chip=chip, cost_model=cost_model)
    return _show(explanation.to_json(), lambda: _print_explanation(explanation), json, common)


def _show(document: Mapping[str, object], print_it: Callable[[], None], json: Path | None, common: Verbosity) -> int:
    """Write `document` where `json` says, and print it for people unless it went to standard output."""
    from armillary.store import dumps_strict, write_text

    if json == STANDARD_OUTPUT:
        sys.stdout.write(dumps_strict(document))
        return 0
    if json is not None:
        write_text(json, dumps_strict(document))
        note(f"wrote {json}", common)
    if not common.quiet:
        print_it()
    return 0


def _print_pass(shown: PassTable) -> None:
    numbers = [bool(shown.rows) and not isinstance(shown.rows[0][at], str) for at in range(len(shown.columns))]
    print_table(
        [(name, "right" if number else "left") for name, number in zip(shown.columns, numbers, strict=True)],
        [[str(cell) for cell in row] for row in shown.rows],
        title=f"{shown.name}: {shown.title}",
    )


def _print_folder(table: FolderRuns) -> None:
    numbers = ("latency", "items/s", "work", "weights", "array used", "energy", "on the host")
    columns = [("model", "left"), *((name, "right") for name in numbers), ("bound by", "left")]
    rows = [
        (
            row.file,
            _quantity(row.latency_s, "s"),
            "-" if row.throughput_per_s is None else f"{row.throughput_per_s:.4g}",
            _quantity(row.macs, "MAC"),
            "-" if row.parameter_bytes is None else format_bytes(row.parameter_bytes),
            "-" if row.mac_utilisation is None else f"{row.mac_utilisation:.1%}",
            _quantity(row.energy_j, "J"),
            "-" if row.fallbacks is None else f"{row.fallbacks} layers",
            row.bound if row.error is None else f"did not run: {row.error}",
        )
        for row in table.rows
    ]
    print_table(columns, [[cell or "-" for cell in row] for row in rows], title=f"{table.folder} on {table.chip}")


def _print_tenants(tenants: Sequence[TenantFigures]) -> None:
    numbers = ("priority", "inferences", "alone", "median", "p99", "max", "slow-down", "per s", "late")
    rows = [
        (
            tenant.name,
            str(tenant.priority),
            str(tenant.inferences),
            *(
                format_quantity(time_s, "s")
                for time_s in (
                    tenant.alone_s, tenant.latency_p50_s, tenant.latency_p99_s, tenant.latency_max_s,
                )
            ),
            f"{tenant.slowdown:.2f}",
            f"{tenant.throughput_per_s:.4g}",
            "-" if tenant.deadline_misses is None else str(tenant.deadline_misses),
        )
        for tenant in tenants
    ]  # fmt: skip
    print_table(
        [("network", "left"), *((name, "right") for name in numbers)], rows, title="latencies, from arrival to end"
    )


def _print_explanation(explanation: Explanation) -> None:
    print_rows(explanation.summary())
    print_table(
        [("layer", "left"), ("operator", "left"), ("time", "right"), ("share", "right"), ("bound by", "left")],
        [
            (layer.name, layer.op, _quantity(layer.time_s, "s"), f"{layer.share:.1%}", layer.bound)
            for layer in explanation.layers
        ],
        title="layers, from the first tile to the last",
    )
    print_table(
        [("with", "left"), ("latency", "right"), ("saves", "right"), ("items/s", "right"), ("more", "right"),
         ("then bound by", "left")],
        [
            (
                row.what,
                _quantity(row.latency_s, "s"),
                _percent(row.latency_gain),
                "-" if row.throughput_per_s is None else f"{row.throughput_per_s:.4g}",
                _percent(row.throughput_gain),
                row.bound,
            )
            for row in explanation.what_if
        ],
        title="what would help, each run",
    )  # fmt: skip


def _quantity(value: float | None, unit: str) -> str:
    return "-" if value is None else format_quantity(value, unit)


def _percent(gain: float | None) -> str:
    return "-" if gain is None else f"{gain:+.1%}"
