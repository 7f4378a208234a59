"""Fit what serving engines reach and cost on A100 and H100, and power caps of V100 and P100; say how far it carries.

In:  `data/power/` below the data root (or `--data DIR`): a100_phase_profile.csv, h100_phase_latency.csv, and the Zeus
     traces zeus_power_cap_{v100,p100}.csv.
Out: parameters, errors in the fit, errors of each (model, tensor parallelism) when the fit leaves it out, and errors of
     rows that no fit saw; `--write` puts the parameters into the GPU files of the catalogue.
Rows: batch 1, 128 output tokens, repeats averaged once each (the file lists some three times). A100: the prompts of the
specification's table 3.2, time and power; H100: all prompts, time alone (power 0 means missing).
Objective: soft-L1 of log(model / measured) plus a ridge to a physical starting point, so that what the rows do not tell
stays where it was. Caps: soft-L1 of log(slow-down) over jobs, and half as heavy of log(mean power).
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from armillary.hardware.gpu import Gpu, load_gpu
from armillary.hardware.quantity import Quantity
from armillary.power.profile import profile
from armillary.power.training import CapTraining, capped_training
from armillary.store import data_file
from armillary.units import format_quantity

FloatArray = npt.NDArray[np.float64]

CATALOGUE = Path(__file__).resolve().parents[1] / "src" / "armillary" / "hardware" / "gpus"
OUTPUT = 128
SOFT = 0.03
RIDGE = 0.03  # of log(value / start)
TIMES = ("prefill_s", "decode_s_per_token")
POWERS = ("peak_power_w", "mean_power_w")
WEIGHTS = {"prefill_s": 1.0, "decode_s_per_token": 1.5, "peak_power_w": 1.0, "mean_power_w": 1.5}
LIMITS = {
    "gemm_efficiency": 0.95, "attention_efficiency": 0.9, "memory_efficiency": 0.93, "gemm_tail": 1.5, "overshoot": 0.1,
}  # fmt: skip
TIMING = {
    "gemm_efficiency": 0.8, "gemm_tail": 0.5, "attention_efficiency": 0.45, "memory_efficiency": 0.85,
    "ring_step": 7e-6, "kernel": 8e-6, "launch": 30e-6, "request": 2e-3,
}  # fmt: skip
POWER = {"preparation": 3e-4, "active": 40.0, "per_flop": 1.5e-12, "per_byte": 140e-12, "overshoot": 0.04}
Row = tuple[str, int, int]  # model, tensor parallelism, prompt


@dataclass(frozen=True, slots=True)
class Source:
    """A GPU, the file it was measured in, which figures and rows are fitted, and which parameters."""

    gpu: str
    file: str
    figures: tuple[str, ...]
    start: Mapping[str, float]
    fitted_prompts: Mapping[str, tuple[int, ...]]


SOURCES = (
    Source(
        "a100-80gb",
        "data/power/a100_phase_profile.csv",
        (*TIMES, *POWERS),
        TIMING | POWER,
        {"bloom-176b": (128, 512, 2048, 8192), "llama2-70b": (128, 512, 2048, 4096)},
    ),
    Source(
        "h100-80gb",
        "data/power/h100_phase_latency.csv",
        TIMES,
        TIMING | {"gemm_efficiency": 0.65},
        {"bloom-176b": (128, 512, 2048, 8192), "llama2-70b": (128, 512, 2048, 8192)},
    ),
)


def measured(path: Path, limit_w: float) -> dict[Row, dict[str, float]]:
    """Return the mean of the distinct repeats of each row with `OUTPUT` tokens, watts; missing powers are left out."""
    repeats: dict[Row, set[tuple[float, ...]]] = defaultdict(set)
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            if int(line["token_size"]) != OUTPUT or int(line["batch_size"]) != 1:
                continue
            row = (line["model"], int(line["tensor_parallel"]), int(line["prompt_size"]))
            columns = ("prompt_time", "token_time", "peak_power", "average_power")
            repeats[row].add(tuple(float(line[name]) for name in columns))
    found = {}
    for row, values in repeats.items():
        prompt_ms, token_ms, peak, mean = np.mean(sorted(values), axis=0)
        powers = {"peak_power_w": peak * limit_w, "mean_power_w": mean * limit_w}
        found[row] = {"prefill_s": prompt_ms / 1e3, "decode_s_per_token": token_ms / 1e3} | {
            name: float(watts) for name, watts in powers.items() if watts > 0
        }
    return found


def with_values(gpu: Gpu, values: Mapping[str, float]) -> Gpu:
    """Return `gpu` with parameters of its timing and power replaced."""
    parts = {}
    for name in ("timing", "power"):
        part = getattr(gpu, name)
        known = {key: Quantity(value) for key, value in values.items() if key in type(part).model_fields}
        parts[name] = part.model_copy(update=known)
    return gpu.model_copy(update=parts)


def errors(gpu: Gpu, rows: Mapping[Row, Mapping[str, float]], figures: Sequence[str]) -> FloatArray:
    """Return log(model / measured), shape (rows, figures), NaN where nothing was measured."""
    table = np.full((len(rows), len(figures)), np.nan)
    for index, ((model, degree, prompt), values) in enumerate(rows.items()):
        shown = profile(model=model, gpu=gpu, tp=degree, prompt=prompt, output=OUTPUT)
        for column, figure in enumerate(figures):
            if figure in values:
                table[index, column] = np.log(getattr(shown, figure) / values[figure])
    return table


def fit(source: Source, rows: Mapping[Row, Mapping[str, float]]) -> dict[str, float]:
    """Return the parameters that fit `rows` best, from several beginnings."""
    gpu, names = load_gpu(source.gpu), list(source.start)
    start = np.array([source.start[name] for name in names])
    upper = np.log(np.array([LIMITS.get(name, 8.0 * source.start[name]) for name in names]) / start)
    weights = np.array([WEIGHTS[name] for name in source.figures])

    def residuals(logs: FloatArray) -> FloatArray:
        values = dict(zip(names, start * np.exp(logs), strict=True))
        misses = errors(with_values(gpu, values), rows, source.figures) * weights
        return np.concatenate([misses.ravel(), RIDGE * logs])

    def search(launch: float) -> tuple[float, FloatArray]:
        begin = np.zeros(len(names))
        begin[names.index("launch")] = np.log(launch)
        found = least_squares(residuals, begin, bounds=(-4.0, upper), loss="soft_l1", f_scale=SOFT, diff_step=1e-4)
        return float(found.cost), found.x

    _, logs = min((search(launch) for launch in (0.6, 1.2)), key=lambda pair: pair[0])
    return dict(zip(names, (float(f"{value:.3g}") for value in start * np.exp(logs)), strict=True))


def mean_absolute(misses: FloatArray) -> list[str]:
    """Return the mean of |relative error| of each column, as text."""
    return [f"{value:.1%}" for value in np.nanmean(np.abs(np.expm1(misses)), axis=0)]


def fit_phases(source: Source, root: Path | None) -> dict[str, float]:
    """Fit one GPU and print how well it carries."""
    gpu = load_gpu(source.gpu)
    everything = measured(data_file(source.file, root=root), gpu.power.limit.value)
    fitted = {row: v for row, v in everything.items() if row[2] in source.fitted_prompts[row[0]]}
    # Mean power of the 8192-token prompts of Llama 2 is that of an idle GPU: bad data, as the specification says.
    values = fit(source, fitted)
    print(f"\n{source.gpu}: " + ", ".join(f"{name} {value:.3g}" for name, value in values.items()))
    print(
        "in the fit      ",
        dict(zip(source.figures, mean_absolute(errors(with_values(gpu, values), fitted, source.figures)), strict=True)),
    )
    groups = sorted({row[:2] for row in fitted})
    left_out = []
    for group in groups:
        rest = {row: v for row, v in fitted.items() if row[:2] != group}
        held = {row: v for row, v in fitted.items() if row[:2] == group}
        misses = errors(with_values(gpu, fit(source, rest)), held, source.figures)
        print(f"left out {group[0]} TP{group[1]}", dict(zip(source.figures, mean_absolute(misses), strict=True)))
        left_out.append(misses)
    print("left out, all   ", dict(zip(source.figures, mean_absolute(np.concatenate(left_out)), strict=True)))
    unseen = {
        row: {k: x for k, x in v.items() if k != "mean_power_w"} for row, v in everything.items() if row not in fitted
    }
    if unseen:
        figures = [name for name in source.figures if name != "mean_power_w"]
        misses = errors(with_values(gpu, values), unseen, figures)
        for row, miss in zip(unseen, misses, strict=True):
            print(f"never seen {row[0]} TP{row[1]} prompt {row[2]}", [f"{value:+.1%}" for value in np.expm1(miss)])
        print("never seen, all ", dict(zip(figures, mean_absolute(misses), strict=True)))
    return values


@dataclass(frozen=True, slots=True)
class Caps:
    """Jobs under power caps: cap and mean power at the highest cap in watts, slow-down and mean power under the cap."""

    cap_w: FloatArray
    free_w: FloatArray
    slow_down: FloatArray
    mean_w: FloatArray


def read_caps(path: Path, limit_w: float) -> Caps:
    """Return the jobs of a Zeus trace that were also run at `limit_w`."""
    jobs: dict[tuple[str, ...], dict[float, tuple[float, float]]] = defaultdict(dict)
    with path.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            job = tuple(line[name] for name in ("dataset", "network", "batch_size", "optimizer"))
            jobs[job][float(line["power_limit"])] = (float(line["time_per_epoch"]), float(line["average_power"]))
    rows = [
        (cap, at[limit_w][1], time / at[limit_w][0], power)
        for at in jobs.values()
        if limit_w in at
        for cap, (time, power) in at.items()
        if cap < limit_w
    ]
    return Caps(*np.array(rows).T)


def fit_caps(name: str, file: str, root: Path | None) -> dict[str, float]:
    """Fit exponent, bound, crest and duty of training jobs under caps, and print medians beside the measured ones."""
    gpu = load_gpu(name)
    caps = read_caps(data_file(file, root=root), gpu.power.limit.value)
    names, start = ("exponent", "bound", "crest", "duty"), np.array([1.2, 0.35, 1.2, 0.7])

    def model(values: FloatArray) -> CapTraining:
        bent = with_values(gpu, {"exponent": float(values[0])})
        training = bent.training.model_copy(
            update={k: Quantity(float(v)) for k, v in zip(names[1:], values[1:], strict=True)}
        )
        return capped_training(bent.model_copy(update={"training": training}), mean_w=caps.free_w, cap_w=caps.cap_w)

    def residuals(values: FloatArray) -> FloatArray:
        under = model(values)
        return np.concatenate([np.log(under.slow_down / caps.slow_down), 0.5 * np.log(under.mean_w / caps.mean_w)])

    found = least_squares(residuals, start, bounds=([1, 0.05, 1, 0.2], [3, 1, 2, 0.95]), loss="soft_l1", f_scale=SOFT)
    under = model(found.x)
    print(f"\n{name}: " + ", ".join(f"{key} {value:.3g}" for key, value in zip(names, found.x, strict=True)))
    for cap in sorted(set(caps.cap_w), reverse=True):
        at = caps.cap_w == cap
        miss = np.abs(under.slow_down[at] / caps.slow_down[at] - 1).mean()
        print(
            f"cap {cap:.0f} W: median slow-down {np.median(under.slow_down[at]):.3f} (measured "
            f"{np.median(caps.slow_down[at]):.3f}), mean absolute error over jobs {miss:.1%}, median power "
            f"{np.median(under.mean_w[at] / caps.free_w[at]):.3f} ({np.median(caps.mean_w[at] / caps.free_w[at]):.3f})"
        )
    return {key: float(f"{value:.3g}") for key, value in zip(names, found.x, strict=True)}


UNITS = {
    "ring_step": "s", "kernel": "s", "launch": "s", "request": "s", "preparation": "s", "active": "W", "per_flop": "J",
    "per_byte": "J/B",
}  # fmt: skip


def with_parameters(text: str, values: Mapping[str, float]) -> str:
    """Return the text of a GPU file with fitted values replaced.

    Raises:
        ValueError: the file does not say of a parameter that this script fitted it.
    """
    for name, value in values.items():
        unit = UNITS.get(name)
        written = f"{value:g}" if unit is None else _written(value, unit)
        text, count = re.subn(
            rf"^(  {name}: {{value: )[^,]*(?=,.*fitted_by: tools/fit_gpu_power\.py)",
            rf"\g<1>{written}",
            text,
            flags=re.M,
        )
        if count != 1:
            raise ValueError(f"{name} stands {count} times as fitted by this script")
    return text


def _written(value: float, unit: str) -> str:
    return format_quantity(value, unit)


def main(arguments: Iterable[str] | None = None) -> int:
    """Fit everything, print, and write on demand."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=None, help="folder that holds data/power")
    parser.add_argument("--write", action="store_true", help="put the parameters into the GPU files")
    given = parser.parse_args(None if arguments is None else list(arguments))
    found = {source.gpu: fit_phases(source, given.data) for source in SOURCES}
    for name in ("v100", "p100"):
        found[name] = fit_caps(name, f"data/power/zeus_power_cap_{name}.csv", given.data)
    if given.write:
        for name, values in found.items():
            path = CATALOGUE / f"{name}.yaml"
            path.write_text(with_parameters(path.read_text(encoding="utf-8"), values), encoding="utf-8")
            print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
