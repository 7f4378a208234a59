"""Management controllers and a row meter that speak Redfish, over a simulated row under work.

In:  a `Plant`, a clock, latencies (40 s for a clock cap, 5 s for a power limit), faults. Out: `FakeBmc.answer`, behind
HTTP on a free port of loopback (`serving`) or without a socket (`DirectTransport`). A command is accepted at once and
lands later on the clock that was given. Faults: kind, from when to when, on which server (None: all, the meter too).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from typing import Any, Final, Literal

from armillary.power.control.contract import BackendError
from armillary.power.control.plant import Gpu, Plant
from armillary.power.control.transport import Answer, answer_of

FaultKind = Literal["timeout", "error", "garbage", "wrong_type", "implausible", "frozen", "skew", "swallow", "deaf"]
KINDS: Final[tuple[FaultKind, ...]] = (
    "timeout", "error", "garbage", "wrong_type", "implausible", "frozen", "skew", "swallow", "deaf",
)  # fmt: skip
METER: Final = "meter"
PROCESSOR: Final = "/redfish/v1/Systems/HGX_Baseboard_0/Processors/GPU_SXM_"


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong for a while."""

    kind: FaultKind
    """timeout: no answer; error: status 503; garbage: no JSON; wrong_type: text where a number belongs; implausible: a
    power that cannot be; frozen: the same reading again and again; skew: the clock of the meter jumps back an hour;
    swallow: accepts a change and forgets it; deaf: answers to reading, none to changes."""
    start_ms: int
    end_ms: int
    where: str | None = None

    def strikes(self, where: str, now_ms: int) -> bool:
        """Whether it is there now."""
        return self.start_ms <= now_ms < self.end_ms and self.where in (None, where)


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came, whatever was answered."""

    ms: int
    method: str
    server: str
    path: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class FakeBmc:
    """All controllers of a row. Their URLs: BASE/bmc/NAME; the meter: BASE/meter."""

    plant: Plant
    names: tuple[str, ...]
    now_ms: Callable[[], int]
    lock_ms: int = 40_000
    limit_ms: int = 5_000
    faults: list[Fault] = field(default_factory=list)
    login: tuple[str, str] | None = None
    row_mw: Callable[[int], int | None] | None = None
    "What the meter shows at a time, in place of the power of the plant; None: it fails."
    wants_etag: bool = False
    requests: list[Request] = field(default_factory=list)
    _frozen: dict[str, Answer] = field(default_factory=dict)
    _guard: Any = field(default_factory=RLock)

    def answer(self, method: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return (status, body) of an HTTP answer.

        Raises:
            TimeoutError: there is none.
        """
        with self._guard:
            now = self.now_ms()
            where, rest = self._place(path)
            if method == "PATCH":
                self.requests.append(Request(now, method, where, rest, dict(body)))
            if self.login is not None and headers.get("Authorization") != _basic(*self.login):
                return 401, b"{}"
            kinds = {fault.kind for fault in self.faults if fault.strikes(where, now)}
            if "timeout" in kinds or ("deaf" in kinds and method == "PATCH"):
                raise TimeoutError
            if "error" in kinds:
                return 503, b"{}"
            if "garbage" in kinds:
                return 200, b"<html>Service Unavailable"
            self.plant.advance(now)
            if where == METER:
                return self._meter(now, kinds)
            if method == "PATCH":
                if self.wants_etag and "If-Match" not in headers:
                    return 428, b"{}"
                return self._patch(where, rest, body, now, swallow="swallow" in kinds), b""
            return self._get(where, rest, kinds)

    def _place(self, path: str) -> tuple[str, str]:
        parts = path.strip("/").split("/", 2)
        if parts[0] == METER:
            return METER, ""
        return (parts[1], "/" + parts[2]) if len(parts) == 3 and parts[0] == "bmc" else ("", path)

    def _meter(self, now: int, kinds: set[FaultKind]) -> tuple[int, bytes]:
        power = self.plant.power_mw if self.row_mw is None else self.row_mw(now)
        if power is None:
            return 503, b"{}"
        stamp = now - (3_600_000 if "skew" in kinds else 0)
        return _ok(self._reading(METER, power, stamp, kinds))

    def _reading(self, where: str, power_mw: int, stamp: int, kinds: set[FaultKind]) -> Mapping[str, Any]:
        value: object = power_mw / 1000
        if "wrong_type" in kinds:
            value = "a lot"
        if "implausible" in kinds:
            value = -5.0 if stamp % 4000 else 1e8
        fresh = {"PowerWatts": {"Reading": value, "ReadingTime": str(stamp)}}
        if "frozen" in kinds:
            return self._frozen.setdefault(where, Answer(fresh)).body
        self._frozen.pop(where, None)
        return fresh

    def _get(self, where: str, path: str, kinds: set[FaultKind]) -> tuple[int, bytes]:
        if where not in self.names:
            return 404, b"{}"
        if path.startswith("/redfish/v1/Chassis/"):
            power = self.plant.server_mw(self.names.index(where))
            return _ok(self._reading(where, power, self.now_ms(), kinds))
        gpu = self._gpu(where, path)
        if gpu is None:
            return 404, b"{}"
        profile = self.plant.profile
        if path.endswith("/EnvironmentMetrics"):
            limit: object = "high" if "wrong_type" in kinds else gpu.limit_mw / 1000
            span = {"AllowableMin": profile.lowest_limit_mw / 1000, "AllowableMax": profile.highest_limit_mw / 1000}
            return _ok({"PowerWatts": {"Reading": gpu.power_mw / 1000}, "PowerLimitWatts": {"SetPoint": limit} | span})
        top: object = "fast" if "wrong_type" in kinds else gpu.lock_mhz or profile.highest_mhz
        return _ok(
            {
                "OperatingSpeedRangeMHz": {
                    "SettingMin": profile.lowest_mhz,
                    "SettingMax": top,
                    "AllowableMin": profile.lowest_mhz,
                    "AllowableMax": profile.highest_mhz,
                }
            }
        )

    def _patch(self, where: str, path: str, body: Mapping[str, Any], now: int, *, swallow: bool) -> int:
        if where not in self.names or self._gpu(where, path) is None:
            return 404
        profile, index = self.plant.profile, _number(path) - 1
        server = self.names.index(where)
        if "OperatingSpeedRangeMHz" in body:
            top = body["OperatingSpeedRangeMHz"].get("SettingMax")
            if not isinstance(top, int) or not profile.lowest_mhz <= top <= profile.highest_mhz:
                return 400
            what, value, lands = "lock_mhz", 0 if top == profile.highest_mhz else top, now + self.lock_ms
        elif "PowerLimitWatts" in body:
            limit = round(float(body["PowerLimitWatts"]["SetPoint"]) * 1000)
            if not profile.lowest_limit_mw <= limit <= profile.highest_limit_mw:
                return 400
            what, value, lands = "limit_mw", limit, now + self.limit_ms
        else:
            return 400
        if not swallow:
            self.plant.command(server, index, what, value, lands)
        return 204

    def _gpu(self, where: str, path: str) -> Gpu | None:
        gpus = self.plant.machines[self.names.index(where)].gpus
        number = _number(path)
        return gpus[number - 1] if 1 <= number <= len(gpus) else None


@dataclass(frozen=True, slots=True)
class DirectTransport:
    """A `Transport` that asks a `FakeBmc` without a socket; the base of all URLs is `http://127.0.0.1`."""

    bmc: FakeBmc

    def get(self, url: str) -> Answer:
        """Read a resource."""
        return answer_of(*self._ask("GET", url, {}))

    def patch(self, url: str, body: Mapping[str, object]) -> None:
        """Change a resource."""
        answer_of(*self._ask("PATCH", url, body))

    def close(self) -> None:
        """Nothing is open."""

    def _ask(self, method: str, url: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        try:
            return self.bmc.answer(method, url.removeprefix("http://127.0.0.1"), body, {})
        except TimeoutError:
            raise BackendError("no answer: ReadTimeout") from None


@contextmanager
def serving(bmc: FakeBmc, *, silence_s: float = 0.3) -> Iterator[str]:
    """Serve `bmc` over HTTP on a free port of loopback; yields the base of its URLs.

    Args:
        bmc: what answers.
        silence_s: for how long a request that times out is left without an answer.
    """
    from threading import Event

    closing = Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve("GET", b"")

        def do_PATCH(self) -> None:
            self._serve("PATCH", self.rfile.read(int(self.headers.get("Content-Length", "0"))))

        def log_message(self, *arguments: object) -> None:
            pass

        def _serve(self, method: str, data: bytes) -> None:
            try:
                body = json.loads(data) if data else {}
                status, content = bmc.answer(method, self.path, body, dict(self.headers))
            except TimeoutError:
                closing.wait(silence_s)
                self.close_connection = True
                return
            except ValueError:
                status, content = 400, b"{}"
            self.send_response(status)
            self.send_header("ETag", '"1"')
            self.send_header("Allow", "GET, PATCH")
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if status != 204:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _ok(body: Mapping[str, Any]) -> tuple[int, bytes]:
    return 200, json.dumps(body).encode()


def _number(path: str) -> int:
    text = path.removeprefix(PROCESSOR).split("/")[0]
    return int(text) if path.startswith(PROCESSOR) and text.isdecimal() and len(text) < 4 else 0
