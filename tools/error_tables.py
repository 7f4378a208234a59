"""Write the error tables of the documents, as `armillary validate` obtains them.

In:  the reference figures of each system. Out: in docs/models/SYSTEM.md, the table between the two markers.
Usage: python tools/error_tables.py (a test fails while a table is not what it would write).
"""

from __future__ import annotations

import sys
from pathlib import Path

from armillary.report.numbers import quantity
from armillary.validation.scorecard import SYSTEMS, Score, mean_absolute_error, scorecard

PAGES = Path(__file__).resolve().parents[1] / "docs" / "models"
BEGIN, END = "<!-- error table, made by tools/error_tables.py -->", "<!-- end of the error table -->"


def table(scores: tuple[Score, ...]) -> str:
    """Return the Markdown table of `scores`, blind figures first."""
    lines = ["| figure | obtained | reference | error | used for |", "|---|---:|---:|---:|---|"]
    for score in sorted(scores, key=lambda each: each.calibration):
        obtained, reference = quantity(score.obtained, score.unit), quantity(score.reference, score.unit)
        use = "calibration" if score.calibration else "blind"
        lines.append(f"| {score.name} | {obtained} | {reference} | {score.error:+.1%} | {use} |")
    for use, fitted in (("blind", False), ("calibration", True)):
        mean = mean_absolute_error(score for score in scores if score.calibration == fitted)
        lines.append(f"| mean of absolute errors | | | {'none yet' if mean is None else f'{mean:.1%}'} | {use} |")
    return "\n".join(lines)


def with_table(text: str, scores: tuple[Score, ...]) -> str:
    """Return the text of a page with its table made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(scores)}\n\n{END}{after}"


def main() -> int:
    """Write the table of every system's page."""
    for system in SYSTEMS:
        page = PAGES / f"{system}.md"
        page.write_text(with_table(page.read_text(encoding="utf-8"), scorecard(system)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
