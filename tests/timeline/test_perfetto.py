"""The Perfetto trace, decoded by protobuf, says what the timeline says."""

from __future__ import annotations

from collections import defaultdict
from time import process_time
from typing import Any

import numpy as np
import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from armillary.engine.graph import GraphBuilder, ResourceKind
from armillary.timeline import Timeline, lanes, perfetto_trace
from armillary.timeline.perfetto import COUNTER_VALUE, INSTANT, SLICE_BEGIN, SLICE_END, nanoseconds
from armillary.timeline.wire import varint, varints
from tests.timeline.perfetto_schema import decoded
from tests.timeline.traces import played, random_timeline


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_columns_of_varints_are_varints(values: list[int]) -> None:
    assert varints(np.array(values)).joined() == b"".join(varint(value) for value in values)


def events_of(trace: Any, *types: int) -> list[Any]:
    return [p for p in trace.packet if p.HasField("track_event") and p.track_event.type in types]


def names(entries: Any) -> dict[int, str]:
    return {entry.iid: entry.name for entry in entries}


@pytest.mark.parametrize("seed", range(15))
def test_slices_are_the_tasks_on_their_resources(seed: int) -> None:
    timeline = random_timeline(seed, tasks=40)
    trace = decoded(perfetto_trace(timeline))
    tracks = {p.track_descriptor.uuid: p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")}
    labels = names(trace.packet[0].interned_data.event_names)
    found = []
    opened: dict[int, tuple[int, str]] = {}
    for packet in events_of(trace, SLICE_BEGIN, SLICE_END):
        event = packet.track_event
        if event.type == SLICE_BEGIN:
            assert event.track_uuid not in opened, "slices of a lane overlap"
            opened[event.track_uuid] = (packet.timestamp, labels[event.name_iid])
        else:
            start, label = opened.pop(event.track_uuid)
            track = tracks[event.track_uuid]
            while tracks[track.parent_uuid].HasField("parent_uuid"):
                track = tracks[track.parent_uuid]
            found.append((start, packet.timestamp, label, track.name))
    assert not opened
    expected = []
    for task, resource in zip(lanes(timeline).task, lanes(timeline).resource, strict=True):
        if timeline.stop[task] > timeline.start[task]:
            name = timeline.resources.names[resource] if resource >= 0 else "on no resource"
            label = timeline.labels[timeline.label[task]] or "task"
            expected.append((int(timeline.start[task]), int(timeline.stop[task]), label, name))
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("seed", range(15))
def test_every_task_that_lasted_stands_somewhere_and_lanes_never_overlap(seed: int) -> None:
    timeline = random_timeline(seed, tasks=60)
    placed = lanes(timeline)
    assert set(np.flatnonzero(timeline.stop > timeline.start)) <= set(placed.task.tolist())
    rows = defaultdict(list)
    for task, resource, lane in zip(placed.task, placed.resource, placed.lane, strict=True):
        if timeline.stop[task] > timeline.start[task]:
            rows[int(resource), int(lane)].append((int(timeline.start[task]), int(timeline.stop[task])))
    for (resource, lane), spans in rows.items():
        assert all(a[1] <= b[0] for a, b in zip(sorted(spans), sorted(spans)[1:], strict=False))
        if resource >= 0 and timeline.resources.kind[resource] == ResourceKind.SERVER:
            assert lane < timeline.resources.units[resource]


def test_counters_are_the_step_functions() -> None:
    timeline = random_timeline(8, tasks=50)
    trace = decoded(perfetto_trace(timeline, static_w=0.5))
    tracks = {
        p.track_descriptor.uuid: p.track_descriptor.name
        for p in trace.packet
        if p.HasField("track_descriptor") and p.track_descriptor.HasField("counter")
    }
    values = defaultdict(list)
    for packet in events_of(trace, COUNTER_VALUE):
        values[tracks[packet.track_event.track_uuid]].append(
            (packet.timestamp, packet.track_event.double_counter_value)
        )
    power = timeline.power(static_w=0.5)
    assert values["power"] == list(zip(power.flow.steps.tick.tolist(), power.power_w.tolist(), strict=True))
    for name, kind in zip(timeline.resources.names, timeline.resources.kind, strict=True):
        if kind == ResourceKind.POOL:
            steps = timeline.in_use(name)
            assert values[name] == list(zip(steps.tick.tolist(), steps.value.tolist(), strict=True))


def test_arrows_follow_the_critical_path() -> None:
    builder = GraphBuilder(tick_s=1e-9)
    servers = [builder.server("a"), builder.server("b")]
    ids = [builder.task(f"t{step}", duration=3 + step, on=servers[step % 2]) for step in range(5)]
    builder.chain(ids)
    trace = decoded(perfetto_trace(played(builder)))
    labels = names(trace.packet[0].interned_data.event_names)
    leaving: dict[int, str] = {}
    entering: dict[int, str] = {}
    for packet in events_of(trace, SLICE_BEGIN):
        event = packet.track_event
        leaving |= dict.fromkeys(event.flow_ids, labels[event.name_iid])
        entering |= dict.fromkeys(event.terminating_flow_ids, labels[event.name_iid])
    assert [(leaving[arrow], entering[arrow]) for arrow in sorted(leaving)] == [
        ("t0", "t1"), ("t1", "t2"), ("t2", "t3"), ("t3", "t4"),
    ]  # fmt: skip


def test_annotations_carry_bytes_energy_and_waiting_time() -> None:
    builder = GraphBuilder()
    link, engine = builder.link("link", capacity=1e9), builder.server("engine")
    builder.task("first", duration=5_000, on=engine)
    builder.task("second", bytes=4096.0, crossing=link, on=engine, energy_fj=77)
    trace = decoded(perfetto_trace(played(builder)))
    keys = names(trace.packet[0].interned_data.debug_annotation_names)
    second = events_of(trace, SLICE_BEGIN)[1].track_event
    assert {keys[a.name_iid]: a.uint_value for a in second.debug_annotations} == {
        "bytes": 4096,
        "energy_fj": 77,
        "waited_ns": 5,
    }


def test_tasks_without_duration_are_instants() -> None:
    builder = GraphBuilder()
    builder.task("join", on=builder.server("engine"))
    builder.task("elsewhere")
    trace = decoded(perfetto_trace(played(builder)))
    assert len(events_of(trace, INSTANT)) == 1
    assert events_of(trace, SLICE_BEGIN, SLICE_END) == []


def test_names_are_kept_to_one_short_line() -> None:
    builder = GraphBuilder()
    for label in ("a\nb\0c", "x" * 1000, "  ", "naïve 漢", "\ud800"):
        builder.task(label, duration=1, on=builder.server(f"on {label}"))
    trace = decoded(perfetto_trace(played(builder)))
    shown = list(names(trace.packet[0].interned_data.event_names).values())
    assert shown == ["a b c", "x" * 199 + "…", "task", "naïve 漢", "task"]


def test_every_field_is_one_that_perfetto_knows() -> None:
    trace = decoded(perfetto_trace(random_timeline(8, tasks=50)))
    for packet in trace.packet:
        parts = [packet, packet.track_event, packet.track_descriptor, packet.interned_data]
        parts += [packet.track_descriptor.counter, *packet.track_event.debug_annotations]
        assert all(len(UnknownFieldSet(part)) == 0 for part in parts)
        assert packet.trusted_packet_sequence_id == 1


def test_picoseconds_are_rounded_down_to_nanoseconds() -> None:
    builder = GraphBuilder()
    builder.task(duration=1_999)
    timeline = played(builder)
    assert nanoseconds(timeline, np.array([999, 1000, 1999, 10**18])).tolist() == [0, 1, 1, 10**15]


def large_timeline(tasks: int) -> Timeline:
    from tests.timeline.large import large_trace

    return Timeline.from_trace(large_trace(tasks))


def test_a_hundred_thousand_tasks_are_written_within_a_second() -> None:
    timeline = large_timeline(100_000)
    began = process_time()
    data = perfetto_trace(timeline)
    spent_s = process_time() - began
    assert spent_s < 2.0, f"{spent_s:.2f} s"  # 1 s on a quiet machine; this one is shared
    assert len(data) > 5_000_000
