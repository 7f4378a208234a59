"""Joining graphs: old ids stay, new ones follow, and the whole obeys the rules of a graph."""

from __future__ import annotations

import numpy as np
import pytest

from armillary.engine import GraphBuilder, TaskGraph
from armillary.engine.joined import joined
from armillary.errors import InputError
from armillary.testing import random_addition, random_graph


def _first() -> TaskGraph:
    builder = GraphBuilder()
    server, pool = builder.server("core"), builder.pool("pad", units=4)
    builder.task("a", duration=1, on=server, leases=[builder.lease(pool, 2)], kind="conv")
    builder.task("b", duration=2, after=[0])
    return builder.build()


def test_new_tasks_leases_and_edges_follow_the_old_ones() -> None:
    more = GraphBuilder()
    more.task("c", duration=3, on=0, leases=[more.lease(1, 1)], kind="pool")
    more.task("d", duration=4, after=[0], kind="conv")
    whole = joined(_first(), more.freeze(), [(0, 2, 0), (0, 3, 3)])
    assert whole.duration.tolist() == [1, 2, 3, 4]
    assert whole.leases.units.tolist() == [2, 1]
    assert whole.members.index[whole.members.row(2)].tolist() == [1]
    assert whole.edges.index[whole.edges.row(0)].tolist() == [1, 2, 3]
    assert whole.edges.value[whole.edges.row(0)].tolist() == [0, 0, 3]
    assert whole.edges.index[whole.edges.row(2)].tolist() == [3]
    assert [whole.task_name(task) for task in range(4)] == ["a (task 0)", "b (task 1)", "c (task 2)", "d (task 3)"]
    assert [whole.kinds[kind] for kind in whole.kind] == ["conv", "", "pool", "conv"]


def test_joining_nothing_changes_nothing() -> None:
    graph = _first()
    whole = joined(graph, GraphBuilder().freeze())
    assert (len(whole), len(whole.leases), len(whole.edges.index)) == (2, 1, 1)


@pytest.mark.parametrize(
    ("edge", "message"), [((0, 1, 0), "from task 0 to task 1"), ((9, 2, 0), "from task 9 to task 2")]
)
def test_edge_to_an_old_or_from_an_unknown_task_is_refused(edge: tuple[int, int, int], message: str) -> None:
    more = GraphBuilder()
    more.task("c")
    with pytest.raises(InputError, match=message):
        joined(_first(), more.freeze(), [edge])


def test_timed_changes_of_an_addition_are_refused() -> None:
    more = GraphBuilder()
    more.task("c")
    more.change(5, 0, 0.5)
    with pytest.raises(InputError, match="timed changes"):
        joined(_first(), more.freeze())


def test_rules_hold_for_the_whole() -> None:
    more = GraphBuilder()
    more.task("c", on=1)
    with pytest.raises(InputError, match=r"c \(task 2\) demands a resource that is no server"):
        joined(_first(), more.freeze())


def test_random_additions_fit_their_graphs() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, tasks=int(rng.integers(0, 10)))
        more, edges = random_addition(rng, graph, tasks=4)
        assert len(joined(graph, more, edges)) == len(graph) + 4
