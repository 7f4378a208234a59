"""Products of matrices in batches, and tables of which a few rows are read."""

from __future__ import annotations

import numpy as np
import pytest

from armillary import npu
from armillary.npu import compile_network
from armillary.workload import Graph, Operator, OpKind, Tensor, load_model
from tests.npu.networks import generic

HEADS, TOKENS, SIZE = 4, 24, 40


def attention(*batch: int) -> Graph:
    """Scores, softmax and mix of heads, whose leading dimensions are `batch`."""
    shapes = {"q": (TOKENS, SIZE), "k": (SIZE, TOKENS), "v": (TOKENS, SIZE)}
    shapes |= {"scores": (TOKENS, TOKENS), "shares": (TOKENS, TOKENS), "y": (TOKENS, SIZE)}
    tensors = {name: Tensor(name, (*batch, *shape), "int8") for name, shape in shapes.items()}
    operators = (
        Operator("score", OpKind.MATMUL, ("q", "k"), ("scores",)),
        Operator("softmax", OpKind.SOFTMAX, ("scores",), ("shares",)),
        Operator("mix", OpKind.MATMUL, ("shares", "v"), ("y",)),
    )
    return Graph("attention", tensors, operators, ("q", "k", "v"), ("y",))


def test_heads_as_channels_cost_what_heads_as_batch_cost() -> None:
    """2 x heads x tokens^2 x size products; (1, heads, tokens, size) and (heads, tokens, size) take the same cycles."""
    four, three = (compile_network(attention(*batch), generic()) for batch in ((1, HEADS), (HEADS,)))
    assert four.tiles.macs.sum() == three.tiles.macs.sum() == 2 * HEADS * TOKENS**2 * SIZE
    for column in ("rows", "positions", "outputs", "reduction", "each"):
        on_array = four.shapes.reduction > 0
        assert np.array_equal(getattr(four.shapes, column)[on_array], getattr(three.shapes, column)[on_array])
    products = four.shapes.reduction[four.tiles.layer] > 0
    assert (
        four.tiles.cycles[products].tolist()
        == three.tiles.cycles[three.shapes.reduction[three.tiles.layer] > 0].tolist()
    )


def test_each_matrix_of_a_batch_loads_its_own_weights() -> None:
    """heads x ceil(40 / 16) x ceil(24 / 16) passes of 24 positions each on a 16 x 16 array."""
    plan = compile_network(attention(1, HEADS), generic())
    assert plan.tiles.cycles[plan.tiles.layer == 0].sum() == HEADS * 3 * 2 * TOKENS


def test_a_look_up_moves_the_rows_used_and_not_the_table() -> None:
    """128 rows of 768 bytes out of 30,522, and as much of the learned positions; the table counts as parameters."""
    plan = compile_network(load_model("bert_base"), generic())
    at = [layer.name for layer in plan.network.layers].index("embedding")
    assert plan.shapes.row_bytes[at] == 128 * 768
    assert plan.shapes.table_bytes[at] == 30_522 * 768
    moved = plan.tiles.input_bytes[plan.tiles.layer == at].sum()
    assert 128 * 768 <= moved < 128 * 768 + 2 * 4 * 128
    assert npu.run("bert_base", chip="generic-array-16x16").parameter_bytes > 109e6


@pytest.mark.parametrize("model", ["bert_base", "lstm"])
def test_a_table_larger_than_the_scratchpad_is_no_reason_to_refuse(model: str) -> None:
    assert npu.run(model, chip="generic-array-16x16").latency_s > 0


def test_look_ups_wait_for_their_indices() -> None:
    """Indices that stay in the scratchpad do not let rows be loaded before they are there."""
    tensors = {
        "x": Tensor("x", (8, 4), "int8"),
        "i": Tensor("i", (8, 4), "int8"),
        "table": Tensor("table", (1000, 32), "int8", constant=True),
        "rows": Tensor("rows", (8, 4, 32), "int8"),
    }
    operators = (
        Operator("indices", OpKind.ELEMENTWISE, ("x",), ("i",)),
        Operator("look up", OpKind.GATHER, ("i", "table"), ("rows",)),
    )
    timeline = npu.run(Graph("rows", tensors, operators, ("x",), ("rows",)), chip="generic-array-16x16").timeline
    kinds = np.array(timeline.kinds)[timeline.kind]
    first_vector_end = timeline.end[kinds == "vector"].min()
    assert timeline.start[kinds == "input"].max() >= first_vector_end
