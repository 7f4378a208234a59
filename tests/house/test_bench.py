"""The benchmarks: every figure asked for has one, its row is strict JSON, and the peers play the same schedule."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from armillary.engine.simulate import simulate
from bench import history
from bench.__main__ import main
from bench.benchmark import Benchmark, Figure, Measured, Target
from bench.graphs import chained_transfers, fifo_dag
from bench.registry import benchmarks

ASKED = {
    "engine.fifo_dag",
    "engine.fifo_dag_c",
    "engine.mixed",
    "engine.million",
    "engine.million_mixed",
    "engine.recording",
    "engine.ps_link",
    "engine.transfers",
    "engine.maxmin",
    "engine.arbiter",
    "engine.drive",
    "engine.rate_change",
    "engine.policy",
    "cli.warm",
    "cli.cold",
    "cli.help",
    "npu.resnet50",
    "npu.mobilenet_v2",
    "npu.variants100",
    "npu.vela",
    "power.azure_hour",
    "power.sixweeks",
    "power.compare",
}


@pytest.fixture(scope="module")
def _kernel() -> None:
    """Both entries of the kernel, compiled or loaded: their time belongs to no test."""
    simulate(fifo_dag(10, 2))
    simulate(chained_transfers(10, 2, 4, 2))


def figure(value: float, peer_value: float | None, target: Target | None) -> Figure:
    benchmark = Benchmark("room.name", "task/s", lambda: Measured(value), "memory", target, "a peer")
    return Figure(benchmark, Measured(value, peer_value))


def test_every_figure_asked_for_is_measured_once() -> None:
    ids = [benchmark.id for benchmark in benchmarks()]
    assert len(ids) == len(set(ids))
    assert ASKED <= set(ids)


def test_a_prefix_chooses_and_an_unknown_one_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert {one.id for one in benchmarks("cli.")} == {"cli.warm", "cli.cold", "cli.help"}
    assert main(["--only", "engin.fifo"]) == 2
    assert "engine.fifo_dag" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "peer_value", "ok", "fails"),
    [
        (Target("ratio", 2), 10.0, True, False),
        (Target("ratio", 4), 10.0, False, True),
        (Target("ratio", 4), None, None, False),  # no peer is installed: nothing to gate
        (Target("value", 40), 10.0, False, False),  # absolute figures are reported, they do not gate
        (Target("value", 40, at_most=True), None, True, False),
        (None, 10.0, None, False),
    ],
)
def test_only_ratios_gate(target: Target | None, peer_value: float | None, ok: bool | None, fails: bool) -> None:
    one = figure(30.0, peer_value, target)
    assert (one.ok, one.fails) == (ok, fails)


def test_latest_is_strict_json_with_the_promised_keys(tmp_path: Path) -> None:
    path = tmp_path / "latest.json"
    history.write_latest([figure(30.0, 10.0, Target("ratio", 2)).row()], path)
    (row,) = json.loads(path.read_text())
    assert {"id", "value", "unit", "peer", "peer_value", "ratio"} <= set(row)
    assert row["ratio"] == 3.0
    assert row["floor"] == {"of": "ratio", "at_least": 2}


def test_a_recorded_line_tells_drifts_of_more_than_15_percent(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    then = [{"id": name, "value": 1.0, "ratio": ratio} for name, ratio in (("a", 10.0), ("b", 10.0), ("c", None))]
    history.append_line(then, path)
    history.append_line(then, path)
    assert len(path.read_text().splitlines()) == 2
    recorded = history.last_line(path)
    assert {"commit", "date", "cpu", "versions", "figures"} == set(recorded)
    now = [
        {"id": name, "value": 1.0, "ratio": ratio} for name, ratio in (("a", 8.4), ("b", 11.4), ("c", 1.0), ("d", 1.0))
    ]
    assert history.drifts(now, recorded) == [("a", 10.0, 8.4)]


@pytest.mark.usefixtures("_kernel")
def test_simpy_and_the_engine_play_the_same_schedule() -> None:
    from bench.peers import simpy_dag

    graph = fifo_dag(400, 4)
    trace = simulate(graph)
    for play in (simpy_dag.play_servers, simpy_dag.play_tasks):
        assert (trace.start.tolist(), trace.end.tolist()) == play(simpy_dag.lists_of(graph))


@pytest.mark.usefixtures("_kernel")
def test_c_and_the_engine_play_the_same_schedule_for_the_same_causes() -> None:
    from bench.peers import fifo_dag_c

    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    graph = fifo_dag(400, 4)
    trace, records = simulate(graph), fifo_dag_c.lay_out(graph)
    play = fifo_dag_c.compiled()
    assert play is not None
    assert play(records) == trace.makespan
    for name in ("start", "end", "cause"):
        assert np.array_equal(records.tasks[name][:-1], getattr(trace, name)), name


@pytest.mark.usefixtures("_kernel")
def test_numpy_and_the_engine_share_links_alike() -> None:
    """Whole ticks, rounded up: the two may differ by one tick a change."""
    from bench.peers.max_min import play_chains

    graph = chained_transfers(60, chains=12, links=6, crossed=2)
    crossed = graph.crossings.index.astype(np.int64).reshape(len(graph), 2)
    end = play_chains(graph.bytes, crossed, graph.resources.capacity * graph.tick_s, 12)
    assert np.abs(simulate(graph).end - end).max() <= 60
