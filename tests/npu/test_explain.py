from __future__ import annotations

from pathlib import Path

import pytest

from armillary import hardware, npu
from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.npu import Explanation
from armillary.npu.variants import variants
from armillary.workload import load_model
from tests.npu.networks import branches, generic
from tests.workload.onnx_models import convolutional, write

CORAL = "coral-edge-tpu-usb"


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> Explanation:
    folder = tmp_path_factory.mktemp("explain") / "vgg16"
    npu.run("vgg16", chip=CORAL).save(folder, report=False)
    return npu.explain(folder)


def test_a_link_bound_network_gains_most_from_the_link(vgg: Explanation) -> None:
    """VGG16 streams its weights over USB for nearly all of its latency: twice the rate saves close to half."""
    assert vgg.bounds[0].what == "host link"
    best = vgg.what_if[0]
    assert best.what == "twice the host link rate"
    assert best.latency_gain is not None
    assert 0.35 < best.latency_gain < 0.5


def test_what_ifs_are_runs_of_the_changed_chip(vgg: Explanation) -> None:
    """Each latency is what `run` gives for the variant; gain = 1 - latency / latency of the run."""
    changed = {variant.what: variant.chip for variant in variants(hardware.load_chip(CORAL))}
    assert {row.what for row in vgg.what_if} == set(changed)
    row = next(row for row in vgg.what_if if row.what == "twice the parameter cache")
    assert row.latency_s == npu.run("vgg16", chip=changed[row.what]).latency_s
    assert row.latency_gain == pytest.approx(1 - row.latency_s / vgg.latency_s)


def test_every_layer_has_its_bound_and_the_run_is_reproduced(vgg: Explanation) -> None:
    assert vgg.latency_s == vgg.recorded_latency_s
    assert len(vgg.layers) == 21
    assert {layer.bound for layer in vgg.layers} <= {"array", "vector", "host", "host link", "layer cost"}


def test_variants_change_one_thing_and_stay_valid_chips() -> None:
    """One more DMA queue only where there is DRAM; a larger cache does not take the room of activations."""
    coral, array = hardware.load_chip(CORAL), generic()
    for chip in (coral, array):
        for variant in variants(chip):
            Chip.model_validate(variant.chip.model_dump(by_alias=True))
    assert "one more DMA queue" not in {variant.what for variant in variants(coral)}
    more = next(variant.chip for variant in variants(array) if variant.what == "one more DMA queue")
    assert more.dram is not None
    assert more.dram.dma_engines == 3
    cache = next(variant.chip for variant in variants(coral) if variant.what == "twice the parameter cache")
    assert cache.scratchpad.size.value == 15 * 2**20


def test_a_model_file_and_a_chip_file_are_asked_for_and_checked(tmp_path: Path) -> None:
    model, chip = write(tmp_path, convolutional()), tmp_path / "mine.yaml"
    chip.write_text(hardware.chip_template())
    folder = npu.run(model, chip=chip).save(tmp_path / "run", report=False)
    with pytest.raises(InputError, match="chip 'my-chip' of the run is not in the catalogue; give its file as chip"):
        npu.explain(folder, model=model)
    with pytest.raises(InputError, match="of the run was a file; give that file as model"):
        npu.explain(folder, chip=chip)
    with pytest.raises(InputError, match="is not the chip of the run"):
        npu.explain(folder, model=model, chip=CORAL)
    with pytest.raises(InputError, match="is not the model of the run"):
        npu.explain(folder, model=branches(), chip=chip)
    assert npu.explain(folder, model=model, chip=chip).latency_s == npu.run(model, chip=chip).latency_s


def test_the_queue_depth_of_the_run_is_kept(tmp_path: Path) -> None:
    folder = npu.run(load_model("squeezenet"), chip=CORAL, queue_depth=2).save(tmp_path / "run", report=False)
    explanation = npu.explain(folder, model=load_model("squeezenet"))
    assert explanation.queue_depth == 2
    assert explanation.throughput_per_s > 1 / explanation.latency_s
