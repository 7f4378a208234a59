from __future__ import annotations

from pathlib import Path

import pytest

from armillary import hardware
from armillary.errors import InputError
from armillary.hardware.quantity import Dimension
from armillary.hardware.schema import Chip
from armillary.hardware.vocabulary import ACTIVATIONS, ELEMENT_TYPES, OPERATORS
from armillary.store import parse_model
from armillary.workload import ELEMENT_BYTES, Activation, OpKind


def from_template(*changes: tuple[str, str]) -> Chip:
    """The template with each (old, new) text replaced; `old` must stand in it."""
    text = hardware.chip_template()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse_model(text, Chip, source="mine.yaml")


@pytest.mark.parametrize("name", hardware.chip_names())
def test_every_chip_of_the_catalogue_is_valid_and_named_as_its_file(name: str) -> None:
    chip = hardware.load_chip(name)
    assert chip.name == name
    assert chip.sources


def test_names_fold_case_hyphen_and_underscore() -> None:
    assert hardware.load_chip("Coral_Edge_TPU-usb") is hardware.load_chip("coral-edge-tpu-usb")


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(InputError, match=r"no chip named 'coral-edge-tpu-usb3'; did you mean coral-edge-tpu-usb"):
        hardware.load_chip("coral-edge-tpu-usb3")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.yaml: no such chip file"):
        hardware.load_chip(tmp_path / "absent.yaml")


def test_the_template_is_a_valid_chip_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(hardware.chip_template())
    assert hardware.load_chip(path).name == "my-chip"


def test_one_array_serves_all_coral_hosts() -> None:
    """Only the link and the host differ between the boards: the fit has one set of parameters."""
    usb, usb2, board = (hardware.load_chip(f"coral-edge-tpu-{host}") for host in ("usb", "usb2", "dev-board"))
    for other in (usb2, board):
        assert (other.array, other.vector, other.control, other.scratchpad, other.energy) == (
            usb.array,
            usb.vector,
            usb.control,
            usb.scratchpad,
            usb.energy,
        )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rate: 8 GB/s", "rate: -8 GB/s", r"mine.yaml:\d+: dram.rate: '-8 GB/s' is out of range"),
        ("rate: 8 GB/s", "rate: 8", r"mine.yaml:\d+: dram.rate: '8' has no unit; write for example"),
        ("rate: 8 GB/s", "rate: 8 GHz", r"mine.yaml:\d+: dram.rate: '8 GHz' has a unit that does not fit"),
        ("rate: 8 GB/s", "rate: .nan", r"mine.yaml:\d+: dram.rate: "),
        ("rate: 8 GB/s", "rate: {value: 8 GB/s, low: 9 GB/s}", "outside of its own interval"),
        ("rate: 8 GB/s", "rate: {value: 8 GB/s, lo: 9 GB/s}", "no key named 'lo'; did you mean low"),
        (
            "latency: 150 ns",
            "latncy: 150 ns",
            r"mine.yaml:\d+: dram.latncy: no key named 'latncy'; did you mean latency",
        ),
        ("{int8: 1024}", "{int8: 1024.5}", r"macs_per_cycle.int8: .* valid integer"),
        ("{int8: 1024}", "{int8: true}", r"macs_per_cycle.int8: .* valid integer"),
        ("{int8: 1024}", "{int9: 1024}", "no element type named 'int9'; did you mean int8"),
        ("efficiency: 0.8", "efficiency: 1.8", "a fraction is at most 1"),
        ("[conv, depthwise, gemm]", "[convolution]", "no operator named 'convolution'"),
        ("schema: 1", "schema: 2", r"mine.yaml:4: schema: Input should be 1"),
        ("clock: 800 MHz\n\n", "clock: [800 MHz]\n\n", r"mine.yaml:\d+: clock: "),
    ],
)
def test_a_wrong_line_is_refused_where_it_stands(old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_template((old, new))


def test_a_chip_that_nothing_reaches_is_refused() -> None:
    start, end = (
        "dram:\n  rate: 8 GB/s\n  latency: 150 ns                          # optional\n",
        "  dma_engines: 2                           # optional\n",
    )
    with pytest.raises(InputError, match="needs dram, a host_link, or both"):
        from_template((start, ""), (end, ""))


def test_an_interval_keeps_its_source() -> None:
    rate = Dimension("bytes_per_s").read(
        {"value": 490, "low": 400, "unit": "MB/s", "from": "data sheet", "fitted_by": "fit.py"}
    )
    assert (rate.value, rate.low, rate.high, rate.source, rate.fitted_by) == (
        490e6,
        400e6,
        None,
        "data sheet",
        "fit.py",
    )
    assert rate.uncertain


@pytest.mark.parametrize("name", hardware.chip_names())
def test_a_chip_survives_its_own_json(name: str) -> None:
    chip = hardware.load_chip(name)
    assert Chip.model_validate(chip.model_dump(mode="json", by_alias=True, exclude_none=True)) == chip


def test_the_json_schema_refuses_unknown_keys_everywhere() -> None:
    schema = hardware.chip_schema()
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_events_cost_v_squared_and_clocks_v_squared_f() -> None:
    """E = C V**2, P_idle = C V**2 f, leakage ~ V; the template runs 0.8 V at 800 MHz and 0.65 V at 400 MHz."""
    chip = from_template()
    assert hardware.voltage_at(chip, 600e6) == pytest.approx(0.725)
    slow, volts = hardware.at_clock(chip, 400e6), 0.65 / 0.8
    assert slow.energy.mac["int8"].value == pytest.approx(chip.energy.mac["int8"].value * volts**2)
    assert slow.energy.idle.value == pytest.approx(chip.energy.idle.value * volts**2 / 2)
    assert slow.energy.leakage.value == pytest.approx(chip.energy.leakage.value * volts)
    assert slow.energy.dram == chip.energy.dram
    assert hardware.at_clock(chip, chip.clock.value).energy.mac["int8"].value == chip.energy.mac["int8"].value


def test_a_clock_beyond_the_operating_points_is_refused() -> None:
    with pytest.raises(InputError, match="does not run at 900 MHz; its operating points: 400 to 800 MHz"):
        hardware.at_clock(from_template(), 900e6)
    with pytest.raises(InputError, match="has no operating points"):
        hardware.voltage_at(hardware.load_chip("coral-edge-tpu-usb"), 480e6)


def test_the_words_of_chip_files_are_those_of_the_workload() -> None:
    assert set(OPERATORS) == {kind.value for kind in OpKind}
    assert set(ACTIVATIONS) == {activation.value for activation in Activation}
    assert set(ELEMENT_TYPES) == set(ELEMENT_BYTES)


def test_a_point_is_a_clock_a_voltage_or_both() -> None:
    """One alone takes the other from the line between the operating points; more volts than needed cost energy."""
    chip = hardware.load_chip("ndp9120")
    slow = hardware.at_point(chip, volts=0.9)
    assert slow.clock.value == pytest.approx(30e6)
    assert slow.energy.idle.value == pytest.approx(chip.energy.idle.value * (0.9 / 1.1) ** 2 * 30 / 98.7)
    wasteful = hardware.at_point(chip, clock_hz=30e6, volts=1.1)
    assert wasteful.energy.mac["int8"].value == pytest.approx(chip.energy.mac["int8"].value)
    assert hardware.at_point(chip) is chip


def test_points_that_a_chip_does_not_have_are_refused() -> None:
    chip = hardware.load_chip("ndp9120")
    with pytest.raises(InputError, match=r"needs 0\.987 V for 60 MHz, not 0\.9 V.*30 MHz or less"):
        hardware.at_point(chip, clock_hz=60e6, volts=0.9)
    with pytest.raises(InputError, match=r"does not run at 1\.3 V.*0\.9 to 1\.1 V"):
        hardware.at_point(chip, volts=1.3)
    with pytest.raises(InputError, match="no operating points"):
        hardware.at_point(hardware.load_chip("ethos-u55-128"), volts=0.9)


def test_a_weight_buffer_and_a_parameter_cache_exclude_each_other() -> None:
    memory = "weight_memory: {rate: 1 GB/s, buffer: 64 KiB}\nparameter_cache: {size: 1 MiB}\n\n"
    with pytest.raises(InputError, match="leave out parameter_cache"):
        from_template(("host:\n", f"{memory}host:\n"))
