"""Write the error tables of the documents, as `armillary validate` obtains them.

In:  the reference figures of each system, the operator laws of the chips in the catalogue.
Out: in docs/models/SYSTEM.md, the tables between their markers.
Usage: python tools/error_tables.py (a test fails while a table is not what it would write).
"""

from __future__ import annotations

import sys
from pathlib import Path

from armillary import hardware
from armillary.report.numbers import quantity
from armillary.validation.scorecard import SYSTEMS, Score, mean_absolute_error, scorecard

PAGES = Path(__file__).resolve().parents[1] / "docs" / "models"
BEGIN, END = "<!-- error table, made by tools/error_tables.py -->", "<!-- end of the error table -->"
LAWS, END_OF_LAWS = "<!-- table of laws, made by tools/error_tables.py -->", "<!-- end of the table of laws -->"


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
    return between(text, BEGIN, END, table(scores))


def law_table() -> str:
    """Return the Markdown table of all operator laws of the catalogue, with their errors on held-out rows."""
    lines = ["| chip | operator | type | form | coefficients | rows fitted | held out: median | held out: P90 |"]
    lines += ["|---|---|---|---|---:|---:|---:|---:|"]
    for name in hardware.chip_names():
        laws = hardware.load_chip(name).operator_laws
        for law in laws.laws if laws is not None else ():
            errors = f"{law.median_error.value:.1%} | {law.p90_error.value:.1%}"
            lines.append(
                f"| {name} | {law.op} | {law.dtype} | {law.form} | {len(law.COEFFICIENTS)} | {law.rows} | {errors} |"
            )
    return "\n".join(lines)


def with_laws(text: str) -> str:
    """Return the text of a page with its table of laws made anew, if it has one."""
    return between(text, LAWS, END_OF_LAWS, law_table()) if LAWS in text else text


def between(text: str, begin: str, end: str, made: str) -> str:
    """Return `text` with what stands between two markers replaced."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def main() -> int:
    """Write the table of every system's page."""
    for system in SYSTEMS:
        page = PAGES / f"{system}.md"
        text = with_table(page.read_text(encoding="utf-8"), scorecard(system))
        page.write_text(with_laws(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
