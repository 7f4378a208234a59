"""How language models draw power and take time on a GPU, over everything that can be set.

In:  a GPU, language models. Out: `Characterization`: one row a case, sweep by sweep; a lock against a cap; inference
against training; the front of energy and speed.
Every case is a `profile`; one that does not fit the memory stays in its table with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from armillary.errors import InfeasibleError, InputError
from armillary.hardware.gpu import Gpu, load_gpu
from armillary.power.profile import profile
from armillary.power.profile_result import PhaseProfile
from armillary.power.training import DIPS, training_iteration
from armillary.store import dumps_strict, writing_run
from armillary.workload.language_models import LanguageModel, load_language_model

KIND: Final = "power characterize"
SCHEMA: Final = 1
PROMPTS: Final = (128, 256, 512, 1024, 2048, 4096, 8192)
OUTPUTS: Final = (16, 64, 128, 256, 512, 1024)
BATCHES: Final = (1, 2, 4, 8, 16, 32, 64)
DEGREES: Final = (1, 2, 4, 8)
CLOCKS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the boost clock
CAPS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the limit
LEVELS: Final = (0.95, 0.90, 0.85, 0.80, 0.75, 0.70)  # of peak power, at which lock and cap are compared
PROMPT, OUTPUT, BATCH = 2048, 128, 1  # where the sweeps cross


@dataclass(frozen=True, slots=True)
class Setting:
    """What is set for one case."""

    model: str
    tp: int
    prompt: int
    output: int
    batch: int
    dtype: str
    clock_mhz: float | None = None
    power_cap_w: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a sweep. Powers are of one GPU, in watts and as shares of its limit; None where it does not fit."""

    sweep: str  # what varies: prompt, output, batch, tp, dtype, clock, cap
    model: str
    tp: int
    prompt: int
    output: int
    batch: int
    dtype: str
    clock_mhz: float | None
    power_cap_w: float | None
    prefill_s: float | None = None
    decode_s_per_token: float | None = None
    latency_s: float | None = None
    tokens_per_s: float | None = None
    peak_power_w: float | None = None
    mean_power_w: float | None = None
    peak_of_limit: float | None = None
    energy_j_per_token: float | None = None
    inside_calibration: bool | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class LockOrCap:
    """The same level of power reached by a locked clock and by a reactive cap."""

    model: str
    level: float  # of peak power without either
    clock_mhz: float  # of the lock
    lock_peak_w: float
    lock_loss: float  # of latency
    cap_w: float
    cap_peak_w: float  # spikes shorter than the lag of the controller pass over it
    cap_loss: float


@dataclass(frozen=True, slots=True)
class Swing:
    """Peak, mean and dip of power of a job, and what a lock to 80 % of its peak costs."""

    work: str
    kind: str  # inference or training
    peak_w: float
    mean_w: float
    lowest_w: float
    mean_of_peak: float
    loss_at_80: float


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """A setting of a model that no other one beats in both energy and speed."""

    model: str
    tp: int
    batch: int
    clock_mhz: float
    latency_s: float
    tokens_per_s_per_gpu: float
    energy_j_per_token: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Characterization:
    """Tables of a GPU; each is a list of rows."""

    gpu: str
    models: tuple[str, ...]
    limit_w: float
    idle_w: float
    cases: tuple[Case, ...]
    lock_or_cap: tuple[LockOrCap, ...]
    swings: tuple[Swing, ...]
    front: tuple[FrontPoint, ...]
    seed: int = 0

    def to_json(self) -> dict[str, object]:
        """Return all tables."""
        figures = {"gpu": self.gpu, "models": self.models, "limit_w": self.limit_w, "idle_w": self.idle_w}
        return {"schema": SCHEMA, "kind": KIND, "seed": self.seed, "result": figures | self.tables()}

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of each table by its name."""
        tables: Mapping[str, Sequence[Any]] = {
            "cases": self.cases, "lock_or_cap": self.lock_or_cap, "swings": self.swings, "front": self.front,
        }  # fmt: skip
        return {name: [asdict(row) for row in rows] for name, rows in tables.items()}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal."""
        ran = [case for case in self.cases if case.refused is None]
        peak = max((case.peak_of_limit or 0.0 for case in ran), default=0.0)
        rows = [
            ("gpu", f"{self.gpu}, limit {self.limit_w:g} W, idle {self.idle_w:g} W"),
            ("cases", f"{len(ran)} of {len(self.models)} models; {len(self.cases) - len(ran)} do not fit the memory"),
            ("highest peak", f"{peak:.0%} of the limit"),
        ]
        rows += [
            (
                f"{one.model} at {one.level:.0%} of its peak",
                f"lock to {one.clock_mhz:.0f} MHz: {one.lock_loss:+.1%}; "
                f"cap of {one.cap_w:.0f} W: {one.cap_loss:+.1%}, spikes to {one.cap_peak_w:.0f} W",
            )
            for one in self.lock_or_cap
            if one.level == 0.80
        ]
        inference = [swing.mean_of_peak for swing in self.swings if swing.kind == "inference"]
        training = [swing.mean_of_peak for swing in self.swings if swing.kind == "training"]
        if inference and training:
            rows.append(("mean of peak", f"inference {np.mean(inference):.0%}, training {np.mean(training):.0%}"))
        return rows

    def save(self, folder: Path, *, overwrite: bool = False) -> Path:
        """Write `result.json`, a CSV and a Parquet file a table, and the page with pictures; return the folder.

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        import polars as pl

        from armillary.power.figures_characterize import page

        about = {"schema": SCHEMA, "seed": self.seed, "inputs": {"gpu": self.gpu, "models": ", ".join(self.models)}}
        with writing_run(folder, kind=KIND, about=about, overwrite=overwrite) as run:
            run.write_text("result.json", dumps_strict(self.to_json()))
            for name, rows in self.tables().items():
                frame = pl.DataFrame(rows, infer_schema_length=None)
                run.write_text(f"{name}.csv", frame.write_csv())
                run.write_with(f"{name}.parquet", frame.write_parquet)
            run.write_text("report.html", page(self))
        return folder


def characterize(*, gpu: str | Path | Gpu, models: Sequence[str | LanguageModel], seed: int = 0) -> Characterization:
    """Return the tables of `models` on `gpu`.

    Args:
        gpu: a GPU by name, a YAML file, or a `Gpu`.
        models: language models by name.
        seed: recorded; nothing here is random.

    Raises:
        InputError: no model, or an unknown name.
        InfeasibleError: none of the models fits one server of these GPUs.
    """
    device, networks = load_gpu(gpu), [load_language_model(model) for model in models]
    if not networks:
        raise InputError("no language model", where="models", hint="for example llama2-70b bloom-176b")
    starts = {network.name: _start(network, device) for network in networks}
    fitting = {name: setting for name, setting in starts.items() if setting is not None}
    if not fitting:
        raise InfeasibleError(f"none of {', '.join(starts)} fits {device.link.devices} {device.name}")
    cases = [case for setting in fitting.values() for case in _sweeps(setting, device)]
    cases += [
        _refused("tp", _setting(network, device.link.devices), "does not fit the GPUs of one server")
        for network in networks
        if starts[network.name] is None
    ]
    return Characterization(
        gpu=device.name,
        models=tuple(starts),
        limit_w=device.power.limit.value,
        idle_w=device.power.idle.value,
        cases=tuple(cases),
        lock_or_cap=tuple(row for setting in fitting.values() for row in _lock_or_cap(setting, device)),
        swings=(*(_inference(setting, device) for setting in fitting.values()), *_training(device)),
        front=tuple(point for setting in fitting.values() for point in _front(setting, device)),
        seed=seed,
    )


def _setting(network: LanguageModel, tp: int) -> Setting:
    return Setting(network.name, tp, PROMPT, OUTPUT, BATCH, "fp16")


def _start(network: LanguageModel, device: Gpu) -> Setting | None:
    """Return the setting at the lowest degree that fits, None where none does."""
    for tp in DEGREES:
        if tp <= device.link.devices and network.heads % tp == 0 and _run(_setting(network, tp), device) is not None:
            return _setting(network, tp)
    return None


def _run(setting: Setting, device: Gpu) -> PhaseProfile | None:
    try:
        return profile(gpu=device, **asdict(setting))
    except InfeasibleError:
        return None


def _sweeps(start: Setting, device: Gpu) -> list[Case]:
    boost, limit = device.boost_mhz, device.power.limit.value
    variants: dict[str, list[Setting]] = {
        "prompt": [replace(start, prompt=prompt) for prompt in PROMPTS],
        "output": [replace(start, output=output) for output in OUTPUTS],
        "batch": [replace(start, batch=batch) for batch in BATCHES],
        "tp": [replace(start, tp=tp) for tp in DEGREES if tp <= device.link.devices],
        "dtype": [replace(start, dtype=dtype) for dtype in sorted(device.flop_per_s)],
        "clock": [replace(start, clock_mhz=round(share * boost)) for share in CLOCKS],
        "cap": [replace(start, power_cap_w=share * limit) for share in CAPS if share * limit >= _lowest_cap(device)],
    }
    return [_case(sweep, setting, device) for sweep, settings in variants.items() for setting in settings]


def _lowest_cap(device: Gpu) -> float:
    return device.power.lowest_limit.value


def _case(sweep: str, setting: Setting, device: Gpu) -> Case:
    try:
        found = profile(gpu=device, **asdict(setting))
    except (InfeasibleError, InputError) as refusal:
        return _refused(sweep, setting, str(refusal))
    return Case(
        sweep=sweep,
        **asdict(setting),
        prefill_s=found.prefill_s,
        decode_s_per_token=found.decode_s_per_token,
        latency_s=found.latency_s,
        tokens_per_s=found.tokens_per_s,
        peak_power_w=found.peak_power_w,
        mean_power_w=found.mean_power_w,
        peak_of_limit=found.peak_power_w / device.power.limit.value,
        energy_j_per_token=found.energy_j_per_token,
        inside_calibration=found.trust.inside,
    )


def _refused(sweep: str, setting: Setting, why: str) -> Case:
    return Case(sweep=sweep, **asdict(setting), refused=why)


def _clock_at(device: Gpu, peak_w: float, level: float) -> float:
    """Return the clock at which work that peaks at `peak_w` draws `level` of it (phases.py, equation 5)."""
    idle = device.power.idle.value
    share = max(level * peak_w - idle, 0.0) / (peak_w - idle)
    clock = device.boost_mhz * share ** (1.0 / device.power.exponent.value)
    return float(max(clock, device.clocks.lowest.value / 1e6))


def _lock_or_cap(start: Setting, device: Gpu) -> list[LockOrCap]:
    free = profile(gpu=device, **asdict(start))
    rows = []
    for level in LEVELS:
        clock, cap = _clock_at(device, free.peak_power_w, level), level * free.peak_power_w
        if not _lowest_cap(device) <= cap <= device.power.highest_limit.value:
            continue
        locked = profile(gpu=device, **asdict(replace(start, clock_mhz=clock)))
        capped = profile(gpu=device, **asdict(replace(start, power_cap_w=cap)))
        rows.append(
            LockOrCap(
                model=start.model,
                level=level,
                clock_mhz=clock,
                lock_peak_w=locked.peak_power_w,
                lock_loss=locked.latency_s / free.latency_s - 1.0,
                cap_w=cap,
                cap_peak_w=capped.peak_power_w,
                cap_loss=capped.latency_s / free.latency_s - 1.0,
            )
        )
    return rows


def _inference(start: Setting, device: Gpu) -> Swing:
    free = profile(gpu=device, **asdict(start))
    locked = profile(gpu=device, **asdict(replace(start, clock_mhz=_clock_at(device, free.peak_power_w, 0.8))))
    lowest = min(free.prefill_power_w, free.decode_power_w or free.prefill_power_w)
    peak, mean = free.peak_power_w, free.mean_power_w
    return Swing(start.model, "inference", peak, mean, lowest, mean / peak, locked.latency_s / free.latency_s - 1.0)


def _training(device: Gpu) -> list[Swing]:
    rows = []
    for job in DIPS:
        free = training_iteration(job, device)
        peak = float(free.power_w.max())
        locked = training_iteration(job, device, clock_mhz=_clock_at(device, peak, 0.8))
        loss = float(locked.duration_s.sum() / free.duration_s.sum() - 1.0)
        rows.append(Swing(job, "training", peak, free.mean_w, float(free.power_w.min()), free.mean_w / peak, loss))
    return rows


def _front(start: Setting, device: Gpu) -> list[FrontPoint]:
    """Return the settings over degree, batch and clock that no other one beats in energy and in tokens a GPU."""
    points = []
    for tp in (degree for degree in DEGREES if start.tp <= degree <= device.link.devices):
        for batch in BATCHES:
            for share in CLOCKS:
                clock = float(round(share * device.boost_mhz))
                found = _run(replace(start, tp=tp, batch=batch, clock_mhz=clock), device)
                if found is None:
                    break  # a batch that does not fit fits at no clock
                rate = found.tokens_per_s / tp
                points.append(
                    FrontPoint(start.model, tp, batch, clock, found.latency_s, rate, found.energy_j_per_token)
                )
    points.sort(key=lambda point: (-point.tokens_per_s_per_gpu, point.energy_j_per_token))
    least = np.minimum.accumulate([point.energy_j_per_token for point in points])
    return [point for at, point in enumerate(points) if at == 0 or point.energy_j_per_token < least[at - 1]]
