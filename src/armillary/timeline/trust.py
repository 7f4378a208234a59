"""How far a result can be trusted, said with the result.

In:  what a system knows of its calibration. Out: `Trust`, part of every result's JSON, and its two closing lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from armillary.errors import InputError


@dataclass(frozen=True, slots=True)
class Trust:
    """The calibrated range and whether this input lies inside it.

    Raises:
        InputError: the expected error is negative or not finite.
    """

    calibrated_range: str  # "int8 CNNs of 0.3 to 15 GMAC on a Coral Edge TPU"
    inside: bool
    expected_error: float | None  # relative, 0.1 = 10 %; None: not known
    basis: str  # "leave-one-network-out over six published latencies"
    improve: str  # the one thing that would improve it

    def __post_init__(self) -> None:
        if self.expected_error is not None and not (isfinite(self.expected_error) and self.expected_error >= 0):
            raise InputError(f"an expected error of {self.expected_error}", hint="use a share >= 0, or None")

    def rows(self) -> list[tuple[str, str]]:
        """Return rows (label, text) for a summary."""
        place = "inside" if self.inside else "outside"
        error = "error not known" if self.expected_error is None else f"expected error {self.expected_error:.0%}"
        return [
            ("trust", f"{error}: {place} the calibrated range ({self.calibrated_range}; {self.basis})"),
            ("to improve", self.improve),
        ]
