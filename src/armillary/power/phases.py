"""Prefill and decode of a language model on GPUs: time, power, and what a lower clock does to both.

In:  a model, a GPU, a tensor-parallel degree, arrays of prompts, batches and contexts.
Out: `Phases`, at the boost clock and the default power limit; `dynamic_factor` and `slow_down` for other clocks.
Model: (1) a pass of m tokens takes its matrix products, each the longer of compute and memory (costs/gemm.py), its
           attention (costs/attention.py), two all-reduces a layer (costs/all_reduce.py) and a gap a kernel; it takes no
           less than the host needs to launch its kernels one by one;
       (2) a prompt also takes a fixed cost of the engine; a decode step also reads its caches;
       (3) power = idle + active + energy of an operation x FLOP/s + energy of a byte x bytes/s, held at
           limit x (1 + overshoot); the peak of a prompt is that of its products and what lies between them, or of its
           attention where that draws more; its mean counts all, the engine's cost too;
       (4) time(f) = time(f0) (b f0 / f + 1 - b): compute scales with the clock, memory and overhead hardly;
       (5) power(f) = idle + (power(f0) - idle) (f / f0)^alpha.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.costs import (
    Device,
    Fabric,
    all_reduce_s,
    attention_flop,
    attention_s,
    cache_read_s,
    device_of,
    fabric_of,
    gemm_bytes,
    gemm_compute_s,
    gemm_flop,
)
from armillary.errors import InputError
from armillary.hardware.gpu import Gpu
from armillary.workload.language_models import LanguageModel

FloatArray = npt.NDArray[np.float64]

PROMPT_LAUNCHES = 6  # that a layer takes more for a prompt than for a step: mask, padding, copies into the cache
CROSS_KERNELS = 5  # that a second attention adds to a layer: norm, query, attention, output, residual


@dataclass(frozen=True, slots=True)
class Parts:
    """What the time of a phase goes to, seconds, shape (cases,)."""

    compute_s: FloatArray  # matrix products that the units bound
    memory_s: FloatArray  # matrix products and caches that memory bounds
    attention_s: FloatArray  # over whole prompts
    links_s: FloatArray
    overhead_s: FloatArray

    @property
    def total_s(self) -> FloatArray:
        """Sum of all."""
        return self.compute_s + self.memory_s + self.attention_s + self.links_s + self.overhead_s


@dataclass(frozen=True, slots=True)
class Phases:
    """Prefill and decode of cases, each field of shape (cases,), at the boost clock."""

    prefill_s: FloatArray  # of the whole batch of prompts
    decode_s: FloatArray  # of one step of the batch; 0 where the model makes no tokens
    prefill_power_w: FloatArray  # of one GPU: the peak
    prefill_mean_power_w: FloatArray  # of one GPU over the prefill
    decode_power_w: FloatArray  # of one GPU
    prefill_bound: FloatArray  # share b of the time that scales with f0 / f
    decode_bound: FloatArray
    prefill_parts: Parts
    decode_parts: Parts


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass of tokens through the model on one GPU."""

    compute_s: FloatArray
    memory_s: FloatArray
    links_s: FloatArray
    gaps_s: FloatArray
    launch_s: FloatArray  # that the host needs to launch all kernels
    flop: FloatArray
    bytes: FloatArray


def phases(
    model: LanguageModel,
    gpu: Gpu,
    *,
    tensor_parallel: int,
    prompt: npt.ArrayLike,
    batch: npt.ArrayLike,
    context: npt.ArrayLike,
    dtype: str = "fp16",
) -> Phases:
    """Return time and power of prefill and decode.

    Args:
        model: shapes of the layers.
        gpu: rates, efficiencies and power.
        tensor_parallel: GPUs that share each layer.
        prompt: tokens of each prompt of a batch, positive.
        batch: sequences at once, positive.
        context: tokens that a decode step attends to, prompt included; 0 leaves the caches out.
        dtype: element type of weights, activations and caches.

    Raises:
        InputError: sizes that are too small, a degree that does not divide the heads or exceeds a server, or an
            element type that the GPU does not have.
    """
    prompt, batch, context = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(x, np.float64)) for x in (prompt, batch, context))
    )
    for name, sizes in (("prompt", prompt), ("batch", batch), ("context", context)):
        if not (np.isfinite(sizes) & (sizes >= (0 if name == "context" else 1))).all():
            raise InputError("too small", where=name, hint="at least 1 token of prompt and 1 sequence")
    if tensor_parallel < 1 or model.heads % tensor_parallel:
        raise InputError(
            f"{model.heads} heads of {model.name} cannot be shared by {tensor_parallel} GPUs",
            where="tp",
            hint="use a degree that divides the heads, such as 1, 2, 4 or 8",
        )
    device, fabric = device_of(gpu, dtype), fabric_of(gpu, tensor_parallel)
    prefill_parts, prefill_flop, prefill_bytes, attended_flop = _prefill(model, gpu, device, fabric, prompt, batch)
    decode_parts, decode_flop, decode_bytes = _decode(model, gpu, device, fabric, batch, context)
    prefill_s, decode_s = prefill_parts.total_s, decode_parts.total_s
    request_s = gpu.timing.request.value
    linear_s = prefill_s - prefill_parts.attention_s - request_s
    linear_w = _power(gpu, dtype, prefill_flop, prefill_bytes, linear_s)
    attention_w = _power(gpu, dtype, attended_flop, np.zeros_like(prompt), prefill_parts.attention_s)
    request_w = gpu.power.idle.value + gpu.power.active.value
    energy_j = linear_w * linear_s + attention_w * prefill_parts.attention_s + request_w * request_s
    return Phases(
        prefill_s=prefill_s,
        decode_s=decode_s,
        prefill_power_w=np.maximum(linear_w, attention_w),
        prefill_mean_power_w=energy_j / prefill_s,
        decode_power_w=_power(gpu, dtype, decode_flop, decode_bytes, decode_s),
        prefill_bound=_sensitivity(gpu, prefill_parts),
        decode_bound=_sensitivity(gpu, decode_parts),
        prefill_parts=prefill_parts,
        decode_parts=decode_parts,
    )


def dynamic_factor(gpu: Gpu, clock_mhz: npt.ArrayLike) -> FloatArray:
    """Return the factor on all power above idle at `clock_mhz` (equation 5)."""
    factor: FloatArray = (np.asarray(clock_mhz, np.float64) / gpu.boost_mhz) ** gpu.power.exponent.value
    return factor


def slow_down(gpu: Gpu, bound: npt.ArrayLike, clock_mhz: npt.ArrayLike) -> FloatArray:
    """Return time at `clock_mhz` over time at the boost clock of work with the share `bound` (equation 4)."""
    b = np.asarray(bound, np.float64)
    factor: FloatArray = b * gpu.boost_mhz / np.asarray(clock_mhz, np.float64) + 1.0 - b
    return factor


def _prefill(
    model: LanguageModel, gpu: Gpu, device: Device, fabric: Fabric, prompt: FloatArray, batch: FloatArray
) -> tuple[Parts, FloatArray, FloatArray, FloatArray]:
    """Return the parts, operations and bytes of the products, and operations of attention, of one GPU."""
    heads = model.heads / fabric.devices
    one = _pass(model, device, fabric, prompt * batch, model.prompt_layers, more=PROMPT_LAUNCHES)
    head = _head(model, device, fabric, batch)
    attention = model.prompt_layers * attention_s(
        batch, heads, prompt, model.head_width, device, whole_square=model.whole_square
    )
    waits_s = _waits_s(one, one.compute_s + one.memory_s + one.links_s + one.gaps_s + attention)
    attended = attention_flop(prompt, model.head_width, whole_square=model.whole_square)
    parts = Parts(
        one.compute_s + head.compute_s,
        one.memory_s + head.memory_s,
        attention,
        one.links_s,
        one.gaps_s + waits_s + gpu.timing.request.value,
    )
    return parts, one.flop + head.flop, one.bytes + head.bytes, model.prompt_layers * heads * batch * attended


def _decode(
    model: LanguageModel, gpu: Gpu, device: Device, fabric: Fabric, batch: FloatArray, context: FloatArray
) -> tuple[Parts, FloatArray, FloatArray]:
    """Return the parts, operations and bytes of one step, of one GPU."""
    zero = np.zeros_like(batch)
    if model.decoder_layers == 0:
        return Parts(zero, zero, zero, zero, zero), zero, zero
    one = _pass(model, device, fabric, batch, model.decoder_layers, cross=model.kind == "encoder_decoder")
    head = _head(model, device, fabric, batch)
    cached = batch * context * cached_bytes_per_gpu(model, fabric.devices, device.element_bytes)
    attended = 4.0 * model.decoder_layers * model.query_width / fabric.devices * batch * context
    cache_s = cache_read_s(cached, device)
    waits_s = _waits_s(one, one.compute_s + one.memory_s + cache_s + one.links_s + one.gaps_s)
    parts = Parts(
        one.compute_s + head.compute_s,
        one.memory_s + head.memory_s + cache_s,
        zero,
        one.links_s,
        one.gaps_s + waits_s,
    )
    return parts, one.flop + head.flop + attended, one.bytes + head.bytes + cached


def _waits_s(one: _Pass, busy_s: FloatArray) -> FloatArray:
    """Return the seconds that the GPU waits for the host, which launches one kernel after the other."""
    waits: FloatArray = np.maximum(0.0, one.launch_s - busy_s)
    return waits


def cached_bytes_per_gpu(model: LanguageModel, devices: int, element_bytes: float) -> float:
    """Return the bytes that a token of context takes on one of `devices` GPUs: fewer heads than GPUs are repeated."""
    return model.cached_bytes(element_bytes) * max(1, model.kv_heads // devices) / model.kv_heads


def _pass(
    model: LanguageModel,
    device: Device,
    fabric: Fabric,
    tokens: FloatArray,
    layers: int,
    *,
    cross: bool = False,
    more: int = 0,
) -> _Pass:
    """Return what passing `tokens` through `layers` costs one GPU, attention and caches aside."""
    share = fabric.devices
    keys = model.head_width * max(1, model.kv_heads // share)
    columns = model.query_width / share
    attention = [(columns + 2 * keys, model.width), (model.width, columns)]
    hidden = model.feed_forward / share
    feed_forward = [(hidden * (2 if model.gated else 1), model.width), (model.width, hidden)]
    over_encoder = [(columns, model.width), (model.width, columns)] if cross else []
    products = [_product(device, tokens, n, k) for n, k in (*attention, *feed_forward, *over_encoder)]
    reduces = 3 if cross else 2
    message = tokens * model.width * device.element_bytes
    kernels = model.kernels_per_layer + (CROSS_KERNELS if cross else 0)
    return _Pass(
        compute_s=layers * np.sum([product.compute_s for product in products], axis=0),
        memory_s=layers * np.sum([product.memory_s for product in products], axis=0),
        links_s=layers * reduces * all_reduce_s(message, fabric),
        gaps_s=np.full_like(tokens, layers * kernels * device.kernel_s),
        launch_s=np.full_like(tokens, layers * (kernels + reduces + more) * device.launch_s),
        flop=layers * np.sum([product.flop for product in products], axis=0),
        bytes=layers * np.sum([product.bytes for product in products], axis=0),
    )


def _head(model: LanguageModel, device: Device, fabric: Fabric, batch: FloatArray) -> _Pass:
    """Return what the output matrix costs one GPU: one row a sequence."""
    return _product(device, batch, model.vocabulary / fabric.devices, model.width)


def _product(device: Device, m: FloatArray, n: float, k: float) -> _Pass:
    """Return one matrix product, its time under what bounds it."""
    moved = gemm_bytes(m, n, k, device.element_bytes)
    compute_s, memory_s = gemm_compute_s(m, n, k, device), moved / device.read_bytes_per_s
    zero = np.zeros_like(compute_s)
    return _Pass(
        compute_s=np.where(compute_s > memory_s, compute_s, 0.0),
        memory_s=np.where(compute_s > memory_s, 0.0, memory_s),
        links_s=zero,
        gaps_s=zero,
        launch_s=zero,
        flop=gemm_flop(m, n, k),
        bytes=moved,
    )


def _power(gpu: Gpu, dtype: str, flop: FloatArray, moved: FloatArray, seconds: FloatArray) -> FloatArray:
    """Return the power of one GPU while it does `flop` and moves `moved` bytes in `seconds` (equation 3)."""
    power = gpu.power
    busy = seconds > 0
    energy_j = gpu.flop_j(dtype) * flop + power.per_byte.value * moved
    dynamic_w = power.active.value + np.divide(energy_j, seconds, out=np.zeros_like(energy_j), where=busy)
    highest_w = power.limit.value * (1.0 + power.overshoot.value)
    drawn: FloatArray = np.minimum(power.idle.value + np.where(busy, dynamic_w, 0.0), highest_w)
    return drawn


def _sensitivity(gpu: Gpu, parts: Parts) -> FloatArray:
    """Return b: the share of the time that scales with the clock (equation 4)."""
    timing, total = gpu.timing, parts.total_s
    scaled = (
        parts.compute_s
        + parts.attention_s
        + timing.memory_sensitivity.value * parts.memory_s
        + timing.overhead_sensitivity.value * (parts.links_s + parts.overhead_s)
    )
    return np.divide(scaled, total, out=np.zeros_like(total), where=total > 0)
