"""The one grammar of `--shape NAME=1,3,320,320`.

In:  texts as given on the command line. Out: input name -> dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

from armillary.errors import InputError

EXAMPLE = "write for example --shape images=1,3,320,320"
_MAX_DIMENSIONS = 16
_MAX_DIMENSION = 2**31


def parse_shapes(texts: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the dimensions by input name; none for no texts.

    Raises:
        InputError: no `=`, a name twice, or dimensions that are not positive whole numbers.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, equals, numbers = text.rpartition("=")
        parts = numbers.split(",")
        # isdecimal alone would take digits of other scripts, and a million of them.
        whole = all(part.isascii() and part.isdecimal() and len(part) <= 10 for part in parts)
        if not (equals and name and whole and len(parts) <= _MAX_DIMENSIONS):
            raise InputError(f"{text[:60]!r} is not a shape", where="--shape", hint=EXAMPLE)
        dimensions = tuple(int(part) for part in parts)
        if not all(0 < dimension < _MAX_DIMENSION for dimension in dimensions):
            raise InputError(f"{text[:60]!r} has a dimension outside 1..2**31", where="--shape", hint=EXAMPLE)
        if name in shapes:
            raise InputError(f"{name[:60]!r} is given twice", where="--shape")
        shapes[name] = dimensions
    return shapes
