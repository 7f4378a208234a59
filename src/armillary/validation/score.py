"""One reference figure beside what Armillary obtains for it.

In:  a reference and a figure. Out: `Score`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """One reference figure and what was obtained for it, both in the base unit of the quantity."""

    name: str
    quantity: str
    unit: str
    reference: float
    obtained: float
    error: float  # obtained / reference - 1
    calibration: bool  # parameters were fitted on it: it is no evidence
    source: str
