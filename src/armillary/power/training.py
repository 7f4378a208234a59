"""Training jobs: iterations whose power swings in step over all GPUs, and what a cap or a lock does to them.

In:  a kind of job and a GPU, a clock; or the mean power of a job and a cap.
Out: `Iteration`, a trapezoid as segments; `CapTraining`, slow-down and mean power under a cap.
Model: (1) an iteration stays at its plateau (the power limit) and dips to a share of the limit at its boundary
           (ASPLOS'24: RoBERTa 75 %, GPT-NeoX 50 %, Flan-T5 20 %, idle), with linear ramps;
       (2) a lock slows the plateau down by b f0 / f + 1 - b (A100: 20 % lower peak for 10 % loss, ASPLOS'24), and
           communication at the boundary not at all;
       (3) under a cap the plateau finds the clock at which idle + dynamic power (f / f0)^alpha equals the cap; a job of
           mean power m has its plateau at crest x m, at most the limit, for `duty` of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from armillary.errors import unknown_name
from armillary.hardware.gpu import Gpu
from armillary.power.phases import FloatArray, dynamic_factor, slow_down

DIPS: Final = {"roberta-355m": 0.75, "gpt-neox-20b": 0.5, "flan-t5-xxl": 0.2}  # share of the limit: ASPLOS'24
ITERATION_S: Final = {"roberta-355m": 1.0, "gpt-neox-20b": 8.0, "flan-t5-xxl": 4.0}  # estimates: not published
DIP_SHARE: Final = 0.15  # of an iteration, ramps included (estimate)
RAMP_SHARE: Final = 0.25  # of the dip, each side (estimate)
LEAST_CLOCK: Final = 1e-3  # of the boost clock, below which the controller is not followed


@dataclass(frozen=True, slots=True)
class Iteration:
    """One iteration: segments of one GPU one after the other, each field of shape (segments,)."""

    duration_s: FloatArray  # at the clock asked for
    power_w: FloatArray  # at the clock asked for; of a ramp its mean
    bound: FloatArray  # share that scales with the clock

    @property
    def mean_w(self) -> float:
        """Mean power over the iteration."""
        return float((self.duration_s * self.power_w).sum() / self.duration_s.sum())


@dataclass(frozen=True, slots=True)
class CapTraining:
    """Training jobs under a power cap, each field of shape (jobs,)."""

    slow_down: FloatArray  # time over time without the cap
    mean_w: FloatArray
    clock_share: FloatArray  # of the plateau, over the boost clock


def training_iteration(job: str, gpu: Gpu, *, clock_mhz: float | None = None) -> Iteration:
    """Return one iteration of `job` on `gpu` at a locked clock (None: boost).

    Raises:
        InputError: no such job, or a clock that the GPU does not have.
    """
    if job not in DIPS:
        raise unknown_name("training job", job, DIPS)
    clock = gpu.check_clock(clock_mhz)
    limit, idle = gpu.power.limit.value, gpu.power.idle.value
    dip = max(DIPS[job] * limit, idle)
    ramp = (limit + dip) / 2
    shares = np.array([1 - DIP_SHARE, DIP_SHARE * RAMP_SHARE, DIP_SHARE * (1 - 2 * RAMP_SHARE), DIP_SHARE * RAMP_SHARE])
    power = np.array([limit, ramp, dip, ramp])
    bound = np.where(power >= limit, gpu.training.bound.value, 0.0)
    return Iteration(
        duration_s=ITERATION_S[job] * shares * slow_down(gpu, bound, clock),
        power_w=idle + (power - idle) * dynamic_factor(gpu, clock),
        bound=bound,
    )


def capped_training(gpu: Gpu, *, mean_w: npt.ArrayLike, cap_w: npt.ArrayLike) -> CapTraining:
    """Return what caps do to training jobs (equation 3).

    Args:
        gpu: idle power, limit, exponent, and the shape of its training jobs.
        mean_w: mean power of each job at the default limit, shape (jobs,).
        cap_w: power cap of each, watts.
    """
    mean, cap = np.asarray(mean_w, np.float64), np.asarray(cap_w, np.float64)
    idle, limit, shape = gpu.power.idle.value, gpu.power.limit.value, gpu.training
    duty = shape.duty.value
    plateau = np.minimum(shape.crest.value * mean, limit)
    valley = np.maximum((mean - duty * plateau) / (1 - duty), 0.0)
    room = (cap - idle) / np.maximum(plateau - idle, 1.0)
    clock = np.clip(room, LEAST_CLOCK, 1.0) ** (1 / gpu.power.exponent.value)
    bound = shape.bound.value
    stretched = duty * (bound / clock + 1 - bound)
    slower = stretched + 1 - duty
    power = (stretched * np.minimum(plateau, cap) + (1 - duty) * np.minimum(valley, cap)) / slower
    return CapTraining(slow_down=slower, mean_w=power, clock_share=clock)
