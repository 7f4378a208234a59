"""Traces of small scenarios stay what they were: a changed digest is a changed meaning of docs/engine.md."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from tests.engine.executors import each_executor
from tests.engine.scenarios import GOLDEN, SCENARIOS, digest_of


@each_executor
@pytest.mark.parametrize("name", SCENARIOS)
def test_digest_is_the_recorded_one(executor: Any, name: str) -> None:
    simulation = executor(SCENARIOS[name]())
    simulation.advance()
    assert simulation.trace().digest() == json.loads(GOLDEN.read_text())[name]


def test_every_recorded_digest_has_a_scenario() -> None:
    assert set(json.loads(GOLDEN.read_text())) == set(SCENARIOS)


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.nightly)])
def test_four_workers_give_the_digests_of_one(method: str) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context(method)) as workers:
        digests = list(workers.map(digest_of, SCENARIOS))
    assert dict(zip(SCENARIOS, digests, strict=True)) == json.loads(GOLDEN.read_text())
