"""Time of an all-reduce over the devices of one server.

In:  bytes of the message as an array, a `Fabric`.
Out: seconds.
Model: ring of d devices: 2 (d - 1) steps, each a fixed cost and bytes / d over a link
       (Thakur, Rabenseifner, Gropp 2005, doi 10.1177/1094342005051521, section 4.3: reduce-scatter, then all-gather).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.costs.device import Fabric
from armillary.costs.gemm import FloatArray


def all_reduce_s(message_bytes: npt.ArrayLike, fabric: Fabric) -> FloatArray:
    """Return the seconds of one all-reduce of `message_bytes` (0 on one device)."""
    steps = 2 * (fabric.devices - 1)
    per_step_s = np.asarray(message_bytes, np.float64) / fabric.devices / fabric.bytes_per_s
    return steps * (fabric.step_s + per_step_s)
