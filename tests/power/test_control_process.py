"""The controller as a process against management controllers over HTTP: killed, stopped, started again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from armillary.power.control.plant import Plant
from armillary.store import dumps_strict
from armillary.testing.fake_bmc import FakeBmc, serving
from tests.power.control_rows import names, site

pytest.importorskip("httpx", reason="needs the extra control")

SECRET = "correct-horse-battery"
CAPPED, FREE = 0.93, 0.5  # share of the budget that the meter shows


@dataclass(slots=True)
class Machine:
    """A row of two servers on the clock of this machine, and a controller that can be started on it."""

    folder: Path
    base: str
    bmc: FakeBmc
    share: list[float]
    output: list[str] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [
            sys.executable, "-m", "armillary", "power", "control", "--backend", "redfish", "--apply",
            "--topology", str(self.folder / "row.yaml"), "--state", str(self.state), *options,
        ]  # fmt: skip
        assert SECRET not in " ".join(command)
        environment = os.environ | {"BMC_PASSWORD": SECRET}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self, process: subprocess.Popen[str]) -> int:
        self.output.append(process.communicate(timeout=25)[0])
        return process.returncode

    def locks(self) -> list[int]:
        self.bmc.plant.advance(self.bmc.now_ms())
        return [gpu.lock_mhz for machine in self.bmc.plant.machines for gpu in machine.gpus]

    def audit(self) -> list[dict[str, object]]:
        lines = (self.state / "audit.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    began, share = time.monotonic(), [CAPPED]
    plant = Plant(2, 2)
    where = site(2, 2)
    bmc = FakeBmc(
        plant, names(where), lambda: int((time.monotonic() - began) * 1000), lock_ms=200, limit_ms=50,
        login=("armillary", SECRET), row_mw=lambda now: int(share[0] * where.budget_mw) + now % 7,
    )  # fmt: skip
    with serving(bmc) as base:
        document = site(2, 2, base=base).model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude_defaults=True
        )
        document |= {
            "telemetry": {"period": "0.05 s", "delay": "0 s", "meter": {"url": f"{base}/meter"}},
            "latency": {"lock": "0.2 s", "brake": "0.05 s"},
            "redfish": {"user": "armillary", "password_env": "BMC_PASSWORD"},
            "budget": "2 kW",
        }
        for place, server in enumerate(document["servers"]):
            server |= {"gpus": 2, "rated": "1.3 kW", "bmc": f"{base}/bmc/s{place}"}
        (tmp_path / "row.yaml").write_text(dumps_strict(document))
        yield Machine(tmp_path, base, bmc, share)


def wait_for(what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_sigterm_gives_everything_back(machine: Machine) -> None:
    process = machine.start("--json", "-")
    wait_for(lambda: machine.locks() == [1110, 1110, 1305, 1305], process)
    assert (machine.state / "limits-before.json").exists()
    process.send_signal(signal.SIGTERM)
    assert machine.finish(process) == 0
    assert machine.locks() == [0, 0, 0, 0]
    assert not (machine.state / "limits-before.json").exists()
    assert json.loads(machine.output[0])["restored"] is True
    written = machine.output[0] + "".join(path.read_text() for path in machine.state.iterdir())
    assert SECRET not in written


def test_after_sigkill_the_next_start_gives_everything_back(machine: Machine) -> None:
    process = machine.start()
    wait_for(lambda: machine.locks()[:2] == [1110, 1110], process)
    process.kill()
    machine.finish(process)
    assert machine.locks()[:2] == [1110, 1110]
    assert (machine.state / "limits-before.json").exists()
    machine.share[0] = FREE
    process = machine.start()
    wait_for(lambda: machine.locks() == [0, 0, 0, 0], process)
    process.terminate()
    assert machine.finish(process) == 0, machine.output
    assert not (machine.state / "limits-before.json").exists()
    assert {"restore after a crash"} <= {entry.get("why") for entry in machine.audit()}


def test_killed_at_any_moment_it_can_be_undone(machine: Machine) -> None:
    chance = random.Random(7)
    for _ in range(3):
        process = machine.start()
        time.sleep(chance.uniform(0.5, 1.6))
        process.kill()
        machine.finish(process)
    machine.share[0] = FREE
    assert machine.finish(machine.start("--duration-s", "1")) == 0, machine.output
    assert machine.locks() == [0, 0, 0, 0]
    assert [gpu.limit_mw for each in machine.bmc.plant.machines for gpu in each.gpus] == [400_000] * 4
    assert not (machine.state / "limits-before.json").exists()


def test_a_second_controller_is_refused(machine: Machine) -> None:
    process = machine.start()
    wait_for(lambda: (machine.state / "audit.jsonl").exists(), process)
    assert machine.finish(machine.start()) == 2
    assert "another controller runs" in machine.output[-1]
    process.terminate()
    assert machine.finish(process) == 0
