"""`armillary validate [SYSTEM]`: the scorecard of reference figures.

In:  the name of a system, none for all. Out: obtained, reference and error of every figure, those that parameters were
fitted on apart from the blind ones; strict JSON with `--json`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from armillary.cli.common import Verbosity

BLIND = "Blind figures: nothing was fitted on them"
FITTED = "Calibration figures: parameters were fitted on them, so they show the fit alone"


def validate(
    system: str | None = None,
    /,
    *,
    json: Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)] = None,
    common: Verbosity = Verbosity(),
) -> int:
    """Compare what Armillary computes with published and measured figures, and hide none.

    Args:
        system: one system (npu); all of them when left out.
        json: write strict JSON to this path (`-`: standard output).
        common: options that all verbs share.
    """
    from armillary.cli.present import STANDARD_OUTPUT, note, print_table
    from armillary.report.numbers import quantity
    from armillary.store import dumps_strict, write_text
    from armillary.validation.scorecard import SYSTEMS, mean_absolute_error, scorecard

    scores = [score for name in ([system] if system is not None else SYSTEMS) for score in scorecard(name)]
    groups = {
        title: [s for s in scores if s.calibration == fitted] for title, fitted in ((BLIND, False), (FITTED, True))
    }
    means = {key: mean_absolute_error(groups[title]) for key, title in (("blind", BLIND), ("calibration", FITTED))}
    document = {"scores": scores, "mean_absolute_error": means}
    if json == STANDARD_OUTPUT:
        sys.stdout.write(dumps_strict(document))
        return 0
    if json is not None:
        write_text(json, dumps_strict(document))
        note(f"wrote {json}", common)
    heads = [("figure", "left"), ("obtained", "right"), ("reference", "right"), ("error", "right"), ("source", "left")]
    for (title, group), mean in zip(groups.items(), means.values(), strict=True):
        if common.quiet:
            break
        if not group:
            print(f"{title}\n\n none yet\n")
            continue
        rows = [
            (s.name, quantity(s.obtained, s.unit), quantity(s.reference, s.unit), f"{s.error:+.1%}", s.source)
            for s in group
        ]
        print_table(heads, [*rows, ("mean of absolute errors", "", "", f"{mean:.1%}", "")], title=title)
    return 0
