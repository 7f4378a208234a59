"""One batch of prompts on GPUs, from its arrival to its last token: latency, power, energy, and what bounds them.

In:  a language model, a GPU, the degree of tensor parallelism, prompt, batch, output; a locked clock, a power cap.
Out: `PhaseProfile`.
Model: phases (power/phases.py) at the locked clock, then under the cap (power/capping.py). The last token of a prompt's
prefill is the first of its answer, so an answer of n tokens takes n - 1 steps. Powers are of one GPU, energies of all.
Mean power is what a meter around the request shows: its window opens while the prompt is prepared and the GPU idles.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from armillary.errors import InputError
from armillary.hardware.gpu import Gpu, load_gpu
from armillary.power.capping import under_cap
from armillary.power.memory import require_fit
from armillary.power.phases import dynamic_factor, phases, slow_down
from armillary.power.profile_result import PhaseProfile, bounds, trust
from armillary.store import content_key
from armillary.timeline.run_info import RunInfo
from armillary.workload.language_models import LanguageModel, load_language_model

MOST = 10**7  # tokens of a prompt, sequences of a batch: beyond, a number was mistyped


def profile(
    *,
    model: str | Path | LanguageModel,
    gpu: str | Path | Gpu,
    prompt: int,
    tp: int = 1,
    batch: int = 1,
    output: int = 128,
    clock_mhz: float | None = None,
    power_cap_w: float | None = None,
    dtype: str = "fp16",
    seed: int = 0,
) -> PhaseProfile:
    """Return latency, power and energy of one batch.

    Args:
        model: a language model by name, the `config.json` of a checkpoint, or a `LanguageModel`.
        gpu: a GPU by name, a YAML file, or a `Gpu`.
        prompt: tokens of each prompt.
        tp: degree of tensor parallelism: GPUs that share each layer.
        batch: prompts at once.
        output: tokens of each answer; an encoder makes none, whatever is given.
        clock_mhz: clock to which the GPUs are locked; None: boost.
        power_cap_w: power limit of each GPU; None: the default.
        dtype: element type of weights, activations and caches.
        seed: recorded with the result; nothing here is random.

    Raises:
        InputError: an unknown name, sizes below 1, or a clock, cap or element type that the GPU does not have.
        InfeasibleError: weights and caches do not fit the memory; names the shortfall.
    """
    started = perf_counter()
    network, device = load_language_model(model), load_gpu(gpu)
    for name, size in (("prompt", prompt), ("batch", batch), ("output", output), ("tp", tp)):
        if not 1 <= size <= MOST:
            raise InputError(f"{size} is out of range", where=name, hint=f"1 to {MOST}")
    clock, cap = device.check_clock(clock_mhz), device.check_limit(power_cap_w)
    answer = output if network.decoder_layers else 0
    at_boost = phases(
        network, device, tensor_parallel=tp, prompt=prompt, batch=batch, context=prompt + answer / 2, dtype=dtype
    )
    held = require_fit(network, device, tensor_parallel=tp, tokens=batch * (prompt + answer), dtype=dtype)
    idle, factor = device.power.idle.value, float(dynamic_factor(device, clock))
    prefill_b, decode_b = float(at_boost.prefill_bound[0]), float(at_boost.decode_bound[0])

    def at_clock(power_w: float) -> float:
        return idle + (power_w - idle) * factor

    prefill = under_cap(
        device,
        seconds=float(at_boost.prefill_s[0]) * slow_down(device, prefill_b, clock),
        power_w=at_clock(float(at_boost.prefill_mean_power_w[0])),
        bound=prefill_b,
        cap_w=cap,
        clock_mhz=clock,
        lag_s=device.power.lag.value,
    )
    decode = under_cap(
        device,
        seconds=float(at_boost.decode_s[0]) * slow_down(device, decode_b, clock),
        power_w=at_clock(float(at_boost.decode_power_w[0])),
        bound=decode_b,
        cap_w=cap,
        clock_mhz=clock,
        lag_s=0.0,
    )
    prefill_s, decode_s = float(prefill.seconds), float(decode.seconds)
    decoding_s = max(answer - 1, 0) * decode_s
    latency_s = prefill_s + decoding_s
    energy_j = prefill_s * float(prefill.mean_w) + decoding_s * float(decode.power_w)
    prepare_s = prompt * batch * device.timing.preparation.value
    prefill_peak_w = at_clock(float(at_boost.prefill_power_w[0]))
    settled = float(dynamic_factor(device, prefill.clock_mhz)) / factor
    decode_w = float(decode.power_w) if answer else None
    tokens = batch * (answer or prompt)
    return PhaseProfile(
        inputs={
            "model": network.name if network.published_parameters else content_key(asdict(network)),
            "gpu": content_key(device.model_dump(mode="json", by_alias=True)),
        },
        seed=seed,
        run=RunInfo.now(wall_s=perf_counter() - started),
        trust=trust(network, device, prompt=prompt, batch=batch, tp=tp, dtype=dtype),
        model=network.name,
        gpu=device.name,
        tp=tp,
        prompt=prompt,
        batch=batch,
        output=answer,
        dtype=dtype,
        clock_mhz=clock,
        power_cap_w=cap,
        prefill_s=prefill_s,
        ttft_s=prefill_s if answer else None,
        decode_s_per_token=decode_s if answer else None,
        latency_s=latency_s,
        preparation_s=prepare_s,
        tokens_per_s=tokens / latency_s,
        peak_power_w=max(prefill_peak_w, decode_w or 0.0),
        settled_peak_power_w=max(idle + (prefill_peak_w - idle) * settled, decode_w or 0.0),
        mean_power_w=(energy_j + idle * prepare_s) / (latency_s + prepare_s),
        prefill_power_w=prefill_peak_w,
        prefill_mean_power_w=float(prefill.mean_w),
        decode_power_w=decode_w,
        idle_power_w=idle,
        energy_j=tp * energy_j,
        energy_j_per_token=tp * energy_j / tokens,
        prefill_clock_mhz=float(prefill.clock_mhz),
        decode_clock_mhz=float(decode.clock_mhz) if answer else None,
        prefill_sensitivity=prefill_b,
        decode_sensitivity=decode_b if answer else None,
        memory_bytes_per_gpu=held,
        prefill_bounds=bounds(at_boost.prefill_parts),
        decode_bounds=bounds(at_boost.decode_parts) if answer else (),
    )
