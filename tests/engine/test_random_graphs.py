"""The generators of random graphs: equal seeds give equal graphs, features occur when and only when they are wanted."""

from __future__ import annotations

import numpy as np

from armillary.engine import Reason, ResourceKind, TaskGraph
from armillary.testing import Feature, random_graph
from tests.engine.executors import FASTEST


def _shows(graph: TaskGraph) -> Feature:
    """Return the features that a graph makes use of."""
    kinds, members = graph.resources.kind, np.bincount(graph.members.index, minlength=len(graph.leases))
    crossings = np.diff(graph.crossings.offset)
    flags = {
        Feature.UNITS: bool((graph.resources.units[kinds == ResourceKind.SERVER] > 1).any()),
        Feature.BACKFILL: bool(graph.resources.backfill.any()),
        Feature.PRIORITIES: bool(graph.priority.any()),
        Feature.RELEASES: bool(graph.release.any()),
        Feature.LATENCIES: bool(graph.latency.any()),
        Feature.START_EDGES: bool((graph.edges.value & 1).any()),
        Feature.KEEP_EDGES: bool((graph.edges.value & 2).any()),
        Feature.SIMPLE_LINKS: "plain0" in graph.resources.names,
        Feature.GENERAL_LINKS: bool((crossings > 1).any() or np.isfinite(graph.rate_cap).any()),
        Feature.ARBITERS: bool((kinds == ResourceKind.ARBITER).any()),
        Feature.LEASES: len(graph.leases) > 0,
        Feature.SHARED_LEASES: bool((members > 1).any()),
        Feature.SENSITIVITY: bool((graph.sensitivity != 1).any()),
        Feature.CHANGES: len(graph.changes.tick) > 0,
    }
    shown = Feature(0)
    for feature, present in flags.items():
        if present:
            shown |= feature
    return shown


def test_equal_seeds_give_equal_graphs() -> None:
    one, other = (random_graph(np.random.default_rng(7), tasks=30) for _ in range(2))
    assert one.duration.tolist() == other.duration.tolist()
    assert one.edges.index.tolist() == other.edges.index.tolist()
    assert one.resources.names == other.resources.names


def test_every_feature_occurs_when_everything_is_wanted() -> None:
    shown = Feature(0)
    for seed in range(10):
        shown |= _shows(random_graph(np.random.default_rng(seed), tasks=30))
    assert shown == Feature.everything()


def test_feature_that_is_not_wanted_does_not_occur() -> None:
    for feature in Feature:
        for seed in range(5):
            graph = random_graph(np.random.default_rng(seed), tasks=30, features=Feature.everything() & ~feature)
            assert feature not in _shows(graph)


def test_only_shared_leases_deadlock() -> None:
    """A task that takes all it needs at once, by one key, cannot wait in a circle."""
    for seed in range(300):
        features = Feature.everything() & ~Feature.SHARED_LEASES
        simulation = FASTEST(random_graph(np.random.default_rng(seed), tasks=30, features=features))
        assert simulation.advance() == Reason.IDLE, f"seed {seed}: {simulation.blocked()}"
