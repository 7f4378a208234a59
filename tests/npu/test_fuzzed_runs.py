"""Mutated models and chip files, run to the end: a result, or exit 2 or 3 with a message; never a traceback."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from pathlib import Path

import pytest

from armillary import hardware
from armillary.cli import main
from tests.hardware.test_hostile_files import mutated as mutated_text
from tests.workload import onnx_models
from tests.workload.test_onnx_fuzz import SEEDS, mutated

CHIPS = ("coral-edge-tpu-usb", "generic-array-16x16", "intel-npu-2.7", "tpu-v1")
LIMIT_S = 2.0  # of CPU, for input that is refused or a small network that is run
NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?(?![\w.])")
DONE, WRONG_INPUT, INFEASIBLE = 0, 2, 3


def outcome(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    """Run the command; return its exit code, having checked that it explains itself."""
    start = time.process_time()
    code = main(["npu", "run", *arguments, "--json", "-"])
    spent_s = time.process_time() - start
    captured = capsys.readouterr()
    assert code in (DONE, WRONG_INPUT, INFEASIBLE), captured.err
    assert spent_s < LIMIT_S, f"exit {code} after {spent_s:.1f} s: {captured.err}"
    if code != DONE:
        # `error:` and one to three lines, unless a note stands before it.
        message = captured.err[captured.err.index("error:") :]
        assert 1 <= len(message.strip().splitlines()) <= 3, message
    return code


def rescaled(text: str, dice: random.Random) -> str:
    """One to three numbers of a chip file made larger or smaller, some by many powers of ten."""
    for _ in range(dice.randint(1, 3)):
        found = dice.choice(list(NUMBER.finditer(text)))
        number = float(found.group())
        changed = dice.choice([0.0, 1.0, number + 1, number * 3, number / 3, number * 1e3, number / 1e3, number * 1e9])
        text = text[: found.start()] + f"{changed:.15g}" + text[found.end() :]
    return text


def run_mutated_models(capsys: pytest.CaptureFixture[str], folder: Path, count: int, seed: int) -> Counter[int]:
    """Run `count` mutated ONNX files; return how often each exit code came."""
    dice, path = random.Random(seed), folder / "mutated.onnx"
    codes: Counter[int] = Counter()
    for _ in range(count):
        data, shapes = dice.choice(SEEDS)
        path.write_bytes(mutated(data, dice))
        given = [f"{name}={','.join(map(str, shape))}" for name, shape in (shapes or {}).items()]
        options = [option for shape in given for option in ("--shape", shape)]
        codes[outcome(capsys, str(path), "--chip", dice.choice(CHIPS), *options)] += 1
    return codes


def run_mutated_chips(capsys: pytest.CaptureFixture[str], folder: Path, count: int, seed: int) -> Counter[int]:
    """Run a small network on `count` mutated chip files; return how often each exit code came."""
    dice, path = random.Random(seed), folder / "mutant.yaml"
    model = onnx_models.write(folder, onnx_models.convolutional())
    texts = [hardware.chip_text(name) for name in CHIPS]
    codes: Counter[int] = Counter()
    for _ in range(count):
        change = rescaled if dice.random() < 0.7 else mutated_text
        path.write_text(change(dice.choice(texts), dice), encoding="utf-8")
        codes[outcome(capsys, str(model), "--chip", str(path))] += 1
    return codes


def test_mutated_models_run_or_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    codes = run_mutated_models(capsys, tmp_path, 60, seed=1)
    assert codes[DONE] > 5
    assert codes[WRONG_INPUT] > 5


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_many_mutated_models_run_or_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, seed: int) -> None:
    codes = run_mutated_models(capsys, tmp_path, 1000, seed=100 + seed)
    assert codes[DONE] > 100


def test_mutated_chips_run_or_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    codes = run_mutated_chips(capsys, tmp_path, 40, seed=3)
    assert codes[DONE] > 5
    assert codes[WRONG_INPUT] > 5


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_many_mutated_chips_run_or_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, seed: int) -> None:
    codes = run_mutated_chips(capsys, tmp_path, 1000, seed=200 + seed)
    assert codes[DONE] > 100


def test_a_power_beyond_exact_sums_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A fuzzed chip file overflowed an integer here: 2**61 femtojoules, 2306 J, are the most that a run may take."""
    for old, new in (("idle: 50 mW", "idle: 50e12 W"), ("vector_element: 0.5 pJ", "vector_element: 500 J")):
        path = tmp_path / "hot.yaml"
        path.write_text(hardware.chip_text("generic-array-16x16").replace(old, new), encoding="utf-8")
        assert outcome(capsys, "mobilenet_v2", "--chip", str(path)) == WRONG_INPUT
