"""Functions in pieces become whole where the chip has them, and come apart where it has the pieces alone."""

from __future__ import annotations

import pytest

from armillary import npu
from armillary.hardware import load_chip
from armillary.npu import compile_network
from armillary.npu.lower import lower
from armillary.npu.place import Engine
from armillary.workload import Activation, Graph, Operator, OpKind, Tensor, load_model
from tests.npu.networks import edited, generic

CORAL = "coral-edge-tpu-usb"


def gated() -> Graph:
    """A convolution and x sigmoid(x), as exporters write swish."""
    shape = (1, 16, 8, 8)
    tensors = {name: Tensor(name, shape, "int8") for name in ("x", "y", "s", "z")}
    tensors["w"] = Tensor("w", (16, 16, 1, 1), "int8", constant=True)
    operators = (
        Operator("conv", OpKind.CONV, ("x", "w"), ("y",)),
        Operator("gate", OpKind.ACTIVATION, ("y",), ("s",), activation=Activation.SIGMOID, source_op="Sigmoid"),
        Operator("swish", OpKind.MUL, ("y", "s"), ("z",), source_op="Mul"),
    )
    return Graph("gated", tensors, operators, ("x",), ("z",))


def test_a_function_in_pieces_is_one_layer_where_the_chip_has_it() -> None:
    """The generic array has swish; the Coral has sigmoid and products alone, and runs the pieces."""
    whole, pieces = compile_network(gated(), generic()), compile_network(gated(), load_chip(CORAL))
    assert [layer.op.kind for layer in whole.network.layers] == [OpKind.CONV, OpKind.ACTIVATION]
    assert [layer.name for layer in pieces.network.layers] == ["conv", "gate", "swish"]
    assert not pieces.host_layers


def test_batch_norms_that_stand_alone_are_products_and_sums() -> None:
    """DenseNet-121 joins maps before it norms them: 62 norms that no convolution takes up, none of them on the host."""
    result = npu.run("densenet121", chip=CORAL)
    assert result.fallbacks == ()
    plan = compile_network(load_model("densenet121"), load_chip(CORAL))
    kinds = [layer.op.kind for layer in plan.network.layers]
    assert kinds.count(OpKind.MUL) == kinds.count(OpKind.ADD) == 62
    assert OpKind.BATCH_NORM not in kinds


def test_a_batch_norm_stays_whole_where_the_chip_has_it_or_lacks_a_piece() -> None:
    graph = load_model("densenet121", resolution=32)
    assert lower(graph, generic()) is graph
    without = edited(CORAL, ("global_pool, add, mul,", "global_pool, add,"))
    assert lower(graph, without) is graph
    plan = compile_network(graph, without)
    norms = [at for at, layer in enumerate(plan.network.layers) if layer.op.kind is OpKind.BATCH_NORM]
    assert norms
    assert {plan.placements[at].engine for at in norms} == {Engine.HOST}


def test_pieces_take_no_name_that_the_graph_has() -> None:
    tensors = {name: Tensor(name, (1, 8, 4, 4), "int8") for name in ("x", "y", "y/mul")}
    tensors["s"] = Tensor("s", (8,), "int8", constant=True)
    operators = (
        Operator("norm", OpKind.BATCH_NORM, ("x", "s", "s"), ("y",)),
        Operator("norm/mul", OpKind.MUL, ("y", "y"), ("y/mul",)),
    )
    lowered = lower(Graph("names", tensors, operators, ("x",), ("y/mul",)), load_chip(CORAL))
    assert [op.name for op in lowered.operators] == ["norm/mul'", "norm", "norm/mul"]
    assert lowered.operators[1].outputs == ("y",)


@pytest.mark.parametrize("name", ["recognise", "fold", "lower"])
def test_the_first_passes_show_what_the_graph_became(name: str) -> None:
    rows = npu.passes(gated(), name, chip="generic-array-16x16").rows
    assert [row[1] for row in rows] == ["conv", "activation swish"]
