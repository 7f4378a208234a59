"""Work: operator graphs, where they come from, and the records that one ring hands to the next.

In:  a name of the model zoo or a model file (`load_model`).
Out: a frozen `Graph` of operators over shaped, typed tensors; weights are shapes, never values.
`zoo` holds the published networks, `language_models` the sizes of language models in service, importers read files
(ONNX; more by the entry-point group `armillary.importers`),
`recognise` puts functions together that exporters write in pieces,
`ServiceTime` and `ActivityProfile` carry what a system measured to the next system.
"""

from __future__ import annotations

from armillary.workload import zoo
from armillary.workload.graph import ELEMENT_BYTES, Activation, Graph, Operator, OpKind, Tensor, Window, operator_macs
from armillary.workload.language_models import LanguageModel, language_model_names, load_language_model
from armillary.workload.precision import with_dtype
from armillary.workload.recognise import recognise
from armillary.workload.records import ActivityProfile, ServiceTime
from armillary.workload.resolve import importer_suffixes, load_model

__all__ = [
    "ELEMENT_BYTES",
    "Activation",
    "ActivityProfile",
    "Graph",
    "LanguageModel",
    "OpKind",
    "Operator",
    "ServiceTime",
    "Tensor",
    "Window",
    "importer_suffixes",
    "language_model_names",
    "load_language_model",
    "load_model",
    "operator_macs",
    "recognise",
    "with_dtype",
    "zoo",
]
