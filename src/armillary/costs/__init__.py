"""Costs that several systems need: what work takes on a device and on a fabric, as pure functions of arrays.

In:  sizes as arrays, a `Device` (one processor computing in one element type) and a `Fabric` (what joins them).
Out: seconds, shapes as the inputs broadcast. Nothing here knows of power, models or clocks.
"""

from __future__ import annotations

from armillary.costs.all_reduce import all_reduce_s
from armillary.costs.attention import attention_flop, attention_s, cache_read_s
from armillary.costs.device import Device, Fabric, device_of, fabric_of
from armillary.costs.gemm import gemm_bytes, gemm_compute_s, gemm_flop, gemm_s

__all__ = [
    "Device",
    "Fabric",
    "all_reduce_s",
    "attention_flop",
    "attention_s",
    "cache_read_s",
    "device_of",
    "fabric_of",
    "gemm_bytes",
    "gemm_compute_s",
    "gemm_flop",
    "gemm_s",
]
