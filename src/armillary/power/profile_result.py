"""What a profile says: the figures, what bounds each phase, how far to trust them.

In:  figures of `power.profile`.
Out: `PhaseProfile` with its JSON, its summary and its run folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from armillary.hardware.gpu import Gpu, GpuCalibration
from armillary.hardware.parts import Span
from armillary.power.phases import Parts
from armillary.store import dumps_strict, writing_run
from armillary.timeline.run_info import RunInfo
from armillary.timeline.trust import Trust
from armillary.units import format_bytes, format_quantity
from armillary.workload.language_models import LanguageModel

SCHEMA = 1
KIND = "power profile"
_FRAME = ("inputs", "seed", "run")

# Part of a phase -> what to do about it.
REMEDIES = {
    "compute": "a GPU with a higher rate, a narrower element type, or a higher degree of tensor parallelism",
    "memory": "memory with a higher rate, narrower weights, or larger batches that share a read",
    "attention": "attention kernels that spread one head over many units",
    "links": "faster links, or a lower degree of tensor parallelism",
    "overhead": "fewer kernels (fusion, captured graphs), or larger batches",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """One thing that the time of a phase goes to."""

    what: str
    share: float  # of the time of the phase at the boost clock
    remedy: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PhaseProfile:
    """One batch of prompts from arrival to last token. Powers are of one GPU; None: the model makes no tokens."""

    model: str
    gpu: str
    tp: int
    prompt: int
    batch: int
    output: int
    dtype: str
    clock_mhz: float
    power_cap_w: float
    prefill_s: float
    ttft_s: float | None  # time to the first token: the prefill
    decode_s_per_token: float | None
    latency_s: float  # without queue and preparation
    preparation_s: float  # before the engine sees the prompts, GPUs idle
    tokens_per_s: float  # made by the batch; of an encoder, read
    peak_power_w: float
    settled_peak_power_w: float  # once a cap acts, which it does only after its lag; without one, the peak
    mean_power_w: float  # as a meter around the request shows it: preparation counts
    prefill_power_w: float  # the peak
    prefill_mean_power_w: float
    decode_power_w: float | None
    idle_power_w: float
    energy_j: float  # of all GPUs over the latency, idle power included
    energy_j_per_token: float  # that is made; of an encoder, read
    prefill_clock_mhz: float
    decode_clock_mhz: float | None
    prefill_sensitivity: float  # share b of the time that scales with the clock
    decode_sensitivity: float | None
    memory_bytes_per_gpu: float  # weights and caches
    prefill_bounds: tuple[Bound, ...]  # largest first
    decode_bounds: tuple[Bound, ...]
    trust: Trust
    inputs: Mapping[str, str]
    seed: int = 0
    run: RunInfo | None = None

    def figures(self) -> dict[str, object]:
        """Return the `result` block of the JSON."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _FRAME}

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`; null means not applicable."""
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "seed": self.seed,
            "inputs": self.inputs,
            "result": self.figures(),
            "run": self.run,
        }

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal; the last ones say what bounds the answer and how far to trust it."""
        settings = f"{self.clock_mhz:g} MHz, limit {self.power_cap_w:g} W"
        rows = [
            ("model", f"{self.model}, {self.dtype}, {self.batch} x {self.prompt} tokens in, {self.output} out"),
            ("on", f"{self.tp} x {self.gpu} at {settings}, {format_bytes(self.memory_bytes_per_gpu)} held each"),
            ("prefill", format_quantity(self.prefill_s, "s")),
        ]
        if self.decode_s_per_token is not None:
            rows.append(("decode", f"{format_quantity(self.decode_s_per_token, 's')} a token"))
        rows += [
            ("latency", f"{format_quantity(self.latency_s, 's')} ({self.tokens_per_s:.4g} tokens/s)"),
            ("peak power", f"{format_quantity(self.peak_power_w, 'W')} a GPU"),
            ("mean power", f"{format_quantity(self.mean_power_w, 'W')} a GPU"),
            (
                "energy",
                f"{format_quantity(self.energy_j, 'J')}, {format_quantity(self.energy_j_per_token, 'J')} a token",
            ),
        ]
        if self.prefill_clock_mhz < self.clock_mhz or (self.decode_clock_mhz or self.clock_mhz) < self.clock_mhz:
            decode = "" if self.decode_clock_mhz is None else f", decode at {self.decode_clock_mhz:.0f} MHz"
            rows.append(("under the cap", f"prefill settles at {self.prefill_clock_mhz:.0f} MHz{decode}"))
        rows += [
            (f"{phase} bound by", f"{found[0].what}, {found[0].share:.0%} of the time; {found[0].remedy}")
            for phase, found in (("prefill", self.prefill_bounds), ("decode", self.decode_bounds))
            if found
        ]
        return [*rows, *self.trust.rows()]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write the run folder (`result.json` and the manifest) and return it.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
        return folder


def bounds(parts: Parts) -> tuple[Bound, ...]:
    """Return what the time of the first case goes to, largest share first."""
    seconds = {
        "compute": parts.compute_s,
        "memory": parts.memory_s,
        "attention": parts.attention_s,
        "links": parts.links_s,
        "overhead": parts.overhead_s,
    }
    total = float(parts.total_s[0])
    shares = sorted(((float(part[0]) / total, what) for what, part in seconds.items()), reverse=True)
    return tuple(Bound(what, share, REMEDIES[what]) for share, what in shares if share > 0)


def trust(model: LanguageModel, gpu: Gpu, *, prompt: int, batch: int, tp: int, dtype: str) -> Trust:
    """Return how far figures of this case can be trusted."""
    fitted = gpu.calibration
    if fitted is None:
        return Trust(
            calibrated_range="none: data sheet and estimates",
            inside=False,
            expected_error=None,
            basis="nothing was measured on this GPU",
            improve=f"measure phases and power on a {gpu.name} and fit them with tools/fit_gpu_power.py",
        )
    inside = (
        model.name in fitted.models
        and dtype == "fp16"
        and all(span.low <= value <= span.high for span, value in _spans(fitted, prompt, batch, tp))
    )
    missing = "" if fitted.power else "; power was not measured and is an estimate"
    return Trust(
        calibrated_range=(
            f"{', '.join(fitted.models)} in fp16, {fitted.prompt.low:g} to {fitted.prompt.high:g} tokens, batch "
            f"{fitted.batch.low:g}, {fitted.tensor_parallel.low:g} to {fitted.tensor_parallel.high:g} {gpu.name}"
        ),
        inside=inside,
        expected_error=fitted.expected_error.value,
        basis=f"each model and degree left out of the fit by {fitted.fitted_by}{missing}",
        improve="measured power" if missing else "measured batches above 1",
    )


def _spans(fitted: GpuCalibration, prompt: int, batch: int, tp: int) -> list[tuple[Span, int]]:
    return [(fitted.prompt, prompt), (fitted.batch, batch), (fitted.tensor_parallel, tp)]
