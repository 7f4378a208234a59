"""`armillary report DIR`: make the page of a run folder again.

In:  a run folder of any kind. Out: its `report.html`, written anew beside the figures; the figures stay as they are.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from armillary.cli.common import Verbosity
from armillary.errors import InputError

if TYPE_CHECKING:
    from armillary.timeline import Result

# Kind of run -> (module, class) of its result.
RESULTS = {
    "npu run": ("armillary.npu", "NpuResult"),
    "npu share": ("armillary.npu", "ShareResult"),
    "power simulate": ("armillary.power", "RowResult"),
}


def report(folder: Path, /, *, common: Verbosity = Verbosity()) -> int:
    """Make the page of the run in FOLDER again, with this version's figures of it.

    Args:
        folder: a run folder, as `--out` wrote it.
        common: options that all verbs share.
    """
    from armillary.cli.present import note

    page = load_result(folder).save_report(folder)
    note(f"wrote {page}", common)
    return 0


def load_result(folder: Path) -> Result:
    """Return the result in a run folder as the class that its kind belongs to.

    Raises:
        InputError: no finished run, or one of a kind that this version does not know.
    """
    from armillary.timeline import load_run

    kind = load_run(folder).kind
    if kind not in RESULTS:
        raise InputError(f"holds a run of {kind!r}", where=str(folder), hint=f"known: {', '.join(sorted(RESULTS))}")
    module, name = RESULTS[kind]
    result_type: type[Result] = getattr(import_module(module), name)
    return result_type.load(folder)
