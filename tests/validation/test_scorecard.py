"""The scorecard shows every reference figure, and keeps what was fitted apart from what was not."""

from __future__ import annotations

import json

import pytest

from armillary.cli import main
from armillary.errors import InputError
from armillary.hardware import load_chip
from armillary.validation import load_operator_references, load_references
from armillary.validation.references_file import load_power_references
from armillary.validation.scorecard import SYSTEMS, Score, mean_absolute_error, scorecard


@pytest.fixture(scope="module")
def scores() -> tuple[Score, ...]:
    return scorecard("npu")


def test_no_figure_is_hidden(scores: tuple[Score, ...]) -> None:
    runs = [(r.name, r.number) for r in load_references("npu")]
    operators = [(r.name, r.value) for r in load_operator_references("npu")]
    assert [(s.name, s.reference) for s in scores] == runs + operators


def test_an_error_is_obtained_over_reference_less_one(scores: tuple[Score, ...]) -> None:
    for score in scores:
        assert score.obtained == pytest.approx(score.reference * (1 + score.error))


def test_the_catalogue_states_the_error_that_is_measured(scores: tuple[Score, ...]) -> None:
    """`in_sample_error` of a chip is the mean over its calibration figures, rounded to three decimals."""
    calibration = load_chip("coral-edge-tpu-usb").calibration
    assert calibration is not None
    mean = mean_absolute_error(score for score in scores if score.calibration and score.name.startswith("coral-usb/"))
    assert mean == pytest.approx(calibration.in_sample_error.value, abs=6e-4)


def test_the_mean_of_nothing_is_nothing() -> None:
    assert mean_absolute_error(()) is None


def test_validate_prints_fitted_and_blind_figures_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "npu"]) == 0
    text = capsys.readouterr().out
    assert text.index("Blind figures") < text.index("Calibration figures") < text.index("coral-usb/vgg16")
    assert main(["validate", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    runs = sum(len(load_references(system)) + len(load_operator_references(system)) for system in SYSTEMS)
    rows = load_power_references()
    figures = sum(len(phase.figures) for phase in rows.phases) + sum(len(lock.figures) for lock in rows.locks)
    assert len(document["scores"]) == runs + figures + len(rows.caps)


def test_phases_of_the_calibration_rows_are_within_their_targets() -> None:
    """Prefill 8 %, decode 4 %, peak power 7 %, mean power 5 % in the fit; twice that on prompts that it never saw."""
    targets = {"prefill_s": 0.08, "decode_s_per_token": 0.04, "peak_power_w": 0.07, "mean_power_w": 0.05}
    found = [score for score in scorecard("power") if score.quantity in targets and "mhz" not in score.name]
    for quantity, target in targets.items():
        for fitted, allowed in ((True, target), (False, 2 * target)):
            chosen = [s for s in found if s.quantity == quantity and s.calibration == fitted and "a100" in s.name]
            mean = mean_absolute_error(chosen)
            assert mean is not None
            assert mean <= allowed, (quantity, fitted)


def test_an_unknown_system_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="npu"):
        scorecard("moon")
