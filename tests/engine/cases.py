"""Random cases for differential tests: a graph, a policy, and calls at random ticks; equal seeds give equal cases.

In:  a seed. Out: `Case`; `outcome` plays it on an executor and returns the reasons and the trace.
`python -m tests.engine.cases FIRST LAST` compares both executors on these seeds and prints the seeds that differ.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from armillary.engine import Reason, ResourceKind, TaskGraph, Trace
from armillary.engine.policy import Policy, policy
from armillary.testing import Feature, random_addition, random_graph
from tests.engine.executors import EXECUTORS, differences

HORIZON = 2000  # a case with links that stay at capacity 0 ends here: its policy ticks go on for ever


@policy(state=np.dtype([("calls", np.int64), ("mix", np.int64)]))
def restless(seen: Any, state: Any, command: Any) -> None:
    """Change rates, capacities and thresholds by a small congruential generator fed with all that is seen."""
    state["calls"] += 1
    for row in range(len(seen)):
        one = seen[row]
        look = one["now"] + 3 * one["busy"] + 5 * one["queued"] + 7 * one["flows"] + 11 * one["backlog_bytes"]
        look += 13 * one["units"] + one["rate_ppm"] // 1000 + one["capacity"] // 1000000
        state["mix"] = (state["mix"] * 1103515245 + look + 12345) % 2147483648
        pick = state["mix"] // 65536 % 8
        if pick == 0:
            command[row]["rate_ppm"] = 500000
        elif pick == 1:
            command[row]["rate_ppm"] = 1000000
        elif pick == 2:
            command[row]["rate_ppm"] = 1234567
            command[row]["capacity"] = 333333333
        elif pick == 3:
            command[row]["capacity"] = 2000000000
            command[row]["threshold"] = 2
        elif pick == 4:
            command[row]["threshold"] = 1


@dataclass(frozen=True)
class Case:
    """A graph, and what is done to it while it runs: (advance until, then call)."""

    graph: TaskGraph
    policy: Policy | None
    period: int
    acts: tuple[tuple[int, Callable[[Any], None]], ...]


def random_case(seed: int, *, tasks: int = 24) -> Case:
    """Return the case of `seed`: half of them have all features, half a policy, half calls at random ticks."""
    rng = np.random.default_rng(seed)
    features = Feature.everything() if rng.random() < 0.5 else Feature(0)
    share = rng.choice([0.0, 0.2, 0.4])
    for feature in Feature:
        if rng.random() < share:
            features |= feature
    graph = random_graph(rng, tasks=int(rng.integers(0, tasks + 1)), features=features)
    period = int(rng.integers(1, 9))
    chosen = restless if rng.random() < 0.5 else None
    ticks = np.sort(rng.integers(0, 50, int(rng.integers(0, 6)) if rng.random() < 0.5 else 0)).tolist()
    return Case(graph, chosen, period, tuple((tick, _random_act(rng)) for tick in ticks))


def _random_act(rng: np.random.Generator) -> Callable[[Any], None]:
    choice, seed = int(rng.integers(5)), int(rng.integers(2**31))

    def act(simulation: Any) -> None:
        # Drawn from the seed again for each executor: what is possible depends on the graph as it then is.
        draw = np.random.default_rng(seed)
        graph = simulation.trace().graph
        kinds = graph.resources.kind
        servers = np.flatnonzero(kinds == ResourceKind.SERVER)
        carriers = np.flatnonzero(kinds >= ResourceKind.LINK)
        if choice == 0:
            simulation.set_rate(int(draw.choice(servers)), float(draw.choice([0.7, 1.0, 1.9])))
        elif choice == 1 and len(carriers):
            simulation.set_capacity(int(draw.choice(carriers)), float(draw.choice([4e8, 1e9 / 3, 3e9])))
        elif choice in (2, 3) and len(graph):
            simulation.cancel(int(draw.integers(len(graph))))
        elif choice == 4:
            more, edges = random_addition(draw, graph, tasks=int(draw.integers(1, 6)))
            simulation.append(more, edges=edges)

    return act


def outcome(executor: Any, case: Case, cuts: tuple[int, ...] = ()) -> tuple[list[Reason], Trace]:
    """Play `case`, stopping at `cuts` too; return the reasons at the acts and at the end, and the trace."""
    state = case.policy.new_state() if case.policy else None
    period = case.period if case.policy else 0
    simulation = executor(case.graph, policy=case.policy, period=period, state=state)
    reasons = []
    for tick, act in sorted([*case.acts, *((cut, None) for cut in cuts)], key=lambda pair: pair[0]):
        reason = simulation.advance(tick)
        if act is not None:
            reasons.append(reason)
            act(simulation)
    reasons.append(simulation.advance(HORIZON))
    return reasons, simulation.trace()


def compare(seed: int, *, tasks: int = 24) -> list[str]:
    """Return what differs between the executors on the case of `seed`; empty for nothing."""
    case = random_case(seed, tasks=tasks)
    reference, *others = [outcome(executor, case) for executor in EXECUTORS]
    for other in others:
        if reference[0] != other[0]:
            return [f"reasons {reference[0]} and {other[0]}"]
        if found := differences(reference[1], other[1]):
            return found
    return []


if __name__ == "__main__":
    wrong = {seed: found for seed in range(int(sys.argv[1]), int(sys.argv[2])) if (found := compare(seed))}
    for seed, found in wrong.items():
        print(seed, *found)
    sys.exit(bool(wrong))
