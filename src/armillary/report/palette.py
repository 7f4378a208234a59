"""Eight colours that stay apart for colour-blind readers, on white and on dark ground, and grey for the rest.

In:  nothing. Out: `PALETTE`, `OTHER`.
After Okabe and Ito (2008), toned down; tests/report/test_palette.py measures their distances as seen with
deuteranopia and protanopia.
"""

from __future__ import annotations

from typing import Final

PALETTE: Final = ("#2178c9", "#cf8c18", "#178a6e", "#c8553d", "#8cc3ec", "#a3569b", "#d6cb58", "#3e3f88")
OTHER: Final = "#8d9aa6"
