"""Redfish through httpx, metrics, nvidia-ml-py: what only the real libraries can show."""

from __future__ import annotations

import ssl
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.request import urlopen

import pytest

from armillary.errors import InputError
from armillary.power.control.calls import ThreadCalls
from armillary.power.control.clock import VirtualClock
from armillary.power.control.contract import BackendError
from armillary.power.control.plant import Plant
from armillary.power.control.site import Redfish
from armillary.power.control.transport import HttpxTransport
from armillary.testing.fake_bmc import PROCESSOR, FakeBmc, Fault, serving
from armillary.testing.fake_nvml import FakeNvml
from tests.power.control_rows import controller_of, over_nvml, over_redfish, site

SECRET = "correct-horse-battery"
GPU = f"/bmc/s0{PROCESSOR}1"


def bmc_of(**options: object) -> FakeBmc:
    return FakeBmc(Plant(2, 2), ("s0", "s1"), lambda: 0, **options)  # type: ignore[arg-type]


def redfish(tmp_path: Path, **options: object) -> Redfish:
    secret = tmp_path / "password"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    return Redfish.model_validate({"user": "armillary", "password_file": str(secret), "timeout": "0.3 s"} | options)


@pytest.fixture
def transport(tmp_path: Path) -> HttpxTransport:
    pytest.importorskip("httpx", reason="needs the extra control")
    return HttpxTransport(redfish(tmp_path))


def test_a_change_reaches_the_controller_with_password_and_etag(transport: HttpxTransport) -> None:
    bmc = bmc_of(login=("armillary", SECRET), wants_etag=True, lock_ms=0)
    with serving(bmc) as base:
        transport.patch(base + GPU, {"OperatingSpeedRangeMHz": {"SettingMax": 1110}})
        answer = transport.get(base + GPU)
    assert answer.body["OperatingSpeedRangeMHz"]["SettingMax"] == 1110
    assert "PATCH" in str(answer.allow)


@pytest.mark.parametrize(
    ("kind", "says"),
    [("timeout", "no answer: ReadTimeout"), ("error", "answered 503"), ("garbage", "answered no JSON")],
)
def test_what_goes_wrong_is_named_without_the_password(kind: str, says: str, transport: HttpxTransport) -> None:
    bmc = bmc_of(login=("armillary", SECRET), faults=[Fault(kind, 0, 10, None)])  # type: ignore[arg-type]
    with serving(bmc, silence_s=1.0) as base, pytest.raises(BackendError, match=says) as caught:
        transport.get(base + GPU)
    assert SECRET not in str(caught.value)
    assert "Basic" not in str(caught.value)


def test_a_wrong_password_and_a_closed_port_are_told_apart(transport: HttpxTransport) -> None:
    with serving(bmc_of(login=("armillary", "another"))) as base, pytest.raises(BackendError, match="refused with 401"):
        transport.get(base + GPU)
    with pytest.raises(BackendError, match="ConnectError"):
        transport.get("http://127.0.0.1:9" + GPU)  # the port of discard, where nobody listens


class _Hostile(BaseHTTPRequestHandler):
    """Sends the client elsewhere, or never stops sending."""

    def do_GET(self) -> None:
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/steal")  # type: ignore[attr-defined]
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        for _ in range(64):
            self.wfile.write(b"x" * 2**16)

    def log_message(self, *arguments: object) -> None:
        pass


def test_no_redirect_is_followed_and_no_endless_answer_is_read(transport: HttpxTransport) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hostile)
    Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    with pytest.raises(BackendError, match="answered 302"):
        transport.get(base + "/elsewhere")
    with pytest.raises(BackendError, match="too large"):
        transport.get(base + "/endless")
    server.shutdown()
    server.server_close()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("httpx", reason="needs the extra control")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip("no openssl")

    class Good(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Good)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}/redfish/v1"
    with pytest.raises(BackendError, match="no answer: ConnectError"):
        HttpxTransport(redfish(tmp_path)).get(url)
    assert HttpxTransport(redfish(tmp_path, ca_file=str(certificate))).get(url).body == {}
    assert HttpxTransport(redfish(tmp_path, verify=False)).get(url).body == {}
    server.shutdown()
    server.server_close()


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("httpx", reason="needs the extra control")
    where = redfish(tmp_path)
    Path(str(where.password_file)).chmod(0o644)
    with pytest.raises(InputError, match="everybody can read the password"):
        HttpxTransport(where)


def test_one_silent_controller_does_not_delay_the_others(tmp_path: Path) -> None:
    """Eight servers, one silent: with calls side by side, a turn waits for its patience at most."""
    pytest.importorskip("httpx", reason="needs the extra control")
    clock, plant = VirtualClock(), Plant(8, 2)
    clock.listeners.append(plant.advance)
    bmc = FakeBmc(
        plant, tuple(f"s{place}" for place in range(8)), clock.now_ms, faults=[Fault("timeout", 0, 10**9, "s3")]
    )
    bmc.row_mw = lambda now: 1_900_000 + now
    with serving(bmc, silence_s=1.0) as base:
        where = site(8, 2, base=base, budget="2 kW", rated="1 kW")
        calls = ThreadCalls(16, 0.15)
        controller = controller_of(
            where, over_redfish(where, HttpxTransport(redfish(tmp_path)), clock, calls), state=tmp_path
        )
        controller.run(20_000, Event())
        told = {request.server for request in bmc.requests if request.path.startswith(PROCESSOR)}
        calls.close()
    assert {"s0", "s1", "s2"} <= told


def test_metrics_carry_the_names_of_dcgm_and_ours() -> None:
    pytest.importorskip("prometheus_client", reason="needs the extra control")
    from armillary.power.control.metrics import Metrics

    clock, plant = VirtualClock(), Plant(2, 2, load=lambda _: 1.0)
    clock.listeners.append(plant.advance)
    where = site(2, 2, meter=False, budget="0.5 kW")
    metrics = Metrics()
    controller = controller_of(
        where, over_nvml(where, FakeNvml(plant, 2, clock.now_ms), clock), state=None, tell=metrics
    )
    metrics.watch(controller)
    controller.run(20_000, Event())
    address, port = metrics.serve(0)
    assert address == "127.0.0.1"
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    for name in (
        'DCGM_FI_DEV_POWER_USAGE{UUID="GPU-00000000-fake",gpu="0"}',
        'DCGM_FI_DEV_SM_CLOCK{UUID="GPU-00000003-fake",gpu="3"}',
        "armillary_row_power_ratio",
        'armillary_clock_lock_mhz{priority="low"}',
        "armillary_brake_total 1.0",
    ):
        assert name in text, name
    ratio = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("armillary_row_power_ratio "))
    assert ratio == pytest.approx(controller.telemetry.power_mw / 500_000)


def test_the_fake_has_the_names_that_pynvml_has() -> None:
    pynvml = pytest.importorskip("pynvml", reason="needs the extra control")
    names_of = [name for name in dir(FakeNvml) if name.lower().startswith("nvml")]
    assert len(names_of) > 20
    assert [name for name in names_of if not hasattr(pynvml, name)] == []
    constants = [name for name in names_of if name.startswith("NVML_")]
    assert {name: getattr(FakeNvml, name) for name in constants} == {name: getattr(pynvml, name) for name in constants}


def test_without_a_driver_the_error_names_it() -> None:
    pytest.importorskip("pynvml", reason="needs the extra control")
    where = Path(__file__).resolve().parents[2] / "deploy" / "row.yaml"
    command = [
        sys.executable,
        "-m",
        "armillary",
        "power",
        "control",
        "check",
        "--backend",
        "nvml",
        "--topology",
        str(where),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "NVML does not start" in done.stderr or "names no devices" in done.stderr
