"""Who may import whom: the table of rooms, as data, and the laws on heavy libraries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.house.source_tree import Source, parse, sources

BASE = {"units", "errors"}
BELOW_SYSTEMS = BASE | {
    "store",
    "stats",
    "engine",
    "timeline",
    "hardware",
    "workload",
    "costs",
    "trials",
    "report",
}
SYSTEMS = {"npu", "nas", "overlap", "offload", "power", "serverless", "fpga"}
EVERYTHING = BELOW_SYSTEMS | SYSTEMS | {"scenario", "sweep", "validation", "web", "testing", "cli"}

# Room -> the rooms it may import, its own aside.
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "__main__": {"cli"},
    "units": {"errors"},
    "errors": set(),
    "store": BASE,
    "stats": BASE,
    "engine": BASE,
    "timeline": BASE | {"store", "stats", "engine"},
    "hardware": BASE | {"store"},
    "workload": BASE | {"store"},
    "costs": BASE | {"engine", "hardware", "workload"},
    "trials": BASE | {"store", "stats", "timeline"},
    "report": BASE | {"stats", "timeline"},
    **dict.fromkeys(SYSTEMS, BELOW_SYSTEMS),
    "nas": BELOW_SYSTEMS | {"npu"},
    "scenario": BELOW_SYSTEMS | SYSTEMS,
    "sweep": BELOW_SYSTEMS | SYSTEMS | {"scenario"},
    "validation": BELOW_SYSTEMS | SYSTEMS,
    "web": BASE | {"timeline", "report", "store"},
    "testing": EVERYTHING - {"cli", "web", "testing"},
    "cli": EVERYTHING - {"cli"},
}

HEAVY = ("numba", "polars", "onnx", "scipy", "plotly", "torch", "optuna", "distributed", "tensorflow", "openvino")
ENGINE_ONLY = ("heapq", "sched", "simpy")


def is_in(module: str, libraries: tuple[str, ...] | set[str]) -> bool:
    return module.split(".")[0] in libraries


def breaches(source: Source) -> Iterator[str]:
    """The imports of one file that the table does not allow."""
    for entry in source.imports:
        parts = entry.module.split(".")
        if parts[0] != "armillary" or len(parts) == 1 or parts[1].startswith("__"):
            continue
        room = parts[1]
        if room != source.room and room not in MAY_IMPORT[source.room]:
            yield f"{source.place(entry.line)}: {source.room or 'the root'} may not import {room}"


def test_rooms_import_only_what_the_table_allows() -> None:
    assert [line for source in sources() for line in breaches(source)] == []


def test_every_room_stands_in_the_table() -> None:
    assert {source.room for source in sources()} <= MAY_IMPORT.keys()


def test_the_table_has_no_circles() -> None:
    """Rooms can be put in an order in which each imports only earlier ones."""
    left, placed = dict(MAY_IMPORT), set[str]()
    while left:
        free = {room for room, allowed in left.items() if allowed <= placed}
        assert free, f"a circle among {sorted(left)}"
        placed |= free
        left = {room: allowed for room, allowed in left.items() if room not in free}


@pytest.mark.parametrize(
    ("text", "module", "count"),
    [
        ("from armillary.npu import run", "armillary.engine.kernel", 1),
        ("from armillary import npu, units", "armillary.engine.kernel", 1),
        ("def f():\n    import armillary.cli.app", "armillary.npu.run", 1),
        ("from ..power import rows", "armillary.npu.run", 1),
        ("from .tile import tile\nfrom armillary import __version__", "armillary.npu.run", 0),
        ("from armillary.npu import run", "armillary.nas.search", 0),
    ],
)
def test_the_walk_sees_every_form_of_import(text: str, module: str, count: int) -> None:
    assert len(list(breaches(parse(text, module)))) == count


def test_no_heap_or_event_loop_stands_outside_the_engine() -> None:
    found = [
        source.place(entry.line)
        for source in sources()
        for entry in source.imports
        if is_in(entry.module, ENGINE_ONLY) and source.room != "engine"
    ]
    assert found == []


def test_numba_stays_in_the_engine_and_one_module_configures_it() -> None:
    """Kernels of other rooms take `njit` from `engine._jit`, so that no cache of theirs can go stale."""
    found = [
        source.place(entry.line)
        for source in sources()
        for entry in source.imports
        if is_in(entry.module, ("numba", "llvmlite"))
        and (source.room != "engine" or ("config" in entry.module and source.module != "armillary.engine._jit"))
    ]
    assert found == []


def test_scipy_is_imported_inside_functions_only() -> None:
    found = [
        source.place(entry.line)
        for source in sources()
        for entry in source.imports
        if entry.at_module_level and is_in(entry.module, ("scipy",))
    ]
    assert found == []


def loaded_by(module: str) -> Iterator[tuple[Source, int, str]]:
    """Follow the imports that run when `module` is imported; yield those that leave the package."""
    by_name = {source.module: source for source in sources()}
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in by_name:
            continue
        seen.add(name)
        source = by_name[name]
        for entry in source.imports:
            if not entry.at_module_level:
                continue
            if entry.module.startswith("armillary."):
                parts = entry.module.split(".")
                waiting += [".".join(parts[:length]) for length in range(2, len(parts) + 1)]
            else:
                yield source, entry.line, entry.module


# The root, each room, and each command module; packages within a room may be heavy and are imported inside functions.
LIGHT = sorted(source.module for source in sources() if source.module.count(".") <= 1 or source.room == "cli")


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_room_loads_no_heavy_library(module: str) -> None:
    found = [f"{source.place(line)}: {name}" for source, line, name in loaded_by(module) if is_in(name, HEAVY)]
    assert found == []
