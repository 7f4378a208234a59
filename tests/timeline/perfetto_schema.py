"""The few Perfetto messages that we write, declared by hand for protobuf's own decoder.

Field numbers and types from protos/perfetto/trace of github.com/google/perfetto; unknown fields would show in a decoded
message, so a test can ask that there are none.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = descriptor_pb2.FieldDescriptorProto
# message -> (field, number, type or message name, repeated)
MESSAGES: dict[str, list[tuple[str, int, int | str, bool]]] = {
    "Trace": [("packet", 1, "TracePacket", True)],
    "TracePacket": [
        ("timestamp", 8, Field.TYPE_UINT64, False),
        ("trusted_packet_sequence_id", 10, Field.TYPE_UINT32, False),
        ("track_event", 11, "TrackEvent", False),
        ("interned_data", 12, "InternedData", False),
        ("sequence_flags", 13, Field.TYPE_UINT32, False),
        ("track_descriptor", 60, "TrackDescriptor", False),
    ],
    "TrackDescriptor": [
        ("uuid", 1, Field.TYPE_UINT64, False),
        ("name", 2, Field.TYPE_STRING, False),
        ("parent_uuid", 5, Field.TYPE_UINT64, False),
        ("counter", 8, "CounterDescriptor", False),
        ("child_ordering", 11, Field.TYPE_INT32, False),
        ("sibling_order_rank", 12, Field.TYPE_INT32, False),
    ],
    "CounterDescriptor": [("unit_name", 6, Field.TYPE_STRING, False)],
    "TrackEvent": [
        ("category_iids", 3, Field.TYPE_UINT64, True),
        ("debug_annotations", 4, "DebugAnnotation", True),
        ("type", 9, Field.TYPE_INT32, False),
        ("name_iid", 10, Field.TYPE_UINT64, False),
        ("track_uuid", 11, Field.TYPE_UINT64, False),
        ("double_counter_value", 44, Field.TYPE_DOUBLE, False),
        ("flow_ids", 47, Field.TYPE_FIXED64, True),
        ("terminating_flow_ids", 48, Field.TYPE_FIXED64, True),
    ],
    "DebugAnnotation": [("name_iid", 1, Field.TYPE_UINT64, False), ("uint_value", 3, Field.TYPE_UINT64, False)],
    "InternedData": [
        ("event_categories", 1, "InternedName", True),
        ("event_names", 2, "InternedName", True),
        ("debug_annotation_names", 3, "InternedName", True),
    ],
    "InternedName": [("iid", 1, Field.TYPE_UINT64, False), ("name", 2, Field.TYPE_STRING, False)],
}


def decoded(data: bytes) -> Any:
    """Return the `Trace` message that protobuf reads from `data`."""
    file = descriptor_pb2.FileDescriptorProto(name="perfetto_subset.proto", package="subset", syntax="proto2")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            entry = message.field.add(
                name=field, number=number, label=Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
            )
            if isinstance(kind, str):
                entry.type, entry.type_name = Field.TYPE_MESSAGE, f".subset.{kind}"
            else:
                entry.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    trace = message_factory.GetMessageClass(pool.FindMessageTypeByName("subset.Trace"))()
    trace.ParseFromString(data)
    return trace
