"""A graph is refused unless every tensor is written once, before it is read; counts follow their formulas."""

from __future__ import annotations

import pytest

from armillary.errors import InputError
from armillary.workload import Graph, Operator, OpKind, Tensor, operator_macs, with_dtype
from armillary.workload.builder import Network

X, Y, Z = Tensor("x", (1, 4)), Tensor("y", (1, 4)), Tensor("z", (1, 4))


def relu(name: str, source: str, target: str) -> Operator:
    return Operator(name, OpKind.ACTIVATION, (source,), (target,))


def graph(*operators: Operator, outputs: tuple[str, ...] = ("y",)) -> Graph:
    return Graph("g", {tensor.name: tensor for tensor in (X, Y, Z)}, operators, ("x",), outputs)


@pytest.mark.parametrize(
    ("operators", "outputs", "message"),
    [
        ([relu("a", "ghost", "y")], ("y",), "operator 'a' names tensor 'ghost', which is not in the graph"),
        ([relu("a", "z", "y"), relu("b", "x", "z")], ("y",), "operator 'a' reads tensor 'z' before anything wrote it"),
        ([relu("a", "x", "y"), relu("b", "x", "y")], ("y",), "tensor 'y' is written twice, last by operator 'b'"),
        ([relu("a", "x", "x")], ("x",), "tensor 'x' is written twice"),
        ([relu("a", "x", "y")], ("z",), "output 'z' is written by no operator"),
        ([relu("a", "x", "z"), relu("a", "z", "y")], ("y",), "two operators are named 'a'"),
    ],
)
def test_malformed_graph_is_refused(operators: list[Operator], outputs: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        graph(*operators, outputs=outputs)


def test_producer_and_consumers_are_inverse() -> None:
    built = graph(relu("a", "x", "z"), relu("b", "z", "y"))
    assert built.producer["z"].name == "a"
    assert [op.name for op in built.consumers["z"]] == ["b"]
    assert built.consumers["y"] == ()


@pytest.mark.parametrize(("dtype", "size"), [("int4", 2), ("int8", 3), ("fp16", 6), ("fp32", 12), ("int64", 24)])
def test_bytes_are_elements_times_width_rounded_up(dtype: str, size: int) -> None:
    assert Tensor("t", (1, 3), dtype).bytes == size


def test_unused_constants_are_no_parameters() -> None:
    network = Network("n")
    network.constant("unused", (100,))
    image = network.input("x", (1, 3, 8, 8))
    assert network.graph(image.conv("c", 4, 3)).parameters == 4 * 3 * 9


def test_grouped_convolution_divides_macs_by_its_groups() -> None:
    """out 8 x 8 x 8 times window 9 times 6 / 2 input channels."""
    x = Network("n").input("x", (1, 6, 8, 8))
    grouped = x.conv("c", 8, 3, groups=2)
    built = x.network.graph(grouped)
    assert built.operators[0].kind is OpKind.CONV
    assert operator_macs(built, built.operators[0]) == 8 * 8 * 8 * 9 * 3


@pytest.mark.parametrize(("size", "kernel", "stride"), [(7, 3, 2), (8, 3, 2), (8, 1, 2), (9, 5, 3), (224, 7, 2)])
def test_same_padding_gives_input_over_stride_rounded_up(size: int, kernel: int, stride: int) -> None:
    x = Network("n").input("x", (1, 1, size, size))
    assert x.conv("c", 1, kernel, stride=stride).shape[2:] == (-(-size // stride),) * 2


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda x: x.conv("c", 4, 9, padding=0), "n/c: window of 9 does not fit a map of 8 x 8"),
        (lambda x: x.conv("c", 4, 3, groups=4), "n/c: 4 groups do not divide 6 -> 4 channels"),
        (lambda x: x.add("a", x.conv("c", 4, 3)), "n/a: cannot add shapes"),
        (lambda x: x.concat("j", x.global_pool("g")), "n/j: cannot join shapes"),
        (lambda x: x.network.input("z", (1, 0, 8, 8)), "every dimension is at least 1"),
    ],
)
def test_builder_names_the_operator_that_does_not_fit(build: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(Network("n").input("x", (1, 6, 8, 8)))  # type: ignore[operator]


def test_integer_tensors_keep_their_type_when_the_graph_is_turned() -> None:
    indices = Graph(
        "g", {"x": Tensor("x", (1,), "int64"), "y": Tensor("y", (1,))}, (relu("a", "x", "y"),), ("x",), ("y",)
    )
    turned = with_dtype(indices, "int8").tensors
    assert (turned["x"].dtype, turned["y"].dtype) == ("int64", "int8")
