"""`armillary catalog`: the chips, GPUs, networks and language models that come with Armillary.

In:  arguments. Out: tables, the file of a chip or GPU, a template for a new chip, the JSON Schema of both.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from armillary.cli.common import Verbosity
from armillary.cli.present import STANDARD_OUTPUT, print_rows, print_table
from armillary.units import format_quantity

app = App(name="catalog", help="Chips, GPUs and networks that come with Armillary.")
new_app = App(name="new", help="A template to start a file of your own from.")
app.command(new_app)

Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]


@app.command
def chips(name: str | None = None, /, *, json: Json = None, common: Verbosity = Verbosity()) -> int:
    """List the chips, or show the chip NAME with the source of every number.

    Args:
        name: a chip of the list, or a YAML file.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary import hardware

    if name is not None:
        chip = hardware.load_chip(name)
        if json is not None:
            return _write(chip.model_dump(mode="json", by_alias=True), json)
        sys.stdout.write(hardware.chip_text(name))
        return 0
    all_chips = [hardware.load_chip(each) for each in hardware.chip_names()]
    if json is not None:
        return _write([{"name": chip.name, "summary": chip.summary} for chip in all_chips], json)
    rows = [
        (
            chip.name,
            ", ".join(f"{format_quantity(peak, 'MAC/s')} {dtype}" for dtype, peak in chip.peak_macs_per_s.items()),
            f"{chip.scratchpad.size.value / 2**20:.3g} MiB",
            chip.summary,
        )
        for chip in all_chips
    ]
    print_table([("chip", "left"), ("peak", "left"), ("scratchpad", "right"), ("what it is", "left")], rows)
    return 0


@app.command
def gpus(name: str | None = None, /, *, json: Json = None, common: Verbosity = Verbosity()) -> int:
    """List the GPUs, or show the GPU NAME with the source of every number.

    Args:
        name: a GPU of the list, or a YAML file.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary import hardware

    if name is not None:
        gpu = hardware.load_gpu(name)
        if json is not None:
            return _write(gpu.model_dump(mode="json", by_alias=True), json)
        sys.stdout.write(hardware.gpu_text(name))
        return 0
    all_gpus = [hardware.load_gpu(each) for each in hardware.gpu_names()]
    if json is not None:
        return _write([{"name": gpu.name, "summary": gpu.summary} for gpu in all_gpus], json)
    rows = [
        (
            gpu.name,
            format_quantity(gpu.flop_per_s["fp16"].value, "FLOP/s"),
            f"{gpu.memory.size.value / 2**30:.3g} GiB",
            format_quantity(gpu.memory.rate.value, "B/s"),
            format_quantity(gpu.power.limit.value, "W"),
            "data sheet" if gpu.calibration is None else "measured",
            gpu.summary,
        )
        for gpu in all_gpus
    ]
    heads = [("GPU", "left"), ("fp16", "right"), ("memory", "right"), ("rate", "right"), ("limit", "right")]
    print_table([*heads, ("timing", "left"), ("what it is", "left")], rows)
    return 0


@app.command
def language_models(name: str | None = None, /, *, json: Json = None, common: Verbosity = Verbosity()) -> int:
    """List the language models, or show the language model NAME.

    Args:
        name: a language model of the list.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary import workload

    names = workload.language_model_names() if name is None else (name,)
    found = [workload.load_language_model(each) for each in names]
    facts = [{"parameters": model.parameters, **asdict(model)} for model in found]
    if json is not None:
        return _write(facts if name is None else facts[0], json)
    if name is not None:
        print_rows([(key, str(value)) for key, value in facts[0].items()])
        return 0
    rows = [
        (model.name, model.kind, f"{model.parameters / 1e9:.4g}", str(model.layers + model.encoder_layers),
         str(model.width), f"{model.heads}/{model.kv_heads}")
        for model in found
    ]  # fmt: skip
    heads = [("language model", "left"), ("kind", "left"), ("G weights", "right"), ("layers", "right")]
    print_table([*heads, ("width", "right"), ("heads/kv", "right")], rows)
    return 0


@app.command
def rows(name: str | None = None, /, *, json: Json = None, common: Verbosity = Verbosity()) -> int:
    """List the rows of servers, or show the row NAME with the source of every number.

    Args:
        name: a row of the list, or a YAML file.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary import power

    if name is not None:
        row = power.load_row(name)
        if json is not None:
            return _write(row.model_dump(mode="json", by_alias=True), json)
        sys.stdout.write(power.row_text(name))
        return 0
    found = [power.load_row(each) for each in power.row_names()]
    if json is not None:
        return _write([{"name": row.name, "summary": row.summary} for row in found], json)
    lines = [
        (row.name, str(row.servers), row.server.gpu, format_quantity(row.budget_w, "W"), row.summary) for row in found
    ]
    heads = [("row", "left"), ("servers", "right"), ("GPU", "left"), ("budget", "right"), ("what it is", "left")]
    print_table(heads, lines)
    return 0


@app.command
def models(name: str | None = None, /, *, json: Json = None, common: Verbosity = Verbosity()) -> int:
    """List the networks, or show the network NAME.

    Args:
        name: a network of the list.
        json: write strict JSON to this path (`-`: standard output).
    """
    from armillary.workload import zoo

    if name is not None:
        card, graph = zoo.card(name), zoo.build(name)
        facts: dict[str, object] = {
            "name": card.name,
            "summary": card.summary,
            **({} if card.resolution is None else {"resolution": card.resolution}),
            **({} if card.sequence is None else {"sequence": card.sequence}),
            "operators": len(graph.operators),
            "macs": graph.macs,
            "parameters": graph.parameters,
            "source": card.source,
        }
        if json is not None:
            return _write(facts, json)
        print_rows([(key, str(value)) for key, value in facts.items()])
        return 0
    if json is not None:
        return _write([{"name": card.name, "summary": card.summary} for card in zoo.cards()], json)
    print_table(
        [("network", "left"), ("size", "right"), ("GMAC", "right"), ("M weights", "right"), ("what it is", "left")],
        [
            (
                card.name,
                card.reference_size,
                f"{card.reference_macs / 1e9:.3g}",
                f"{card.reference_parameters / 1e6:.4g}",
                card.summary,
            )
            for card in zoo.cards()
        ],
    )
    return 0


@new_app.command
def chip(*, common: Verbosity = Verbosity()) -> int:
    """Print a commented chip file that is valid: `armillary catalog new chip > my.yaml`."""
    from armillary import hardware

    sys.stdout.write(hardware.chip_template())
    return 0


@app.command
def schema(kind: Literal["chip", "gpu", "row"] = "chip", /, *, common: Verbosity = Verbosity()) -> int:
    """Print the JSON Schema of the files that describe a KIND of machine, for editors."""
    from armillary import hardware, power

    schemas = {"chip": hardware.chip_schema, "gpu": hardware.gpu_schema, "row": power.row_schema}
    return _write(schemas[kind](), STANDARD_OUTPUT)


def _write(document: object, path: Path) -> int:
    """Write `document` as strict JSON to `path` or to standard output."""
    from armillary.store import dumps_strict, write_text

    text = dumps_strict(document)
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        write_text(path, text)
    return 0
