"""The row is a request-driven model like the others: cuts, plain Python, workers and listings change nothing."""

from __future__ import annotations

from armillary.testing.models import check_model
from tests.power.rows import BATCHED, MODEL


def test_a_row_of_single_requests_keeps_the_laws_of_models() -> None:
    check_model(MODEL, seeds=(0, 1), cuts=12, workers=0)


def test_a_row_of_batches_with_training_keeps_the_laws_of_models() -> None:
    check_model(BATCHED, seeds=(0, 1), cuts=12, workers=0)


def test_workers_play_the_same_row() -> None:
    check_model(BATCHED, seeds=(0,), cuts=0, workers=1)
