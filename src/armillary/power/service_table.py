"""What requests of one class cost, by their sizes: phases of the model on the GPUs, once for all requests.

In:  a model, a server's GPUs, the range of prompts, the mean output, the largest batch.
Out: `ServiceTable`; `fill` writes the columns of a `row.records.REQUEST` array.
Prompts index the table; what reading a cache adds to each step is linear in prompt + output / 2 (costs/attention.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.hardware.gpu import Gpu
from armillary.power.service import service_columns
from armillary.workload.language_models import LanguageModel

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """Costs of a class at full clock, in ticks and milliwatts of one server's GPUs above idle."""

    lowest_prompt: int
    prefill: IntArray  # shape (prompts,), of lowest_prompt, lowest_prompt + 1, ...
    prefill_mw: IntArray
    prefill_bound: FloatArray
    cache_step: float  # ticks of a decode step for each token of a cache
    step: FloatArray  # shape (largest batch + 1,), ticks of a decode step, caches aside
    dynamic_mw: FloatArray
    decode_bound: float
    idle_mw: int

    def seconds_per_request(self, prompt: float, output: float, tick_s: float) -> float:
        """Return the time of a server with its largest batch that one request of these mean sizes takes."""
        batch = len(self.step) - 1
        step = self.step[batch] + batch * self.cache_step * (prompt + output / 2)
        prefill = float(np.interp(prompt - self.lowest_prompt, np.arange(len(self.prefill)), self.prefill))
        return float((prefill + output * step / batch) * tick_s)

    def fill(self, rows: npt.NDArray[np.void], prompt: IntArray, output: IntArray) -> npt.NDArray[np.void]:
        """Return `rows` (REQUEST) with what requests of these sizes cost."""
        place = prompt - self.lowest_prompt
        rows["prefill"], rows["prefill_mw"] = self.prefill[place], self.prefill_mw[place]
        rows["prefill_bound"], rows["tokens"] = self.prefill_bound[place], output
        rows["cache_step"] = self.cache_step * (prompt + output / 2)
        return rows


def service_table(
    model: LanguageModel,
    gpu: Gpu,
    *,
    tensor_parallel: int,
    lowest_prompt: int,
    highest_prompt: int,
    mean_output: float,
    largest_batch: int,
    power_factor: float = 1.0,
) -> ServiceTable:
    """Return the table of a class.

    Args:
        model: what it serves.
        gpu: what it serves on.
        tensor_parallel: GPUs of one server.
        lowest_prompt, highest_prompt: range of prompts, tokens.
        mean_output: tokens, for the caches that a typical batch holds.
        largest_batch: requests in decode together.
        power_factor: on all power above idle; 1.05 for a workload 5 % hungrier than its profile.

    Raises:
        InputError: as `service_columns`.
        InfeasibleError: the memory does not hold the weights and the caches of the largest batch.
    """
    prompt = np.arange(lowest_prompt, highest_prompt + 1)
    output = np.full_like(prompt, round(mean_output))
    columns = service_columns(
        model, gpu, tensor_parallel=tensor_parallel, prompt=prompt, output=output, largest_batch=largest_batch
    )
    return ServiceTable(
        lowest_prompt=lowest_prompt,
        prefill=columns.prefill_ticks,
        prefill_mw=np.rint(columns.prefill_dynamic_mw * power_factor).astype(np.int64),
        prefill_bound=columns.prefill_bound,
        cache_step=float(columns.cache_step_ticks[-1] / (prompt[-1] + output[-1] / 2)),
        step=columns.batch_step_ticks,
        dynamic_mw=columns.batch_dynamic_mw * power_factor,
        decode_bound=columns.decode_bound,
        idle_mw=columns.idle_mw,
    )
