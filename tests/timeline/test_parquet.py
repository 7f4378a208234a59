"""Laws of the timeline on disk."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from armillary.engine.graph import GraphBuilder
from armillary.errors import InputError
from armillary.store.manifest import MANIFEST
from armillary.timeline import Timeline, read_timeline, write_timeline
from tests.timeline.traces import played, random_timeline


@pytest.mark.parametrize("seed", range(20))
def test_a_timeline_comes_back_as_it_was(seed: int, tmp_path: Path) -> None:
    timeline = random_timeline(seed)
    timeline.save(tmp_path / "run")
    again = Timeline.load(tmp_path / "run")
    assert again.digest() == timeline.digest()
    assert again.labels == timeline.labels
    assert again.kinds == timeline.kinds
    assert again.critical_path().ticks == timeline.critical_path().ticks
    for name in ("tasks", "resources", "counters"):
        assert again.frame(name).equals(timeline.frame(name))


def test_names_of_any_kind_come_back(tmp_path: Path) -> None:
    builder = GraphBuilder()
    odd = ["</script><img src=x>", "a\nb\0c", "", "é 漢 \U0001f600", "x" * 5000]
    for label in odd:
        builder.task(label, duration=1, kind=label[:3], on=builder.server(label or "server"))
    timeline = played(builder)
    write_timeline(timeline, tmp_path / "odd.parquet")
    again = read_timeline(tmp_path / "odd.parquet")
    assert again.labels == tuple(odd)
    assert again.digest() == timeline.digest()


def test_an_empty_timeline_comes_back(tmp_path: Path) -> None:
    timeline = played(GraphBuilder())
    timeline.save(tmp_path / "run")
    assert Timeline.load(tmp_path / "run").digest() == timeline.digest()


def test_any_tool_can_read_the_file(tmp_path: Path) -> None:
    timeline = random_timeline(3)
    path = tmp_path / "t.parquet"
    write_timeline(timeline, path)
    metadata = pl.read_parquet_metadata(path)
    assert metadata["armillary_schema"] == "1"
    assert json.loads(metadata["armillary_timeline"])["tick_s"] == timeline.tick_s
    table = pl.read_parquet(path)
    assert table.height == len(timeline)
    assert table["start"].to_numpy().tolist() == timeline.start.tolist()


@pytest.mark.parametrize("field", ["start", "end", "cause", "energy_fj", "bytes", "kind", "label"])
def test_digest_covers_every_column(field: str) -> None:
    timeline = random_timeline(2)
    changed = getattr(timeline, field).copy()
    changed[-1] += 1
    assert replace(timeline, **{field: changed}).digest() != timeline.digest()


def test_files_that_are_no_timeline_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 but not really PAR1")
    with pytest.raises(InputError, match="is not a timeline"):
        read_timeline(path)
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(InputError, match="is not a timeline"):
        read_timeline(path)
    pl.DataFrame({"a": [1]}).write_parquet(path, metadata={"armillary_schema": "2", "armillary_timeline": "{}"})
    with pytest.raises(InputError, match="has timeline schema 2; known: 1"):
        read_timeline(path)
    pl.DataFrame({"a": [1]}).write_parquet(path, metadata={"armillary_schema": "1", "armillary_timeline": "{}"})
    with pytest.raises(InputError, match="is not a timeline"):
        read_timeline(path)
    with pytest.raises(InputError, match="holds no run"):
        Timeline.load(tmp_path)


def test_columns_that_lead_outside_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_timeline(random_timeline(1), path)
    metadata = {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("armillary")}
    table = pl.read_parquet(path)

    def refused(changed: pl.DataFrame, why: str) -> None:
        changed.write_parquet(path, metadata=metadata)
        with pytest.raises(InputError, match=why):
            read_timeline(path)

    refused(table.with_columns(cause=pl.lit(10**6, pl.Int32)), "does not hold")
    refused(table.with_columns(end=pl.lit(0, pl.Int64), start=pl.lit(1, pl.Int64)), "run backwards")
    refused(table.with_columns(demand_server=pl.lit([99, 1, 2])), "unequal length|does not hold")
    refused(table.drop("ready"), "is not a timeline")
    refused(table.with_columns(start=pl.lit("soon")), "is not a timeline")


def test_a_file_changed_after_the_manifest_is_refused(tmp_path: Path) -> None:
    random_timeline(1).save(tmp_path / "run")
    path = tmp_path / "run" / "timeline.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="not as it was written"):
        Timeline.load(tmp_path / "run")


WRITER = """
import sys
from pathlib import Path
from tests.timeline.traces import random_timeline
timelines = [random_timeline(seed, tasks=20 + 20 * seed) for seed in range(2)]
print("ready", flush=True)
while True:
    for timeline in timelines:
        timeline.save(Path(sys.argv[1]), overwrite=True)
"""


def killed_while_saving(folder: Path, kills: int) -> None:
    """Kill a writer at random moments; the folder holds one of its two timelines whole, or says that it does not."""
    digests = {random_timeline(seed, tasks=20 + 20 * seed).digest() for seed in range(2)}
    rng = random.Random(7)
    for _ in range(kills):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(["src", "."])}
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.02 + rng.random() * 0.1)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        if (folder / MANIFEST).is_file():
            try:
                assert Timeline.load(folder).digest() in digests
            except InputError as error:
                assert "not finished" in str(error)
    random_timeline(0, tasks=20).save(folder, overwrite=True)
    assert Timeline.load(folder).digest() in digests


def test_a_writer_killed_while_saving_leaves_a_whole_timeline_or_says_it_did_not(tmp_path: Path) -> None:
    killed_while_saving(tmp_path / "run", 2)


@pytest.mark.nightly
def test_a_writer_killed_a_hundred_times_while_saving(tmp_path: Path) -> None:
    killed_while_saving(tmp_path / "run", 100)


def test_equal_runs_have_equal_digests() -> None:
    assert random_timeline(6).digest() == random_timeline(6).digest()
    assert len({random_timeline(seed).digest() for seed in range(10)}) == 10
