"""Phases of a language model on a device of which another ring measured what it did: an NPU, say.

In:  `ActivityProfile`s of one prefill and of one decode step (the command line takes them from the NPU ring).
Out: `DeviceProfile`: latency, power and energy of a request on that device, with its JSON, summary and run folder.
Model: power of a phase is its energy over its time, the peak that of the trace. The share b of a phase that scales with
the clock is the time in which a compute engine worked; what memory or link took besides goes on at its own clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from armillary.errors import InputError
from armillary.power.profile_result import KIND, SCHEMA
from armillary.store import dumps_strict, writing_run
from armillary.timeline.run_info import RunInfo
from armillary.timeline.trust import Trust
from armillary.units import format_quantity
from armillary.workload import ActivityProfile

_FRAME = ("inputs", "seed", "run")


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceProfile:
    """One request from arrival to last token on one device."""

    model: str
    device: str
    prompt: int
    output: int
    batch: int
    prefill_s: float
    decode_s_per_token: float
    latency_s: float  # without queue
    tokens_per_s: float
    peak_power_w: float
    mean_power_w: float
    prefill_power_w: float  # mean
    decode_power_w: float  # mean
    energy_j: float
    energy_j_per_token: float
    prefill_sensitivity: float  # share b of the time that scales with the clock
    decode_sensitivity: float
    trust: Trust
    inputs: Mapping[str, str]
    seed: int = 0
    run: RunInfo | None = None

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`."""
        figures = {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _FRAME}
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "seed": self.seed,
            "inputs": self.inputs,
            "result": figures,
            "run": self.run,
        }

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal; the last ones say how far to trust them."""
        return [
            ("model", f"{self.model}, {self.batch} x {self.prompt} tokens in, {self.output} out"),
            ("on", self.device),
            ("prefill", format_quantity(self.prefill_s, "s")),
            ("decode", f"{format_quantity(self.decode_s_per_token, 's')} a token"),
            ("latency", f"{format_quantity(self.latency_s, 's')} ({self.tokens_per_s:.4g} tokens/s)"),
            ("peak power", format_quantity(self.peak_power_w, "W")),
            ("mean power", format_quantity(self.mean_power_w, "W")),
            (
                "energy",
                f"{format_quantity(self.energy_j, 'J')}, {format_quantity(self.energy_j_per_token, 'J')} a token",
            ),
            (
                "bound by",
                f"compute for {self.prefill_sensitivity:.0%} of the prefill and {self.decode_sensitivity:.0%} of a "
                "decode step; memory and links for the rest",
            ),
            *self.trust.rows(),
        ]

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write the run folder (`result.json` and the manifest) and return it.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        about = {"schema": SCHEMA, "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
        return folder


def profile_of(
    prefill: ActivityProfile,
    decode: ActivityProfile,
    *,
    prompt: int,
    output: int,
    batch: int = 1,
    inputs: Mapping[str, str] | None = None,
    seed: int = 0,
) -> DeviceProfile:
    """Return the profile of a request whose prompt takes `prefill`, and each further token `decode`.

    Args:
        prefill: the whole prompt, up to the first token.
        decode: one step, of the middle of the answer.
        prompt: tokens of the prompt, as `prefill` was measured with.
        output: tokens of the answer.
        batch: prompts at once, in both.
        inputs: what the two were measured on, for the record.
        seed: recorded with the result; nothing here is random.

    Raises:
        InputError: the two are of different devices, or a size is below 1.
    """
    if prefill.device != decode.device:
        raise InputError(
            f"prefill on {prefill.device} and decode on {decode.device}", hint="measure both on one device"
        )
    for name, size in (("prompt", prompt), ("output", output), ("batch", batch)):
        if size < 1:
            raise InputError(f"{size} is out of range", where=name, hint="at least 1")
    latency_s = prefill.duration_s + (output - 1) * decode.duration_s
    energy_j = prefill.energy_j + (output - 1) * decode.energy_j
    return DeviceProfile(
        model=prefill.work,
        device=prefill.device,
        prompt=prompt,
        output=output,
        batch=batch,
        prefill_s=prefill.duration_s,
        decode_s_per_token=decode.duration_s,
        latency_s=latency_s,
        tokens_per_s=batch * output / latency_s,
        peak_power_w=max(prefill.peak_power_w, decode.peak_power_w if output > 1 else 0.0),
        mean_power_w=energy_j / latency_s,
        prefill_power_w=prefill.mean_power_w,
        decode_power_w=decode.mean_power_w,
        energy_j=energy_j,
        energy_j_per_token=energy_j / (batch * output),
        prefill_sensitivity=prefill.compute_share,
        decode_sensitivity=decode.compute_share,
        trust=Trust(
            calibrated_range="none: energies of the device are sums over published energies of operations",
            inside=False,
            expected_error=None,
            basis="times as far as the ring that measured them is trusted; watts were not compared with a meter",
            improve=f"measured power of a {prefill.device} over one prefill and one decode step",
        ),
        inputs=dict(inputs or {}),
        seed=seed,
        run=None,
    )
