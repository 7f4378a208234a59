"""Control from outside: rate changes of running tasks, compiled and Python policies.

In:  `graphs.running_tasks`, `graphs.ticking_chain`. Out: ms a change; ns and us a policy call.
A policy call is what a policy adds to a round: observing, calling, applying; both runs play the same rounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from armillary.engine.policy import Policy, policy
from armillary.engine.simulate import Simulation
from bench.benchmark import Benchmark, Measured, Target
from bench.engine_mixed import play
from bench.graphs import running_tasks, ticking_chain
from bench.measure import cpu_s, medians_s, timed

CHANGES = 200
COUNT = np.dtype([("calls", np.int64)])
PERIOD = 1000  # ticks


@policy(state=COUNT)
def count_calls(seen: Any, state: Any, command: Any) -> None:
    """Look at one field, change one; leave the resources alone."""
    if seen[0]["busy"] >= 0:
        state["calls"] += 1


def rate_change() -> Measured:
    graph = running_tasks(1000)

    def once() -> float:
        run = Simulation(graph)
        run.advance(0)
        factors = [0.5 + 0.4 * (at % 2) for at in range(CHANGES)]

        def change_all() -> None:
            for tick, factor in enumerate(factors, 1):
                run.set_rate(0, factor)
                run.advance(tick)

        seconds = cpu_s(change_all)
        assert int((run.trace().start == 0).sum()) == len(graph)
        return seconds

    (ours,) = medians_s(5, once)
    return Measured(1000 * ours / CHANGES)


def seconds_a_call(calls: int, decide: Policy | Any) -> float:
    """CPU seconds that a policy adds to each of `calls` rounds in which it is called."""
    graph = ticking_chain(calls, PERIOD)
    state = count_calls.new_state()

    def with_policy() -> Simulation:
        state["calls"] = 0
        return Simulation(graph, policy=decide, period=PERIOD, state=state)

    deciding, plain = medians_s(7, timed(with_policy, play), timed(lambda: Simulation(graph), play))
    assert calls - 1 <= int(state["calls"][0]) <= calls + 1, f"{state['calls'][0]} calls in {calls} periods"
    return (deciding - plain) / calls


def compiled_policy() -> Measured:
    return Measured(1e9 * seconds_a_call(200_000, count_calls))


def python_policy() -> Measured:
    return Measured(1e6 * seconds_a_call(20_000, count_calls.function))


BENCHMARKS = (
    Benchmark(
        "engine.rate_change",
        "ms",
        rate_change,
        "a division and a heap operation for each of 1,000 running tasks",
        Target("value", 1.0, at_most=True),
    ),
    Benchmark(
        "engine.policy",
        "ns",
        compiled_policy,
        "filling the observation of each resource and comparing its commands; the call itself is one jump",
        Target("value", 50.0, at_most=True),
    ),
    Benchmark(
        "engine.policy_python",
        "us",
        python_policy,
        "the interpreter: one crossing out and in, field access of NumPy records",
        Target("value", 5.0, at_most=True),
    ),
)
