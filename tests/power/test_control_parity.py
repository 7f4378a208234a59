"""The same telemetry gives the same decisions, to the byte: row simulator, fake Redfish, fake NVML, simulated GPUs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
import pytest

from armillary.power.control.assemble import Row
from armillary.power.control.calls import InlineCalls
from armillary.power.control.clock import VirtualClock
from armillary.power.control.contract import BackendError, Measured, Part
from armillary.power.control.gpu_server import GpuServer
from armillary.power.control.simulated import SimulatedGpus
from armillary.power.control.site import Site
from armillary.power.policies.contract import BRAKE_ON, DECISION
from armillary.testing.fake_bmc import DirectTransport, FakeBmc
from armillary.testing.fake_nvml import FakeNvml, NVMLError
from tests.power.control_rows import Replay, controller_of, names, over_nvml, over_redfish, site

OUT_OF_BAND, IN_BAND = 40_000_000, 10_000  # ticks: 40 s, 10 ms; the brake takes an eighth
REPOSITORY = Path(__file__).resolve().parents[2]
SHAPE: dict[str, Any] = {"budget": "29.5 W", "rated": "30 W"}


@cache
def log(latency: int) -> Any:
    """The decision log of the row simulator, as records."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        command = [sys.executable, "-m", "tests.power.row_log", str(path), str(latency)]
        subprocess.run(command, cwd=REPOSITORY, check=True, env=os.environ | {"ARMILLARY_JIT": "0"})
        return np.frombuffer(path.read_bytes(), DECISION)


class Told:
    """The readings of the simulator's meter, at the times at which they arrived there."""

    def __init__(self, rows: Any) -> None:
        self._readings = {int(row["now_ms"]): None if row["lost"] else int(row["power_mw"]) for row in rows["seen"]}
        self._last = 1

    def row_mw(self, now_ms: int) -> int | None:
        return self._readings.get(now_ms)

    def total_mw(self, now_ms: int) -> int:
        self._last = self._readings.get(now_ms) or self._last
        return self._last


def redfish(where: Site, told: Told, clock: VirtualClock) -> Row:
    plant = Replay(4, 2, told.total_mw, clock)
    bmc = FakeBmc(plant, names(where), clock.now_ms, row_mw=told.row_mw)
    return over_redfish(where, DirectTransport(bmc), clock)


def nvml(where: Site, told: Told, clock: VirtualClock) -> Row:
    def fail(function: str, index: int) -> None:
        if clock.now_ms() > 0 and told.row_mw(clock.now_ms()) is None and function == "nvmlDeviceGetFieldValues":
            raise NVMLError(FakeNvml.NVML_ERROR_TIMEOUT)

    fake = FakeNvml(Replay(4, 2, told.total_mw, clock), 2, clock.now_ms, before_call=fail)
    return over_nvml(where, fake, clock)


def simulated(where: Site, told: Told, clock: VirtualClock) -> Row:
    gpus = SimulatedGpus(Replay(4, 2, told.total_mw, clock), 2, clock.now_ms, 40_000, 5_000)
    servers = [GpuServer(name, gpus, (2 * place, 2 * place + 1), 0, 1) for place, name in enumerate(names(where))]

    def measure() -> Measured:
        power = told.row_mw(clock.now_ms())
        if power is None:
            raise BackendError("lost")
        return Measured(power)

    return Row(servers, [Part("row", measure, 120_000)], clock, InlineCalls())


@pytest.mark.parametrize(
    ("world", "latency"),
    [(redfish, OUT_OF_BAND), (simulated, OUT_OF_BAND), (nvml, IN_BAND)],
    ids=lambda value: str(getattr(value, "__name__", value)),
)
def test_the_same_telemetry_gives_the_same_decisions_to_the_byte(
    world: Callable[[Site, Told, VirtualClock], Row], latency: int, tmp_path: Path
) -> None:
    rows = log(latency)
    where = site(
        meter=world is redfish,
        latency={"lock": f"{latency / 1e6} s", "brake": f"{latency // 8 / 1e6} s"},
        **SHAPE,
    )
    told, clock, reasons = Told(rows), VirtualClock(), list[object]()
    controller = controller_of(
        where,
        world(where, told, clock),
        state=tmp_path,
        keep=len(rows),
        tell=lambda kind, /, **fields: reasons.append(fields.get("why")),
    )
    controller.run(int(rows["seen"]["now_ms"][-1]), Event())
    live = np.frombuffer(b"".join(controller.decisions), DECISION)
    different = [place for place in range(len(rows)) if live[place] != rows[place]]
    assert not different, f"first at {different[0]}: {live[different[0]]} and {rows[different[0]]}"
    assert live.tobytes() == rows.tobytes()
    assert "dead man" not in reasons  # he overtakes what is in flight, which the simulated row does not know


@pytest.mark.parametrize("latency", [OUT_OF_BAND, IN_BAND])
def test_the_log_goes_through_all_that_the_policy_can_do(latency: int) -> None:
    rows = log(latency)
    seen, command = rows["seen"], rows["command"]
    assert len(rows) == 799
    assert {1275, 1110} <= set(command["low_mhz"])
    assert {0, 1305} <= set(command["high_mhz"])
    assert {0, 1} <= set(command["brake"])
    assert BRAKE_ON in seen["brake"]
    assert 20 < seen["lost"].sum() < 60
