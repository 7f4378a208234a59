"""JSON: strict both ways; the error names the path to the bad value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from armillary.errors import ArmillaryError, InputError
from armillary.store import dumps_strict, load_json


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    latency_s: float | None


def test_results_of_all_kinds_become_plain_json() -> None:
    value = {"layers": (Layer("conv", 0.5), Layer("fc", None)), "n": np.int64(3), "a": np.arange(2), "p": Path("x")}
    assert json.loads(dumps_strict(value)) == {
        "layers": [{"name": "conv", "latency_s": 0.5}, {"name": "fc", "latency_s": None}],
        "n": 3,
        "a": [0, 1],
        "p": "x",
    }


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.float64("-inf"), np.array([1.0, np.nan])])
def test_not_a_number_is_a_defect_that_names_its_path(bad: object) -> None:
    with pytest.raises(ArmillaryError, match=r"\$\.layers\[0\]\.energy_j"):
        dumps_strict({"layers": [{"energy_j": bad}]})


@pytest.mark.parametrize("bad", [object(), b"bytes", {1: 2}, {"set"}])
def test_what_json_cannot_say_is_refused(bad: object) -> None:
    with pytest.raises(ArmillaryError):
        dumps_strict(bad)


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": Infinity}', "[" * 100_000, "\xff"])
def test_what_is_not_strict_json_is_an_input_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"x\.json: not strict JSON"):
        load_json(path)
