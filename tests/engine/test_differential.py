"""The compiled kernel equals the reference in every start, end, cause, status, rate step and reason.

Graphs, policies and calls at random ticks come from tests/engine/cases.py by seed.
A failure names seeds to play again with `python -m tests.engine.cases SEED SEED+1`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from armillary.engine import Reason, TaskGraph
from armillary.testing import task_graphs
from tests.engine.cases import compare, outcome, random_case, restless
from tests.engine.executors import EXECUTORS, FASTEST, differences, each_executor

REPOSITORY = Path(__file__).resolve().parents[2]
IN_CI = 200
NIGHTLY = 10000


def _assert_equal(seeds: range, *, tasks: int = 24) -> None:
    wrong = {seed: found for seed in seeds if (found := compare(seed, tasks=tasks))}
    assert not wrong, f"{len(wrong)} of {len(seeds)} cases differ, first: {list(wrong.items())[:3]}"


@pytest.mark.parametrize("part", range(4))
def test_kernel_equals_reference(part: int) -> None:
    share = IN_CI // 4
    _assert_equal(range(part * share, (part + 1) * share))


def test_kernel_equals_reference_on_larger_graphs() -> None:
    _assert_equal(range(10**6, 10**6 + 5), tasks=150)


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(10))
def test_kernel_equals_reference_nightly(part: int) -> None:
    share = NIGHTLY // 10
    _assert_equal(range(10**7 + part * share, 10**7 + (part + 1) * share), tasks=40)


@given(graph=task_graphs())
def test_kernel_equals_reference_on_drawn_graphs(graph: TaskGraph) -> None:
    reference, kernel = (executor(graph) for executor in EXECUTORS)
    assert reference.advance() == kernel.advance()
    assert not differences(reference.trace(), kernel.trace())


def test_kernel_equals_reference_without_compilation() -> None:
    """The same source as plain Python: numba and the interpreter agree."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.cases", "0", "60"],
        cwd=REPOSITORY,
        env={**os.environ, "ARMILLARY_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@each_executor
def test_cutting_a_run_changes_nothing(executor: type) -> None:
    """`advance` to any ticks on the way gives the same trace and the same last reason."""
    for seed in range(100 if executor is FASTEST else 25):
        case = random_case(seed)
        whole_reasons, whole = outcome(executor, case)
        cuts = tuple(np.random.default_rng(seed).integers(0, 60, 20).tolist())
        cut_reasons, cut = outcome(executor, case, cuts)
        assert cut_reasons == whole_reasons, f"seed {seed}"
        assert not differences(whole, cut), f"seed {seed}"
        assert whole.digest() == cut.digest()


@each_executor
def test_python_policy_equals_compiled_policy(executor: type) -> None:
    for seed in range(30):
        graph = random_case(seed).graph
        compiled = executor(graph, policy=restless, period=3, state=restless.new_state())
        plain = executor(graph, policy=restless.function, period=3, state=restless.new_state())
        assert compiled.advance(500) == plain.advance(500)
        assert not differences(compiled.trace(), plain.trace()), f"seed {seed}"


def test_cases_are_worth_playing() -> None:
    """Among the cases are deadlocks, cancelled tasks, rate steps and causes: what is lost here is tested nowhere."""
    outcomes = [outcome(FASTEST, random_case(seed)) for seed in range(100)]
    assert {Reason.IDLE, Reason.DEADLOCK} <= {reasons[-1] for reasons, _ in outcomes}
    assert sum((trace.status == 4).any() for _, trace in outcomes) >= 10
    assert sum(len(trace.rate_steps.tick) > 5 for _, trace in outcomes) >= 20
    assert sum(int((trace.cause >= 0).sum()) for _, trace in outcomes) >= 300
