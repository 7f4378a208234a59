"""The timeline as a Perfetto trace (open it at ui.perfetto.dev).

In:  a `Timeline`. Out: the bytes of a `.pftrace` file: a track per resource and lane (timeline/lanes.py), a slice per
task with bytes, energy and waiting time, an instant per task without duration, arrows along the critical path, and
counters: units in use of pools and of servers with several, bytes per second of links and arbiters, power.
Perfetto counts nanoseconds: ticks are rounded down, so slices of one lane never overlap.
Source: protos/perfetto/trace/ (trace_packet, track_event/*, interned_data) of github.com/google/perfetto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from armillary.engine.graph import IntArray, ResourceKind
from armillary.timeline.counters import Counter, power_counter, resource_counter
from armillary.timeline.lanes import Lanes, lanes
from armillary.timeline.wire import Bytes, beside, bytes_field, double, fixed64, message, whole, whole_field

if TYPE_CHECKING:
    from armillary.timeline.timeline import Timeline

# Field numbers of the messages we write.
PACKET = 1  # of Trace
TIMESTAMP, SEQUENCE, TRACK_EVENT, INTERNED, SEQUENCE_FLAGS, TRACK = 8, 10, 11, 12, 13, 60  # of TracePacket
UUID, TRACK_NAME, PARENT, COUNTER, CHILD_ORDER, RANK = 1, 2, 5, 8, 11, 12  # of TrackDescriptor
UNIT_NAME = 6  # of CounterDescriptor
CATEGORY, ANNOTATION, TYPE, NAME, TRACK_UUID = 3, 4, 9, 10, 11  # of TrackEvent (interned category and name)
DOUBLE_VALUE, FLOW, FLOW_ENDS = 44, 47, 48  # of TrackEvent
CATEGORIES, NAMES, ANNOTATION_NAMES = 1, 2, 3  # of InternedData; each entry is {iid = 1, name = 2}

SLICE_BEGIN, SLICE_END, INSTANT, COUNTER_VALUE = 1, 2, 3, 4  # TrackEvent.Type
EXPLICIT_ORDER = 3  # TrackDescriptor.ChildTracksOrdering
STATE_CLEARED, NEEDS_STATE = 1, 2  # TracePacket.SequenceFlags

ROOT = 1  # uuid of the track that holds all others
ANNOTATIONS = ("bytes", "energy_fj", "waited_ns")
LONGEST_NAME = 200
CHUNK = 100_000  # rows encoded at a time, which bounds memory


def perfetto_trace(timeline: Timeline, *, title: str = "Armillary", static_w: float = 0.0) -> bytes:
    """Return `timeline` as a Perfetto trace.

    Args:
        timeline: what happened.
        title: name of the track that holds all others.
        static_w: power drawn besides the tasks' energies, watts.
    """
    placed = lanes(timeline)
    tracks, uuid = _lane_tracks(timeline, placed)
    counters = _counters(timeline, static_w)
    first_counter = int(uuid.max(initial=ROOT)) + 1
    head = [
        _packet(whole_field(SEQUENCE_FLAGS, STATE_CLEARED | NEEDS_STATE) + bytes_field(INTERNED, _interned(timeline))),
        _track(ROOT, title, more=whole_field(CHILD_ORDER, EXPLICIT_ORDER)),
        *tracks,
        *(
            _track(
                first_counter + rank,
                counter.name,
                parent=ROOT,
                rank=len(timeline.resources) + 1 + rank,
                more=bytes_field(COUNTER, bytes_field(UNIT_NAME, counter.unit)),
            )
            for rank, counter in enumerate(counters)
        ),
    ]
    body = _slices(timeline, placed, uuid)
    for rank, counter in enumerate(counters):
        fields = _fields_of_type(COUNTER_VALUE, np.full(len(counter.tick), first_counter + rank))
        body.append(_events(nanoseconds(timeline, counter.tick), fields, double(DOUBLE_VALUE, counter.value)).joined())
    return b"".join(head + body)


def nanoseconds(timeline: Timeline, tick: IntArray) -> IntArray:
    """Return ticks as whole nanoseconds, rounded down."""
    per_ns = round(1e-9 / timeline.tick_s)
    if per_ns >= 1 and abs(per_ns * timeline.tick_s - 1e-9) < 1e-18:
        return tick // per_ns
    rounded: IntArray = np.floor(tick * (timeline.tick_s / 1e-9)).astype(np.int64)
    return rounded


def shown_name(name: str, otherwise: str) -> str:
    """Return `name` on one line, without control characters, at most `LONGEST_NAME` long."""
    line = name if name.isprintable() else "".join(letter if letter.isprintable() else " " for letter in name)
    if not line.strip():
        return otherwise
    return line if len(line) <= LONGEST_NAME else line[: LONGEST_NAME - 1] + "…"


def _packet(fields: bytes) -> bytes:
    return bytes_field(PACKET, whole_field(SEQUENCE, 1) + fields)


def _track(uuid: int, name: str, *, parent: int | None = None, rank: int = 0, more: bytes = b"") -> bytes:
    fields = whole_field(UUID, uuid) + bytes_field(TRACK_NAME, shown_name(name, "unnamed")) + more
    if parent is not None:
        fields += whole_field(PARENT, parent) + whole_field(RANK, rank)
    return _packet(bytes_field(TRACK, fields))


def _interned(timeline: Timeline) -> bytes:
    """Names that events refer to by number: 1 + the index of the kind, label or annotation."""
    kinds = [shown_name(kind, "task") for kind in timeline.kinds]
    labels = [shown_name(label, "task") for label in timeline.labels]
    return b"".join(
        bytes_field(field, whole_field(1, number) + bytes_field(2, name))
        for field, names in ((CATEGORIES, kinds), (NAMES, labels), (ANNOTATION_NAMES, ANNOTATIONS))
        for number, name in enumerate(names, 1)
    )


def _lane_tracks(timeline: Timeline, placed: Lanes) -> tuple[list[bytes], IntArray]:
    """Return the descriptors of all lanes and the uuid of each row's lane.

    A resource with one lane is one track; one with several is a track that holds a track per lane.
    """
    tracks: list[bytes] = []
    uuid = np.zeros(len(placed.task), np.int64)
    number = ROOT
    starts = np.flatnonzero(np.diff(placed.resource, prepend=-2))
    for rows in np.split(np.arange(len(placed.task)), starts[1:]) if len(starts) else []:
        resource, count = int(placed.resource[rows[0]]), int(placed.lane[rows[-1]]) + 1
        name = timeline.resources.names[resource] if resource >= 0 else "on no resource"
        rank = resource if resource >= 0 else len(timeline.resources)
        number += 1
        tracks.append(_track(number, name, parent=ROOT, rank=rank, more=whole_field(CHILD_ORDER, EXPLICIT_ORDER)))
        if count == 1:
            uuid[rows] = number
            continue
        uuid[rows] = number + 1 + placed.lane[rows]
        tracks += [_track(number + 1 + lane, f"{name} {lane}", parent=number, rank=lane) for lane in range(count)]
        number += count
    return tracks, uuid


def _fields_of_type(kind: int, uuid: IntArray) -> Bytes:
    return beside(whole(TYPE, np.full(len(uuid), kind)), whole(TRACK_UUID, uuid))


def _events(time_ns: IntArray, *fields: Bytes) -> Bytes:
    """Return packets, each with one track event."""
    once = np.ones(len(time_ns), np.int64)
    return message(
        PACKET,
        whole(TIMESTAMP, time_ns),
        whole(SEQUENCE, once),
        whole(SEQUENCE_FLAGS, once * NEEDS_STATE),
        message(TRACK_EVENT, *fields),
    )


def _slices(timeline: Timeline, placed: Lanes, uuid: IntArray) -> list[bytes]:
    """Return begin and end (or an instant) of each row, in lane order: equal times keep that order."""
    arrow_out, arrow_in = _arrows(timeline, placed)
    start, stop, waited = timeline.start, timeline.stop, timeline.start - timeline.ready
    whole_bytes = np.rint(np.minimum(timeline.bytes, 2.0**62)).astype(np.int64)
    chunks = []
    for first in range(0, len(uuid), CHUNK):
        rows = slice(first, first + CHUNK)
        task = placed.task[rows]
        lasts = stop[task] > start[task]
        numbers = (
            whole_bytes[task],
            np.maximum(timeline.energy_fj[task], 0),
            nanoseconds(timeline, waited[task]),
        )
        annotations = [
            message(ANNOTATION, whole(1, np.full(len(task), number)), whole(3, values)).where(values > 0)
            for number, values in enumerate(numbers, 1)
        ]
        begin = _events(
            nanoseconds(timeline, start[task]),
            whole(TYPE, np.where(lasts, SLICE_BEGIN, INSTANT)),
            whole(TRACK_UUID, uuid[rows]),
            whole(CATEGORY, timeline.kind[task].astype(np.int64) + 1),
            whole(NAME, timeline.label[task].astype(np.int64) + 1),
            *annotations,
            fixed64(FLOW, arrow_out[rows]).where(arrow_out[rows] > 0),
            fixed64(FLOW_ENDS, arrow_in[rows]).where(arrow_in[rows] > 0),
        )
        end = _events(nanoseconds(timeline, stop[task]), _fields_of_type(SLICE_END, uuid[rows])).where(lasts)
        chunks.append(beside(begin, end).joined())
    return chunks


def _arrows(timeline: Timeline, placed: Lanes) -> tuple[IntArray, IntArray]:
    """Number of the arrow that leaves and that enters each row (0: none), along the critical path."""
    leaving, entering = np.zeros(len(placed.task), np.int64), np.zeros(len(placed.task), np.int64)
    row = np.full(len(timeline), -1)
    row[placed.task[::-1]] = np.arange(len(placed.task))[::-1]  # a task on several lanes: its first
    path = row[timeline.critical_path().task]
    path = path[path >= 0]
    number = np.arange(1, len(path))
    leaving[path[:-1]] = number
    entering[path[1:]] = number
    return leaving, entering


def _counters(timeline: Timeline, static_w: float) -> list[Counter]:
    """Return all counters but those of servers with one unit, whose slices say the same, and of power that is nil."""
    table = timeline.resources
    shown = np.flatnonzero((table.kind != ResourceKind.SERVER) | (table.units > 1))
    power = power_counter(timeline, static_w=static_w)
    return [*(resource_counter(timeline, index) for index in shown.tolist()), *([power] if power.value.any() else [])]
