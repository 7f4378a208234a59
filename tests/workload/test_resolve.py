"""What a user types becomes a graph, or an error with what would be right."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from armillary.errors import InputError
from armillary.workload import Graph, importer_suffixes, load_model, resolve, zoo
from tests.workload import onnx_models
from tests.workload.onnx_models import write


def test_zoo_name_gives_the_graph_of_the_zoo() -> None:
    graph = load_model("MobileNet-V2", resolution=96, batch=2)
    built = zoo.build("mobilenet_v2", resolution=96, batch=2, dtype="int8")
    assert (graph.macs, graph.parameters, graph.tensors) == (built.macs, built.parameters, built.tensors)


def test_width_and_sequence_reach_the_builder() -> None:
    assert load_model("mobilenet_edgetpu", width=1.25).macs == zoo.build("mobilenet_edgetpu", width=1.25).macs
    assert load_model("bert-base", sequence=16).macs == zoo.build("bert_base", sequence=16).macs


def test_file_is_read_by_the_importer_of_its_suffix(tmp_path: Path) -> None:
    path = write(tmp_path, onnx_models.convolutional(), "Net.ONNX")
    assert load_model(path).name == "Net"
    assert load_model(str(path)).macs == load_model(path).macs


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilnet_v2", "no model named 'mobilnet_v2'; did you mean mobilenet_v2"),
        ("no/such.onnx", r"no/such\.onnx: no such file"),
        ("no/such.tflite", r"no/such\.tflite: no importer reads \.tflite; known: \.onnx"),
        ("resnet5.0", "no model named 'resnet5.0'; did you mean resnet50"),
        ("", "no model named ''"),
    ],
)
def test_unknown_model_says_what_would_be_right(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_model(name)


def test_suffix_without_importer_lists_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "net.xyz"
    path.write_bytes(b"?")
    with pytest.raises(InputError, match=r"no importer reads \.xyz; known: \.onnx"):
        load_model(path)


def test_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, not a model file"):
        load_model(tmp_path)


def test_folder_named_like_a_model_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").mkdir()
    with pytest.raises(InputError, match="is a folder, not a model file"):
        load_model(tmp_path / "net.onnx")


def test_zoo_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resnet50").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_model("resnet50").name == "resnet50"


def test_shapes_are_refused_for_the_zoo_and_resolution_for_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="shapes are for model files"):
        load_model("vgg16", shapes={"image": (1, 3, 224, 224)})
    path = write(tmp_path, onnx_models.convolutional())
    for options in ({"resolution": 64}, {"sequence": 64}, {"width": 0.5}, {"batch": 2}):
        with pytest.raises(InputError, match="resolution, sequence, width and batch are for networks of the zoo"):
            load_model(path, **options)


def read_plugin_format(path: Path, *, shapes: object, dtype: object) -> Graph:
    return zoo.build(path.read_text())


def test_plugins_stand_in_the_same_table_as_built_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = EntryPoint(".named", f"{__name__}:read_plugin_format", "armillary.importers")
    monkeypatch.setattr(resolve, "entry_points", lambda group: [plugin])
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    (tmp_path / "a.named").write_text("squeezenet")
    assert importer_suffixes() == (".named", ".onnx")
    assert load_model(tmp_path / "a.named").macs == zoo.build("squeezenet").macs


def test_importing_the_room_imports_no_onnx() -> None:
    code = (
        "import sys, armillary.workload; print([m for m in ('onnx', 'numpy', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
