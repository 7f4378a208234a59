"""Prometheus metrics of the controller.

In:  events, and the controller for what stands now. Out: an HTTP endpoint, on loopback unless another address is named.
GPU metrics carry the names of the DCGM exporter, so that its dashboards work; they exist where GPUs are read one by one
(backends nvml and simulated). Labels: the GPU, the priority, the actuator; their number is bounded by the row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armillary.errors import InputError, MissingExtraError
from armillary.power.control.controller import Controller

COUNTED = {
    "telemetry_lost": ("armillary_telemetry_lost", "Times that readings stopped coming."),
    "dead_man": ("armillary_dead_man", "Times that the dead man acted."),
    "policy_failed": ("armillary_policy_failed", "Turns in which the policy raised an error."),
    "late": ("armillary_late", "Turns that came more than a period late."),
}


class Metrics:
    """All metrics of one controller, in a registry of their own.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(self) -> None:
        try:
            import prometheus_client as client
        except ImportError as error:
            raise MissingExtraError("prometheus-client", "control") from error
        self._client: Any = client
        self.registry = client.CollectorRegistry()
        self._counters = {kind: self._counter(*entry) for kind, entry in COUNTED.items()}
        self._brakes = self._counter("armillary_brake", "Times that the brake was engaged.")
        self._orders = self._counter("armillary_orders", "Orders to an actuator.", "actuator")
        self._failures = self._counter("armillary_actuator_failures", "Calls to an actuator that failed.", "actuator")
        self._power = self._gauge("armillary_row_power_watts", "Power of the row, newest reading.")
        self._budget = self._gauge("armillary_row_budget_watts", "Budget of the row.")
        self._ratio = self._gauge("armillary_row_power_ratio", "Power of the row over its budget.")
        self._age = self._gauge("armillary_telemetry_age_seconds", "Age of the newest reading.")
        self._brake = self._gauge("armillary_brake_state", "0 off, 1 in flight, 2 on, 3 release in flight.")
        self._silent = self._gauge("armillary_dead_man_active", "1 while the dead man holds low priority.")
        self._lock = self._gauge("armillary_clock_lock_mhz", "Clock lock that holds, 0: none.", "priority")
        self._failing = self._gauge("armillary_actuator_failing", "Servers that do not obey.", "actuator")
        gpu = ("gpu", "UUID")
        self._gpu_power = self._gauge("DCGM_FI_DEV_POWER_USAGE", "Power of a GPU, W.", *gpu)
        self._gpu_clock = self._gauge("DCGM_FI_DEV_SM_CLOCK", "Clock of a GPU, MHz.", *gpu)
        self._gpu_limit = self._gauge("DCGM_FI_DEV_POWER_MGMT_LIMIT", "Power limit of a GPU, W.", *gpu)
        self._view: Callable[[], Controller] | None = None

    def watch(self, controller: Controller) -> None:
        """Show what this controller knows."""
        self._view = lambda: controller

    def serve(self, port: int, address: str = "127.0.0.1") -> tuple[str, int]:
        """Serve /metrics from a thread; return where. Port 0 takes a free one.

        Raises:
            InputError: the port is taken.
        """
        try:
            server, _ = self._client.start_http_server(port, addr=address, registry=self.registry)
        except OSError as error:
            raise InputError(f"{address}:{port} cannot be used: {error.strerror}", where="--metrics-port") from error
        return address, int(server.server_port)

    def text(self) -> str:
        """Return the page."""
        return str(self._client.generate_latest(self.registry).decode())

    def __call__(self, kind: str, /, **fields: Any) -> None:
        """Take one event."""
        if kind in self._counters:
            self._counters[kind].inc()
        elif kind == "order":
            self._orders.labels(fields["actuator"]).inc()
            if fields["actuator"] == "brake" and fields["value"] == 1:
                self._brakes.inc()
        elif kind == "failed":
            self._failures.labels(fields["actuator"]).inc()
        elif kind == "decision":
            self._show(fields)

    def _show(self, seen: dict[str, Any]) -> None:
        """Set the gauges to what the policy saw."""
        self._power.set(seen["power_mw"] / 1000)
        self._budget.set(seen["budget_mw"] / 1000)
        self._ratio.set(seen["power_mw"] / seen["budget_mw"])
        self._age.set(seen["age_ms"] / 1000)
        self._brake.set(seen["brake"])
        self._lock.labels("low").set(seen["low_mhz"])
        self._lock.labels("high").set(seen["high_mhz"])
        if self._view is None:
            return
        controller = self._view()
        self._silent.set(controller.dead_man)
        for group in controller.groups:
            self._failing.labels(group.name).set(group.failing)
        for gpu in controller.telemetry.gpus:
            labels = (str(gpu.index), gpu.uuid)
            self._gpu_power.labels(*labels).set(gpu.power_mw / 1000)
            self._gpu_clock.labels(*labels).set(gpu.sm_mhz)
            self._gpu_limit.labels(*labels).set(gpu.limit_mw / 1000)

    def _gauge(self, name: str, text: str, *labels: str) -> Any:
        return self._client.Gauge(name, text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Any:
        return self._client.Counter(name, text, labels, registry=self.registry)
