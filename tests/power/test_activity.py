"""Profiles from what another ring measured: the command line joins the NPU ring and the power ring."""

from __future__ import annotations

import json

import pytest

from armillary import npu
from armillary.cli import main
from armillary.errors import InputError
from armillary.power import profile_of
from armillary.workload import ActivityProfile


def activity(duration_s: float, energy_j: float, device: str = "chip", compute: float = 0.5) -> ActivityProfile:
    return ActivityProfile("net", device, duration_s, energy_j, 2 * energy_j / duration_s, compute, 0.4, 0.0)


def test_a_request_is_its_prefill_and_a_step_for_each_further_token() -> None:
    found = profile_of(activity(2.0, 10.0), activity(0.5, 1.0, compute=0.1), prompt=64, output=9)
    assert found.latency_s == 2.0 + 8 * 0.5
    assert found.energy_j == 10.0 + 8 * 1.0
    assert found.energy_j_per_token == 2.0
    assert found.peak_power_w == 10.0
    assert found.mean_power_w == found.energy_j / found.latency_s
    assert (found.prefill_sensitivity, found.decode_sensitivity) == (0.5, 0.1)
    assert profile_of(activity(2.0, 10.0), activity(0.5, 1.0), prompt=64, output=1).latency_s == 2.0


def test_the_two_belong_to_one_device() -> None:
    with pytest.raises(InputError, match="prefill on a and decode on b"):
        profile_of(activity(1.0, 1.0, "a"), activity(1.0, 1.0, "b"), prompt=1, output=1)


def test_the_command_line_takes_phases_of_an_npu(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "power profile --model llama2_7b --gpu tpu-v4 --prompt 16 --output 8 --dtype int8 --json -"
    assert main(arguments.split()) == 0
    figures = json.loads(capsys.readouterr().out)["result"]
    prefill = npu.run("llama2_7b", chip="tpu-v4", dtype="int8", sequence=16)
    assert figures["prefill_s"] == prefill.latency_s
    assert figures["peak_power_w"] >= figures["mean_power_w"] > 0
    step = npu.run("llama2_7b_decode", chip="tpu-v4", dtype="int8", sequence=16 + 8 // 2)
    assert figures["decode_s_per_token"] == step.latency_s
    assert figures["decode_sensitivity"] == step.activity_profile().compute_share


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--model", "resnet50"], "has no decode form on NPUs"),
        (["--model", "llama2_7b", "--tp", "2"], "takes no --tp"),
    ],
)
def test_what_an_npu_cannot_do_is_refused(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "profile", "--gpu", "tpu-v4", "--prompt", "8", *arguments]) == 2
    assert says in capsys.readouterr().err
