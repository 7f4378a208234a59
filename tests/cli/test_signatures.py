"""A verb of a system and its Python function share names and defaults: the command line only parses, calls, prints."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from armillary.cli.common import Common, Verbosity

# (command module, verb) -> (module, function) of the same act in Python.
VERBS = {
    ("armillary.cli.npu", "run"): ("armillary.npu", "run"),
    ("armillary.cli.npu", "explain"): ("armillary.npu", "explain"),
    ("armillary.cli.npu", "operators"): ("armillary.npu", "operators"),
    ("armillary.cli.power_row", "simulate"): ("armillary.power", "simulate"),
    ("armillary.cli.power", "profile"): ("armillary.power", "profile"),
    ("armillary.cli.power_plan", "characterize"): ("armillary.power", "characterize"),
    ("armillary.cli.power_plan", "derive"): ("armillary.power", "derive"),
    ("armillary.cli.power_plan", "size"): ("armillary.power", "size"),
    ("armillary.cli.power_plan", "compare"): ("armillary.power", "compare"),
    ("armillary.cli.npu", "share"): ("armillary.npu", "share"),
}
# Options that say what is shown or where it goes, not what is computed.
OF_THE_COMMAND_LINE = {"json", "show_pass"}
# Where a function tells how far it is; the command line shows that on a terminal.
OF_PYTHON = {"progress"}


def parameters(module: str, name: str) -> dict[str, object]:
    """Name -> default (a list on the command line is None or empty in Python; both mean not given)."""
    signature = inspect.signature(getattr(import_module(module), name))
    return {
        parameter.name: None if parameter.default in ([], ()) else parameter.default
        for parameter in signature.parameters.values()
    }


@pytest.mark.parametrize(("verb", "function"), VERBS.items(), ids=lambda pair: ".".join(pair))
def test_a_verb_has_the_names_and_defaults_of_its_function(verb: tuple[str, str], function: tuple[str, str]) -> None:
    shown = parameters(*verb)
    common = shown.pop("common")
    seed = {"seed": common.seed} if isinstance(common, Common) else {}
    assert common in (Common(), Verbosity())
    computed = {name: default for name, default in shown.items() if name not in OF_THE_COMMAND_LINE}
    assert computed | seed == {
        name: default for name, default in parameters(*function).items() if name not in OF_PYTHON
    }


def test_whatever_builds_a_network_takes_the_sizes_that_the_zoo_takes() -> None:
    """`npu.run` and `npu.passes` have every option of `load_model`, with its default, but of dtype."""
    sizes = parameters("armillary.workload", "load_model")
    del sizes["name_or_path"], sizes["dtype"]
    sizes["shape"] = sizes.pop("shapes")
    for function in ("run", "passes"):
        taken = parameters("armillary.npu", function)
        assert {name: taken[name] for name in sizes} == sizes
