"""Malformed and hostile ONNX files: a short error that names the place, quickly and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from armillary.errors import InputError
from armillary.workload import load_model
from armillary.workload.onnx_reader import checks, wire
from tests.workload import onnx_models
from tests.workload.onnx_models import model, write

node = helper.make_node
GIGABYTE = 1_000_000_000


def relu_of(weight: TensorProto) -> onnx.ModelProto:
    proto = model([node("Add", ["x", "w"], ["y"], "add")], {"x": (1,)}, ["y"])
    proto.graph.initializer.append(weight)
    return proto


def declared(
    dims: tuple[int, ...], data_type: int = TensorProto.FLOAT, *, location: str | None = None
) -> onnx.ModelProto:
    """An initializer that declares `dims` and carries nothing, or names an external file."""
    tensor = TensorProto(name="w", data_type=data_type, dims=dims)
    if location is not None:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
    return relu_of(tensor)


def short_payload() -> onnx.ModelProto:
    tensor = numpy_helper.from_array(np.zeros(3000, np.float32), "w")
    tensor.dims[0] = 3001
    return relu_of(tensor)


def cyclic() -> onnx.ModelProto:
    nodes = [
        node("Add", ["x", "b"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "second"),
        node("Relu", ["b"], ["y"], "last"),
    ]
    return model(nodes, {"x": (1, 4)}, ["y"])


def control_flow(op_type: str) -> onnx.ModelProto:
    body = helper.make_graph(
        [node("Identity", ["x"], ["z"])], "body", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])]
    )
    attributes = {"then_branch": body, "else_branch": body} if op_type == "If" else {"body": body}
    return model([node(op_type, ["x"], ["y"], "branching", **attributes)], {"x": (1,)}, ["y"])


def nested_in_unknown() -> onnx.ModelProto:
    body = helper.make_graph([node("Identity", ["x"], ["z"])], "body", [], [])
    return model(
        [node("Custom", ["x"], ["y"], "custom", domain="com.acme", body=body)], {"x": (1,)}, ["y"], domains=["com.acme"]
    )


def with_function() -> onnx.ModelProto:
    proto = model([node("Twice", ["x"], ["y"], "call", domain="own")], {"x": (1,)}, ["y"], domains=["own"])
    proto.functions.append(
        helper.make_function(
            "own", "Twice", ["x"], ["y"], [node("Twice", ["x"], ["y"], domain="own")], proto.opset_import
        )
    )
    return proto


def one_node(
    op_type: str,
    inputs: dict[str, tuple[int, ...]],
    *,
    weights: dict[str, tuple[int, ...]] | None = None,
    values: dict[str, list[int]] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    names = [*inputs, *(weights or {}), *(values or {})]
    return model([node(op_type, names, ["y"], "it", **attributes)], inputs, ["y"], weights=weights, values=values)


def not_utf8() -> bytes:
    return VALID.replace(b"residual", b"resi\xffual")


def newline_in_a_name() -> bytes:
    return bytes(declared((-1,)).SerializeToString()).replace(b"w", b"\n")


def string_input() -> onnx.ModelProto:
    proto = model([node("Identity", ["x"], ["y"], "it")], {"x": (1,)}, ["y"])
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    return proto


VALID = bytes(onnx_models.convolutional().SerializeToString())

CASES: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], str]] = {
    "empty": (lambda: b"", "is empty, not an ONNX model"),
    "text": (lambda: b"this is not a model\n" * 50, "not an ONNX model"),
    "zeros": (lambda: bytes(5000), "not an ONNX model"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "not an ONNX model"),
    "truncated": (lambda: VALID[:-40], "cut short or not an ONNX model"),
    "endless-varint": (lambda: b"\xff" * 64, "not an ONNX model"),
    "no-graph": (lambda: b"\x08\x0a", "holds no graph"),
    "deep-nesting": (lambda: b"\x3a\xff\xff\xff\xff\x07" * 2000, "cut short"),
    "not-utf8": (not_utf8, r"name that is not UTF-8: b'resi\\xffual'"),
    "cycle": (cyclic, "the graph has a cycle through node 'first'"),
    "self-loop": (lambda: one_node("Relu", {"y": (1,)}), "tensor 'y' is written twice"),
    "reads-nothing": (
        lambda: model([node("Add", ["x", "ghost"], ["y"], "add")], {"x": (1,)}, ["y"]),
        "node 'add' reads 'ghost', which nothing writes",
    ),
    "output-nowhere": (
        lambda: model([node("Relu", ["x"], ["z"])], {"x": (1,)}, ["y"]),
        "the shape of 'y', needed by the graph",
    ),
    "gigabyte": (lambda: declared((GIGABYTE // 4,)), "'w' declares 1,000,000,000 bytes and carries 0"),
    "gigabyte-square": (lambda: declared((2**14, 2**14)), "'w' declares 1,073,741,824 bytes and carries 0"),
    "exabytes": (lambda: declared((2**40, 2**40), location="w.bin"), "'w' declares .* bytes, more than 64 GiB"),
    "negative-dimension": (lambda: declared((-4, 2)), r"'w' has a negative dimension in \[-4, 2\]"),
    "unknown-element-type": (lambda: declared((4,), 99), "'w' holds elements of unknown type 99"),
    "short-payload": (short_payload, "'w' declares 12,004 bytes and carries 12,000"),
    "external-parent": (
        lambda: declared((4,), location="../../etc/passwd"),
        "'w' lies outside the model's folder: '../../etc/passwd'",
    ),
    "external-absolute": (lambda: declared((4,), location="/etc/passwd"), "lies outside the model's folder"),
    "external-windows": (lambda: declared((4,), location="C:\\w.bin"), "lies outside the model's folder"),
    "external-backslash": (lambda: declared((4,), location="..\\w.bin"), "lies outside the model's folder"),
    "if": (lambda: control_flow("If"), r"node 'branching' is control flow \(If\)"),
    "loop": (lambda: control_flow("Loop"), r"node 'branching' is control flow \(Loop\)"),
    "scan": (lambda: control_flow("Scan"), r"node 'branching' is control flow \(Scan\)"),
    "nested-graph": (nested_in_unknown, r"node 'custom' \('Custom'\) holds a nested graph"),
    "recursive-function": (with_function, "defines the local function 'Twice'"),
    "strings": (string_input, "input 'x' holds strings"),
    "channels-do-not-fit": (
        lambda: one_node("Conv", {"x": (1, 3, 8, 8)}, weights={"w": (4, 5, 3, 3)}),
        r"node 'it' \('Conv'\): weights \(4, 5, 3, 3\) in 1 groups do not fit data of shape \(1, 3, 8, 8\)",
    ),
    "groups-of-zero": (
        lambda: one_node("Conv", {"x": (1, 3, 8, 8)}, weights={"w": (4, 3, 3, 3)}, group=0),
        "in 0 groups do not fit",
    ),
    "stride-of-zero": (
        lambda: one_node("MaxPool", {"x": (1, 3, 8, 8)}, kernel_shape=[2, 2], strides=[0, 0]),
        "node 'it'",
    ),
    "window-of-gigabytes": (
        lambda: one_node("MaxPool", {"x": (1, 3, 8, 8)}, kernel_shape=[2, 2], pads=[2**40] * 4),
        "larger than 64 GiB",
    ),
    "matrices-do-not-fit": (
        lambda: one_node("MatMul", {"x": (2, 3)}, weights={"w": (4, 5)}),
        "node 'it' .*Incompatible dimensions for matrix multiplication",
    ),
    "expand-to-gigabytes": (
        lambda: one_node("Expand", {"x": (1,)}, values={"s": [2**20, 2**20]}),
        "larger than 64 GiB",
    ),
    "data-dependent": (
        lambda: model(
            [node("NonZero", ["x"], ["z"], "find"), node("Cast", ["z"], ["y"], "cast", to=1)], {"x": (4,)}, ["y"]
        ),
        r"the shape of 'z', needed by node 'find' \('NonZero'\), cannot be inferred",
    ),
    "attribute-of-wrong-type": (
        lambda: one_node("Flatten", {"x": (1, 2)}, axis="one"),
        "node 'it' .*Mismatched attribute type",
    ),
    "constants-only": (
        lambda: model([node("Constant", [], ["y"], value_float=1.0)], {}, ["y"]),
        "computes nothing from its inputs",
    ),
    "newlines-in-a-name": (
        lambda: declared((-1,)).__class__.FromString(declared((-1,)).SerializeToString().replace(b"w", b"\n")),
        r"'\\n'",
    ),
    "long-name": (lambda: model([node("If", ["x"], ["y"], "n" * 100_000)], {"x": (1,)}, ["y"]), "nnn..."),
}


def hostile_file(folder: Path, name: str) -> Path:
    content = CASES[name][0]()
    path = folder / f"{name}.onnx"
    path.write_bytes(content if isinstance(content, bytes) else content.SerializeToString())
    return path


@pytest.mark.parametrize("name", CASES)
def test_hostile_file_gives_a_short_error_that_names_the_place(tmp_path: Path, name: str) -> None:
    path = hostile_file(tmp_path, name)
    with pytest.raises(InputError, match=CASES[name][1]) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3
    assert len(str(caught.value)) < 600 + len(str(path))


PROBE = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from armillary.errors import InputError
from armillary.workload import load_model
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        load_model(path)
        outcome = "graph"
    except InputError:
        outcome = "InputError"
    print(json.dumps([path, outcome, time.process_time() - start]))
"""


def probe(*paths: Path) -> list[tuple[str, str, float]]:
    """Load each file in one process that may map at most 1 GiB."""
    command = [sys.executable, "-c", PROBE, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_hostile_files_cost_under_two_seconds_and_one_gibibyte(tmp_path: Path) -> None:
    results = probe(*(hostile_file(tmp_path, name) for name in CASES))
    assert len(results) == len(CASES)
    assert [path for path, outcome, _ in results if outcome != "InputError"] == []
    assert max(seconds for _, _, seconds in results) < 2.0


def test_a_file_with_a_gigabyte_of_weights_is_read_in_little_memory(tmp_path: Path) -> None:
    """A sparse file with one initializer of 2^28 floats: the reader, which may map 1 GiB in all, keeps its shape."""
    path = write(tmp_path, big := model([node("MatMul", ["x", "w"], ["y"], "product")], {"x": (1, 2**14)}, ["y"]))
    payload = 2**30
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=(2**14, 2**14)).SerializeToString()
    raw_tag = b"\x4a" + varint(payload)
    initializer = b"\x2a" + varint(len(tensor) + len(raw_tag) + payload) + tensor + raw_tag
    graph = big.graph.SerializeToString() + initializer
    big.ClearField("graph")
    head = big.SerializeToString() + b"\x3a" + varint(len(graph) + payload) + graph
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + payload)
    ((_, outcome, seconds),) = probe(path)
    assert outcome == "graph"
    assert seconds < 2.0
    assert load_model(path).parameters == 2**28


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def test_a_file_above_two_gibibytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**31 + 1)
    with pytest.raises(InputError, match=r"is 2,147,483,649 bytes, more than 2 GiB"):
        load_model(path)


@pytest.mark.parametrize(
    ("module", "cap", "message"),
    [
        (checks, "MAX_NODES", "has 11 nodes, more than 2"),
        (wire, "MAX_FIELDS", "has more than 2 fields"),
        (wire, "MAX_KEPT_BYTES", "holds more than 0 MiB besides weights"),
    ],
)
def test_caps_are_enforced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType, cap: str, message: str
) -> None:
    monkeypatch.setattr(module, cap, 2)
    with pytest.raises(InputError, match=message):
        load_model(write(tmp_path, onnx_models.convolutional()))


def test_external_data_is_never_opened(tmp_path: Path) -> None:
    """A relative location is accepted; the file beside the model is a folder, which no reader could open."""
    (tmp_path / "w.bin").mkdir()
    path = write(tmp_path, declared((4,), location="w.bin"))
    assert load_model(path).tensors["w"].shape == (4,)


def test_unknown_input_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, onnx_models.shape_computing())
    with pytest.raises(InputError, match="no input named 'X1'; did you mean x"):
        load_model(path, shapes={"X1": (1, 3, 8, 8)})


def test_unprintable_input_names_stay_on_one_line(tmp_path: Path) -> None:
    for sizes in ((1,), ("open",)):
        path = write(tmp_path, model([node("Relu", ["a\nb\nc\nd"], ["y"])], {"a\nb\nc\nd": sizes}, ["y"]))
        with pytest.raises(InputError, match=r"a\\nb\\nc\\nd") as caught:
            load_model(path, shapes={"x": (1,)} if sizes == (1,) else None)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("shape", [(1, 3, 8), (1, 4, 8, 8), (1, 3, 0, 8), (1, 3, -1, 8)])
def test_given_shape_must_fit(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write(tmp_path, onnx_models.shape_computing())
    with pytest.raises(InputError, match=r"input 'x' is \(batch, 3, height, width\), the shape given is"):
        load_model(path, shapes={"x": shape})


def test_open_dimensions_written_as_zero_or_minus_one_are_open(tmp_path: Path) -> None:
    for size in (0, -1):
        proto = model([node("Relu", ["x"], ["y"])], {"x": (size, 3)}, ["y"])
        with pytest.raises(InputError, match=r"leaves dimensions open: \(\?, 3\).*--shape x=1,3"):
            load_model(write(tmp_path, proto))
