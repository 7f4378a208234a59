"""ONNX files as operator graphs: shapes only, never the values of weights.

In:  a path, the shapes of inputs with open dimensions, optionally an element type.
Out: a `Graph`; every fault of the file is an `InputError` of one to three lines that names the node or tensor.
Stages: `wire` (file without weights) -> `checks` (refusals) -> `shapes` (types of all tensors) -> `translate`
(operators, by the table in `rules`). Importing this package imports onnx: `resolve` does so on first use.
"""

from __future__ import annotations

from armillary.workload.onnx_reader.load import load

__all__ = ["load"]
