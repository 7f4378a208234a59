"""Statistics that several rooms share.

In:  plain numbers. Out: `Interval`, a value with the bounds within which it is believed to lie.
"""

from __future__ import annotations

from armillary.stats.interval import Interval

__all__ = ["Interval"]
