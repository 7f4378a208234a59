"""Functions that exporters write in pieces become one operator; what only looks alike stays as it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import NodeProto, helper

from armillary.workload import Activation, Graph, Operator, OpKind, Tensor, load_model, recognise
from tests.workload import onnx_models
from tests.workload.onnx_models import write

Published = Callable[[str, str, str], Path]
Step = tuple[str, str, str]  # operator type, inputs, output

# Constants: a, b, c of one element, u and w of one a channel.
WEIGHTS: dict[str, tuple[int, ...]] = {"a": (), "b": (1,), "c": (1, 1, 1, 1), "w": (4, 1, 1), "u": (1, 4, 1, 1)}

FUNCTIONS: dict[str, tuple[Activation, list[Step]]] = {
    "hard swish, scaled last": (
        Activation.HARD_SWISH,
        [("Add", "x a", "1"), ("Clip", "1", "2"), ("Mul", "x 2", "3"), ("Div", "3 b", "y")],
    ),
    "hard swish, scaled first": (
        Activation.HARD_SWISH,
        [("Add", "a x", "1"), ("Clip", "1", "2"), ("Div", "2 b", "3"), ("Mul", "3 x", "y")],
    ),
    "hard swish by a factor": (
        Activation.HARD_SWISH,
        [("Add", "x a", "1"), ("Clip", "1", "2"), ("Mul", "2 c", "3"), ("Mul", "x 3", "y")],
    ),
    "hard swish of an operator": (Activation.HARD_SWISH, [("HardSigmoid", "x", "1"), ("Mul", "x 1", "y")]),
    "hard sigmoid": (Activation.HARD_SIGMOID, [("Add", "x a", "1"), ("Clip", "1", "2"), ("Div", "2 b", "y")]),
    "hard sigmoid, scaled inside": (
        Activation.HARD_SIGMOID,
        [("Mul", "x a", "1"), ("Add", "1 b", "2"), ("Clip", "2", "y")],
    ),
    "swish": (Activation.SWISH, [("Sigmoid", "x", "1"), ("Mul", "1 x", "y")]),
    "swish with a slope": (Activation.SWISH, [("Mul", "x a", "1"), ("Sigmoid", "1", "2"), ("Mul", "x 2", "y")]),
    "gelu, halved last": (
        Activation.GELU,
        [("Div", "x a", "1"), ("Erf", "1", "2"), ("Add", "2 b", "3"), ("Mul", "x 3", "4"), ("Mul", "4 c", "y")],
    ),
    "gelu, halved first": (
        Activation.GELU,
        [("Mul", "x a", "0"), ("Div", "x b", "1"), ("Erf", "1", "2"), ("Add", "2 b", "3"), ("Mul", "0 3", "y")],
    ),
    "gelu, halved between": (
        Activation.GELU,
        [("Mul", "x a", "1"), ("Erf", "1", "2"), ("Add", "b 2", "3"), ("Mul", "3 a", "4"), ("Mul", "4 x", "y")],
    ),
    "gelu by tanh and a power": (
        Activation.GELU,
        [
            ("Pow", "x a", "1"), ("Mul", "1 b", "2"), ("Add", "x 2", "3"), ("Mul", "3 a", "4"), ("Tanh", "4", "5"),
            ("Add", "5 b", "6"), ("Mul", "x 6", "7"), ("Mul", "7 c", "y"),
        ],
    ),
    "gelu by tanh and products": (
        Activation.GELU,
        [
            ("Mul", "x a", "1"), ("Mul", "x 1", "2"), ("Mul", "x 2", "3"), ("Add", "x 3", "4"), ("Mul", "4 b", "5"),
            ("Tanh", "5", "6"), ("Add", "6 a", "7"), ("Mul", "7 b", "8"), ("Mul", "x 8", "y"),
        ],
    ),
}  # fmt: skip

LOOK_ALIKES: dict[str, list[Step]] = {
    "gate of another tensor": [("Sigmoid", "x", "1"), ("Mul", "1 z", "y")],
    "inner tensor read twice": [("Sigmoid", "x", "1"), ("Mul", "1 x", "2"), ("Add", "1 2", "y")],
    "clip without a shift": [("Clip", "x", "1"), ("Mul", "x 1", "2"), ("Div", "2 a", "y")],
    "shift a channel": [("Add", "x w", "1"), ("Clip", "1", "2"), ("Mul", "x 2", "3"), ("Div", "3 a", "y")],
    "shift by another tensor": [("Add", "x z", "1"), ("Clip", "1", "2"), ("Mul", "x 2", "3"), ("Div", "3 a", "y")],
    "no scale": [("Add", "x a", "1"), ("Clip", "1", "2"), ("Mul", "x 2", "y")],
    "tanh without a cube": [
        ("Mul", "x a", "1"), ("Tanh", "1", "2"), ("Add", "2 b", "3"), ("Mul", "x 3", "y"),
    ],
    "square for a cube": [
        ("Mul", "x x", "1"), ("Add", "x 1", "2"), ("Mul", "2 a", "3"), ("Tanh", "3", "4"), ("Add", "4 b", "5"),
        ("Mul", "x 5", "y"),
    ],
    "error function without a product": [("Mul", "x a", "1"), ("Erf", "1", "2"), ("Add", "2 b", "y")],
    "scale and shift behind no convolution": [("Mul", "x w", "1"), ("Add", "1 w", "y")],
    "length of a vector": [("Mul", "x x", "1"), ("Mul", "z z", "2"), ("Add", "1 2", "3"), ("Sqrt", "3", "y")],
}  # fmt: skip


def imported(folder: Path, steps: Sequence[Step], outputs: Sequence[str] = ("y",)) -> Graph:
    nodes = [helper.make_node(kind, inputs.split(), [out], f"{kind}/{out}") for kind, inputs, out in steps]
    return from_nodes(folder, nodes, outputs)


def from_nodes(folder: Path, nodes: Sequence[NodeProto], outputs: Sequence[str] = ("y",), **weights: object) -> Graph:
    read = {name for node in nodes for name in node.input}
    inputs = {name: (2, 4, 6, 6) for name in ("x", "z") if name in read}
    used = {name: shape for name, shape in {**WEIGHTS, **weights}.items() if name in read}
    return load_model(write(folder, onnx_models.model(nodes, inputs, outputs, weights=used)))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_in_pieces_becomes_one_operator(name: str, tmp_path: Path) -> None:
    activation, steps = FUNCTIONS[name]
    (op,) = recognise(imported(tmp_path, steps)).operators
    assert (op.kind, op.activation, op.inputs, op.outputs) == (OpKind.ACTIVATION, activation, ("x",), ("y",))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_is_put_together_that_the_target_does_not_run_as_one(name: str, tmp_path: Path) -> None:
    activation, steps = FUNCTIONS[name]
    graph = imported(tmp_path, steps)
    assert recognise(graph, only=set(Activation) - {activation}) is graph
    assert len(recognise(graph, only={activation.value}).operators) == 1


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_what_only_looks_alike_stays(name: str, tmp_path: Path) -> None:
    graph = imported(tmp_path, LOOK_ALIKES[name])
    assert recognise(graph) is graph


@pytest.mark.parametrize("name", FUNCTIONS)
def test_inner_tensors_that_the_graph_returns_stay(name: str, tmp_path: Path) -> None:
    _, steps = FUNCTIONS[name]
    inner = [out for _, _, out in steps[:-1]]
    for tensor in inner:
        graph = recognise(imported(tmp_path, steps, ("y", tensor)))
        assert tensor in graph.producer
        assert len(graph.operators) > 1


@pytest.mark.parametrize("square", [("Pow", "d a", "q"), ("Mul", "d d", "q")])
@pytest.mark.parametrize("division", [[("Div", "d r", "n")], [("Reciprocal", "r", "i"), ("Mul", "d i", "n")]])
@pytest.mark.parametrize("affine", [[], [("Mul", "n g", "m")], [("Mul", "n g", "m"), ("Add", "m h", "k")]])
@pytest.mark.parametrize("centred", [True, False])
def test_norm_in_pieces_becomes_one_operator(
    square: Step, division: list[Step], affine: list[Step], centred: bool, tmp_path: Path
) -> None:
    """Layer norm with the subtraction of the mean, RMS norm without; scale and shift where they are."""
    start = [("Sub", "x e", "d")] if centred else [("Relu", "x", "d")]
    root = [("Add", "v a", "t"), ("Sqrt", "t", "r")]
    mean = helper.make_node("ReduceMean", ["x"], ["e"], "mean", axes=[-1])
    variance = helper.make_node("ReduceMean", ["q"], ["v"], "variance", axes=[-1])
    nodes = [helper.make_node(kind, inputs.split(), [out]) for kind, inputs, out in (*start, square)]
    nodes = [mean, *nodes] if centred else nodes
    nodes += [variance, *(helper.make_node(kind, ins.split(), [out]) for kind, ins, out in (*root, *division, *affine))]
    graph = recognise(from_nodes(tmp_path, nodes, [nodes[-1].output[0]], g=(6,), h=(6,)))
    norm = graph.operators[-1]
    assert norm.kind is OpKind.NORM
    assert norm.inputs == ("x" if centred else "d", *("g", "h")[: len(affine)])
    assert len(graph.operators) == (1 if centred else 2)


@pytest.mark.parametrize("constants", [("w", "u"), ("a", "b"), ("u", "c")])
def test_scale_and_shift_behind_a_convolution_is_a_batch_norm(constants: tuple[str, str], tmp_path: Path) -> None:
    scale, shift = constants
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["1"], "conv"),
        helper.make_node("Mul", ["1", scale], ["2"], "scale"),
        helper.make_node("Add", ["2", shift], ["y"], "shift"),
    ]
    graph = recognise(from_nodes(tmp_path, nodes, k=(4, 4, 1, 1)), only=())
    assert [op.kind for op in graph.operators] == [OpKind.CONV, OpKind.BATCH_NORM]
    assert graph.operators[1].inputs == ("1", scale, shift)


def test_a_shift_belongs_to_the_hard_swish_behind_the_batch_norm(tmp_path: Path) -> None:
    """Conv, times a, plus b, then x clip(x + a) / b: two sums in a row, one of each function."""
    nodes = [helper.make_node("Conv", ["x", "k"], ["1"], "conv")]
    steps = [("Mul", "1 a", "2"), ("Add", "2 b", "3"), ("Add", "3 a", "4"), ("Clip", "4", "5"), ("Mul", "3 5", "6")]
    nodes += [helper.make_node(kind, ins.split(), [out]) for kind, ins, out in [*steps, ("Div", "6 b", "y")]]
    graph = recognise(from_nodes(tmp_path, nodes, k=(4, 4, 1, 1)))
    assert [op.kind for op in graph.operators] == [OpKind.CONV, OpKind.BATCH_NORM, OpKind.ACTIVATION]


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("ch_ppocr_mobile_v2.0_cls_infer", (1, 3, 48, 192), {Activation.HARD_SWISH: 18}),
        ("ch_PP-OCRv4_det_infer", (1, 3, 320, 320), {Activation.HARD_SWISH: 24}),
        ("ch_PP-OCRv4_rec_infer", (1, 3, 48, 320), {Activation.HARD_SWISH: 28, Activation.SWISH: 7}),
    ],
)
def test_rapidocr_s_activations_are_found(
    published_model: Published, name: str, shape: tuple[int, ...], expected: dict[Activation, int]
) -> None:
    """Every clip of these files belongs to a hard swish; the five norms of the recogniser are found too."""
    member = f"rapidocr_onnxruntime/models/{name}.onnx"
    graph = load_model(published_model("rapidocr_onnxruntime", "1.4.4", member), shapes={"x": shape})
    found = recognise(graph)
    counts = Counter(op.activation for op in found.operators if op.kind is OpKind.ACTIVATION)
    assert {activation: counts[activation] for activation in expected} == expected
    assert not {Activation.RELU6, Activation.CLIP} & counts.keys()
    assert sum(op.kind is OpKind.NORM for op in found.operators) == (5 if "rec" in name else 0)
    assert (found.macs, found.inputs, found.outputs) == (graph.macs, graph.inputs, graph.outputs)


def test_the_swishes_of_a_detector_are_found(published_model: Published) -> None:
    """YOLOv8: each of its 58 sigmoids but that of the scores gates its own input."""
    graph = load_model(published_model("nudenet", "3.4.2", "nudenet/320n.onnx"), shapes={"images": (1, 3, 320, 320)})
    counts = Counter(op.activation for op in recognise(graph).operators)
    assert (counts[Activation.SWISH], counts[Activation.SIGMOID]) == (57, 1)


@st.composite
def elementwise_graphs(draw: st.DrawFn) -> Graph:
    """Random sums, products, clips and sigmoids over an input, two constants and each other."""
    tensors = {
        name: Tensor(name, shape, constant=name != "x") for name, shape in (("x", (1, 4)), ("a", (1,)), ("b", ()))
    }
    operators: list[Operator] = []
    live = ["x"]
    for index in range(draw(st.integers(1, 12))):
        source, other = draw(st.sampled_from(live)), draw(st.sampled_from([*live, "a", "b"]))
        kind = draw(st.sampled_from([OpKind.ADD, OpKind.MUL, OpKind.ELEMENTWISE, OpKind.ACTIVATION]))
        named = draw(st.sampled_from([Activation.CLIP, Activation.SIGMOID, Activation.TANH, Activation.OTHER]))
        unary = kind is OpKind.ACTIVATION
        source_op = {Activation.OTHER: "Erf"}.get(named, "") if unary else draw(st.sampled_from(["Div", "Pow", "Sub"]))
        out = f"t{index}"
        tensors[out] = Tensor(out, (1, 4))
        inputs = (source,) if unary else (source, other)
        activation = named if unary else None
        operators.append(Operator(out, kind, inputs, (out,), activation=activation, source_op=source_op))
        live.append(out)
    outputs = draw(st.lists(st.sampled_from(live[1:]), min_size=1, max_size=2, unique=True))
    return Graph("g", tensors, tuple(operators), ("x",), tuple(outputs))


@given(elementwise_graphs())
@settings(max_examples=150, deadline=None)
def test_recognition_keeps_inputs_and_outputs_and_finds_everything_at_once(graph: Graph) -> None:
    """The result is a valid graph (it would be refused otherwise), no longer than before, and a fixed point."""
    found = recognise(graph)
    assert (found.inputs, found.outputs) == (graph.inputs, graph.outputs)
    assert len(found.operators) <= len(graph.operators)
    assert recognise(found) is found
