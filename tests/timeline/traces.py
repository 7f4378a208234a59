"""Timelines to measure: random graphs played by the reference, with energies; and a graph of a few lines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.engine.graph import GraphBuilder
from armillary.engine.reference import ReferenceSimulation
from armillary.engine.trace import Trace
from armillary.testing.graphs import Feature, random_graph
from armillary.timeline import Timeline


def random_trace(seed: int, *, tasks: int = 30, features: Feature | None = None, until: int | None = None) -> Trace:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, tasks=tasks, features=features)
    graph = replace(graph, energy_fj=rng.integers(0, 10_000_000, len(graph)))
    simulation = ReferenceSimulation(graph)
    simulation.advance(until)
    return simulation.trace()


def random_timeline(seed: int, *, tasks: int = 30, features: Feature | None = None) -> Timeline:
    return Timeline.from_trace(random_trace(seed, tasks=tasks, features=features))


def played(builder: GraphBuilder) -> Timeline:
    simulation = ReferenceSimulation(builder.build())
    simulation.advance()
    return Timeline.from_trace(simulation.trace())
