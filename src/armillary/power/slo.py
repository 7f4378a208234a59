"""What customers are promised: how much longer than uncapped a request may take, by priority and quantile.

In:  shares, or a text such as "high-p50=1%,high-p99=5%,low-p50=5%,low-p99=50%".
Out: `Slo`, and what of it a set of impacts breaks.
The defaults are those of the paper (partly from memory; specification power, 3.1); brakes are never allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from math import isfinite
from typing import Final

from armillary.errors import InputError, unknown_name

_LIMITS = "high_p50, high_p99, low_p50, low_p99"


@dataclass(frozen=True, slots=True)
class Slo:
    """Largest relative increase of latency over the uncapped row, 0.05 = 5 %.

    Raises:
        InputError: a limit is negative or not finite, or a median is allowed more than the 99th percentile.
    """

    high_p50: float = 0.01
    high_p99: float = 0.05
    low_p50: float = 0.05
    low_p99: float = 0.50

    def __post_init__(self) -> None:
        for entry in fields(self):
            limit = getattr(self, entry.name)
            if not (isfinite(limit) and limit >= 0):
                raise InputError(f"a limit of {limit}", where=f"slo.{entry.name}", hint="a share such as 5%")
        for priority in ("high", "low"):
            if getattr(self, f"{priority}_p50") > getattr(self, f"{priority}_p99"):
                raise InputError(
                    "the median is allowed more than the 99th percentile", where=f"slo: {priority}", hint=_LIMITS
                )

    def broken(self, impact: Mapping[str, float | None]) -> tuple[str, ...]:
        """Return the names of the limits that `impact` exceeds; one that is None (no requests) exceeds nothing."""
        return tuple(
            entry.name
            for entry in fields(self)
            if (value := impact.get(entry.name)) is not None and value > getattr(self, entry.name)
        )


PROMISED: Final = Slo()
"What the paper promises."


def parse_slo(text: str | None) -> Slo:
    """Return the SLO that `text` says; limits that it does not name keep their defaults.

    Raises:
        InputError: an unknown limit, or a share that is no number.
    """
    slo = Slo()
    for part in filter(None, (piece.strip() for piece in (text or "").split(","))):
        name, _, share = part.partition("=")
        name, known = name.strip().replace("-", "_"), [entry.name for entry in fields(Slo)]
        if name not in known:
            raise unknown_name("limit", name, known, where="slo")
        slo = replace(slo, **{name: _share(share.strip(), part)})
    return slo


def _share(text: str, part: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise InputError(f"{part!r} gives no share", where="slo", hint='write for example "high-p99=5%"') from None
