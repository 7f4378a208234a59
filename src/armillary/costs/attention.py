"""Time of attention on one device: over a whole prompt, and of one new token over its cache.

In:  sequences, heads, lengths as arrays, a `Device`.
Out: seconds, FLOP.
Model: (1) a prompt of s tokens takes 4 s^2 w FLOP a head (scores and their weighted sum, head width w), half of that
           where each token attends to earlier ones only and nothing forces the whole square;
       (2) the kernels that the calibration was measured with give one (sequence, head) to one unit (FlashAttention,
           arXiv 2205.14135, section 3; xFormers of 2023): few heads leave units idle, so that splitting heads over more
           devices does not shorten a lone long prompt: time = FLOP of a head / reached rate of a unit
           x max(1, sequences x heads / units);
       (3) a decode step reads the whole cache once: bytes / reached read rate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from armillary.costs.device import Device
from armillary.costs.gemm import FloatArray


def attention_flop(prompt: npt.ArrayLike, head_width: int, *, whole_square: bool) -> FloatArray:
    """Return the operations of one head over `prompt` tokens (equation 1)."""
    s = np.asarray(prompt, np.float64)
    return (4.0 if whole_square else 2.0) * s * s * head_width


def attention_s(
    sequences: npt.ArrayLike,
    heads: float,
    prompt: npt.ArrayLike,
    head_width: int,
    device: Device,
    *,
    whole_square: bool,
) -> FloatArray:
    """Return the seconds of one layer's attention over whole prompts (equation 2).

    Args:
        sequences: prompts at once.
        heads: query heads on this device.
        prompt: tokens of each.
        head_width: elements of a head.
        device: unit rate, units and efficiency.
        whole_square: every pair of tokens is computed.
    """
    one_head_s = attention_flop(prompt, head_width, whole_square=whole_square) / (
        device.unit_flop_per_s * device.attention_efficiency
    )
    rounds: FloatArray = np.maximum(1.0, np.asarray(sequences, np.float64) * heads / device.units)
    return one_head_s * rounds


def cache_read_s(cached_bytes: npt.ArrayLike, device: Device) -> FloatArray:
    """Return the seconds that reading `cached_bytes` of keys and values takes (equation 3)."""
    return np.asarray(cached_bytes, np.float64) / device.read_bytes_per_s
