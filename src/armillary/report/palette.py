"""Eight colours that stay apart for colour-blind readers, on white and on dark ground, and grey for the rest.

In:  names, and colours that some of them have already. Out: `PALETTE`, `OTHER`, a colour for each name.
After Okabe and Ito (2008), toned down; tests/report/test_palette.py measures their distances as seen with
deuteranopia and protanopia.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

PALETTE: Final = ("#2178c9", "#cf8c18", "#178a6e", "#c8553d", "#8cc3ec", "#a3569b", "#d6cb58", "#3e3f88")
OTHER: Final = "#8d9aa6"


def colours_of(names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a colour for each name: the given one, else the next of the palette that none of them has."""
    names, given = list(dict.fromkeys(names)), given or {}
    taken = {given[name] for name in names if name in given}
    free = [colour for colour in PALETTE if colour not in taken] or [OTHER]
    others = [name for name in names if name not in given]
    return {
        **{name: free[index % len(free)] for index, name in enumerate(others)},
        **{n: given[n] for n in names if n in given},
    }
