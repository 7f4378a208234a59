"""Requests of a service in the columns that the row simulator plays.

In:  a model on GPUs, the prompts and outputs of its requests, the largest batch in decode.
Out: `ServiceColumns`: ticks at the boost clock, dynamic milliwatts of an instance, shares that scale with the clock.
A prompt is taken to draw its peak all through: errs to the safe side where long attentions lie between the products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.costs import cache_read_s, device_of
from armillary.errors import InputError
from armillary.hardware.gpu import Gpu
from armillary.power.memory import require_fit
from armillary.power.phases import cached_bytes_per_gpu, phases
from armillary.units import to_ticks_array
from armillary.workload.language_models import LanguageModel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

TICK_S = 1e-6
MILLI = 1e3


@dataclass(frozen=True, slots=True)
class ServiceColumns:
    """Columns of the requests, shape (requests,), and of the batches in decode, shape (largest batch + 1,)."""

    prefill_ticks: IntArray
    prefill_dynamic_mw: IntArray  # of all GPUs of an instance, above idle: the peak of the prompt
    prefill_mean_dynamic_mw: IntArray  # the same on average over the prompt
    prefill_bound: FloatArray
    tokens: IntArray  # to generate
    cache_step_ticks: FloatArray  # that reading the request's cache, half of its tokens made, adds to each step
    batch_step_ticks: FloatArray  # of a step with n requests, caches aside; [0] is 0
    batch_dynamic_mw: FloatArray  # of all GPUs of an instance; [0] is 0
    decode_bound: float
    idle_mw: int  # of all GPUs of an instance


def service_columns(
    model: LanguageModel,
    gpu: Gpu,
    *,
    tensor_parallel: int,
    prompt: npt.ArrayLike,
    output: npt.ArrayLike,
    dtype: str = "fp16",
    largest_batch: int = 1,
) -> ServiceColumns:
    """Return the columns of one service.

    Args:
        model: what it serves.
        gpu: what it serves on.
        tensor_parallel: GPUs of one instance.
        prompt: tokens of each request's prompt, shape (requests,), positive.
        output: tokens of each request's answer, shape (requests,), not negative (0 for an encoder).
        dtype: element type.
        largest_batch: requests that decode together at most.

    Raises:
        InputError: sizes that are too small; as `phases`.
        InfeasibleError: weights and caches of the longest requests do not fit.
    """
    prompt, output = np.atleast_1d(np.asarray(prompt, np.int64)), np.atleast_1d(np.asarray(output, np.int64))
    if prompt.shape != output.shape or prompt.ndim != 1 or len(prompt) == 0:
        raise InputError(
            "one prompt and one output a request", where="prompt, output", hint="equal lengths, at least 1"
        )
    if (output < 0).any() or largest_batch < 1:
        raise InputError("negative output or a batch below 1", where="output, largest_batch")
    context = prompt + output / 2
    require_fit(
        model, gpu, tensor_parallel=tensor_parallel, tokens=largest_batch * float((prompt + output).mean()), dtype=dtype
    )
    sizes, back = np.unique(prompt, return_inverse=True)
    one = phases(model, gpu, tensor_parallel=tensor_parallel, prompt=sizes, batch=1, context=0, dtype=dtype)
    batch = np.arange(1, largest_batch + 1)
    mean_context = float(context.mean())
    loaded = phases(
        model, gpu, tensor_parallel=tensor_parallel, prompt=1, batch=batch, context=mean_context, dtype=dtype
    )
    bare = phases(model, gpu, tensor_parallel=tensor_parallel, prompt=1, batch=batch, context=0, dtype=dtype)
    per_token = cached_bytes_per_gpu(model, tensor_parallel, gpu.element_bytes(dtype))
    idle_w, to_mw = gpu.power.idle.value, tensor_parallel * MILLI
    step, dynamic = np.zeros(largest_batch + 1), np.zeros(largest_batch + 1)
    if model.decoder_layers:
        step[1:] = bare.decode_s / TICK_S
        dynamic[1:] = (loaded.decode_power_w - idle_w) * to_mw
    return ServiceColumns(
        prefill_ticks=to_ticks_array(one.prefill_s, TICK_S)[back],
        prefill_dynamic_mw=np.rint((one.prefill_power_w - idle_w) * to_mw).astype(np.int64)[back],
        prefill_mean_dynamic_mw=np.rint((one.prefill_mean_power_w - idle_w) * to_mw).astype(np.int64)[back],
        prefill_bound=one.prefill_bound[back],
        tokens=output if model.decoder_layers else np.zeros_like(output),
        cache_step_ticks=cache_read_s(context * per_token, device_of(gpu, dtype)) / TICK_S,
        batch_step_ticks=step,
        batch_dynamic_mw=dynamic,
        decode_bound=float(loaded.decode_bound[len(batch) // 2]),
        idle_mw=round(idle_w * to_mw),
    )
