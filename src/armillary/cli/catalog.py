"""`armillary catalog`: the chips and networks that come with Armillary.

In:  arguments. Out: tables, the file of a chip, a template for a new one, the JSON Schema of chip files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from armillary.cli.common import Verbosity
from armillary.cli.present import STANDARD_OUTPUT, print_rows, print_table
from armillary.units import format_quantity

app = App(name="catalog", help="Chips and networks that come with Armillary.")
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
def schema(kind: Literal["chip"] = "chip", /, *, common: Verbosity = Verbosity()) -> int:
    """Print the JSON Schema of the files that describe a KIND of machine, for editors."""
    from armillary import hardware

    assert kind == "chip"
    return _write(hardware.chip_schema(), STANDARD_OUTPUT)


def _write(document: object, path: Path) -> int:
    """Write `document` as strict JSON to `path` or to standard output."""
    from armillary.store import dumps_strict, write_text

    text = dumps_strict(document)
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        write_text(path, text)
    return 0
