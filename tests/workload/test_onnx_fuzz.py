"""Mutated models: the reader gives a graph or an InputError, and nothing else."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from armillary.errors import InputError
from armillary.workload import load_model
from tests.workload import onnx_models

SEEDS: tuple[tuple[bytes, dict[str, tuple[int, ...]] | None], ...] = (
    (onnx_models.convolutional().SerializeToString(), None),
    (onnx_models.shape_computing().SerializeToString(), {"x": (2, 3, 8, 8)}),
    (onnx_models.recurrent().SerializeToString(), None),
)
TELLING_BYTES = (0x00, 0x01, 0x02, 0x7F, 0x80, 0xFF)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """One to eight edits; most keep the length, so that the framing survives and deeper stages are reached."""
    out = bytearray(data)
    kinds = 3 if rng.random() < 0.7 else 6
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(out))
        match rng.randrange(kinds):
            case 0:
                out[at] = rng.choice(TELLING_BYTES)
            case 1:
                out[at] ^= 1 << rng.randrange(8)
            case 2:
                out[at] = rng.randrange(256)
            case 3:
                del out[at : at + rng.randint(1, 16)]
            case 4:
                out[at:at] = rng.randbytes(rng.randint(1, 8))
            case _:
                start = rng.randrange(len(out))
                out[at:at] = out[start : start + rng.randint(1, 64)]
    return bytes(out)


def check_mutations(folder: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    path = folder / "mutated.onnx"
    graphs = 0
    for _ in range(count):
        data, shapes = rng.choice(SEEDS)
        path.write_bytes(mutated(data, rng))
        start = time.process_time()
        try:
            load_model(path, shapes=shapes)
            graphs += 1
        except InputError as error:
            assert len(str(error).splitlines()) <= 3
        assert time.process_time() - start < 2.0
    # Else the mutations break the framing only, and the deeper stages are not tested at all.
    assert count // 10 < graphs < count


def test_mutated_models_give_a_graph_or_an_input_error(tmp_path: Path) -> None:
    check_mutations(tmp_path, 200, seed=20260101)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(10))
def test_many_mutated_models_give_a_graph_or_an_input_error(tmp_path: Path, seed: int) -> None:
    check_mutations(tmp_path, 1000, seed)
