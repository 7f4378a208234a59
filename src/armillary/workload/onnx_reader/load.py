"""The importer of `.onnx` files: file in, graph out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from google.protobuf.message import DecodeError
from onnx import ModelProto

from armillary.errors import InputError
from armillary.workload.graph import Graph
from armillary.workload.onnx_reader.checks import check_model
from armillary.workload.onnx_reader.shapes import infer
from armillary.workload.onnx_reader.translate import translate
from armillary.workload.onnx_reader.wire import read_skeleton
from armillary.workload.precision import with_dtype


def load(path: str | Path, *, shapes: Mapping[str, tuple[int, ...]] | None = None, dtype: str | None = None) -> Graph:
    """Read an ONNX file as an operator graph.

    Args:
        path: the file; at most 2 GiB. External data is never opened.
        shapes: full shape of inputs by name, for those whose dimensions the file leaves open.
        dtype: element type of all floating tensors, see `precision.with_dtype`; None keeps what the file says.

    Raises:
        InputError: the file is missing, malformed or beyond the caps; holds control flow, nested graphs or local
            functions; leaves a dimension open; or a node contradicts the shapes of its inputs.
    """
    path = Path(path)
    where = str(path)
    model = _parse(read_skeleton(path), where)
    check_model(model, where)
    tensors = infer(model, shapes or {}, where)
    graph = translate(tensors, [output.name for output in model.graph.output], path.stem)
    return graph if dtype is None else with_dtype(graph, dtype)


def _parse(data: bytes, where: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise InputError("is not an ONNX model, or a damaged one", where=where) from error
    return model
