"""Eight colours that stay apart for colour-blind readers, on white and on dark ground, and grey for the rest.

In:  nothing. Out: `PALETTE`, `OTHER`.
After Okabe and Ito (2008), toned down; tests/report/test_palette.py measures the distances as seen with deuteranopia and
protanopia.
"""

from __future__ import annotations

from typing import Final

PALETTE: Final = ("#2f6fb3", "#e8a33d", "#2a9d8a", "#c8553d", "#8cc3ec", "#a3569b", "#d3c650", "#5b4b8a")
OTHER: Final = "#8a929c"
