"""The GPUs of the catalogue are valid, sourced, and found by name or file."""

from __future__ import annotations

from pathlib import Path

import pytest

from armillary.cli import main
from armillary.errors import InputError
from armillary.hardware import gpu_names, gpu_schema, gpu_text, load_gpu

EXPECTED = {"a100-80gb", "a100-40gb", "h100-80gb", "b200", "v100", "p100", "a40", "rtx6000"}


def test_the_catalogue_has_the_gpus_it_promises() -> None:
    assert set(gpu_names()) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_gpu_is_named_as_its_file_and_every_number_says_where_it_is_from(name: str) -> None:
    gpu = load_gpu(name)
    assert gpu.name == name
    for part in (gpu.timing, gpu.power, gpu.training, gpu.memory):
        for field in type(part).model_fields:
            number = getattr(part, field)
            assert number.source or number.fitted_by, field
            assert number.source is None or "estimate" not in number.source or number.low is not None, field


def test_names_do_not_mind_case_and_dashes() -> None:
    assert load_gpu("A100_80GB") is load_gpu("a100-80gb")
    with pytest.raises(InputError, match="no GPU named 'a100-80'; did you mean a100-80gb"):
        load_gpu("a100-80")


def test_a_file_is_read_and_its_mistakes_are_placed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.yaml"
    text = gpu_text("h100-80gb").replace("name: h100-80gb", "name: mine")
    mine.write_text(text)
    assert load_gpu(mine).name == "mine"
    assert main(["check", str(mine)]) == 0
    assert "a valid GPU, mine" in capsys.readouterr().out
    mine.write_text(text.replace("value: 700 W", "value: 700"))
    with pytest.raises(InputError, match=r"mine.yaml:\d+: power.*limit.*has no unit"):
        load_gpu(mine)
    mine.write_text(text.replace("boost: 1980 MHz", "boost: 1000 MHz"))
    with pytest.raises(InputError, match="lowest <= base <= boost"):
        load_gpu(mine)
    with pytest.raises(InputError, match="no such GPU file"):
        load_gpu(tmp_path / "none.yaml")


def test_idle_of_an_a100_is_a_fifth_of_its_limit() -> None:
    power = load_gpu("a100-80gb").power
    assert power.idle.value / power.limit.value == pytest.approx(0.2)


def test_the_schema_names_every_field() -> None:
    assert {"units", "timing", "power", "clocks"} <= set(gpu_schema()["properties"])


def test_the_catalogue_lists_gpus_and_language_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "gpus"]) == 0
    assert "h100-80gb" in capsys.readouterr().out
    assert main(["catalog", "gpus", "p100", "--json", "-"]) == 0
    assert '"name": "p100"' in capsys.readouterr().out
    assert main(["catalog", "language-models", "--quiet"]) == 0
    assert "bloom-176b" in capsys.readouterr().out
    assert main(["catalog", "schema", "gpu"]) == 0
    assert '"Gpu"' in capsys.readouterr().out
