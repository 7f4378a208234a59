"""What `npu run` returns: figures measured on the timeline of one inference.

In:  built by `run`. Out: `NpuResult` with its layers and fallbacks; JSON, tables, summary, run folder, report page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from armillary.npu.queues import HOST_LINK, WEIGHT_MEMORY, memory_among
from armillary.timeline import Result
from armillary.units import format_bytes, format_quantity
from armillary.workload import ActivityProfile, ServiceTime


@dataclass(frozen=True, slots=True)
class LayerFigures:
    """One layer as it ran."""

    name: str
    op: str
    engine: str  # array, vector or host
    start_s: float  # of its computation; its weights may have been loaded before
    end_s: float
    bound: str  # what took longest: array, vector, host, host link, DRAM, layer cost
    macs: int
    bytes: int  # moved between the scratchpad and what lies behind it
    tensor_bytes: int  # inputs, weights and outputs, each once, wherever they lie
    energy_j: float
    fused: tuple[str, ...]  # operators that ride on it


@dataclass(frozen=True, slots=True)
class Fallback:
    """A layer that the chip cannot run, and why."""

    name: str
    op: str
    reason: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Bound:
    """A share of the critical path, and what would shorten it."""

    what: str
    time_s: float
    share: float
    remedy: str


@dataclass(frozen=True, kw_only=True)
class NpuResult(Result):
    """Latency, traffic, energy and causes of one inference of a network on a chip."""

    kind: ClassVar[str] = "npu run"

    model: str
    chip: str
    dtype: str
    batch: int
    input_shapes: Mapping[str, tuple[int, ...]]
    latency_s: float
    throughput_per_s: float  # items a second with `queue_depth` inferences in flight, in steady state
    macs: int
    parameter_bytes: int
    dram_bytes: int  # over the memory of the activations, whatever its kind
    host_link_bytes: int
    scratchpad_peak_bytes: int  # cached weights included
    cached_parameter_bytes: int
    mac_utilisation: float  # of the array's peak over the whole latency
    energy_j: float  # of the chip; the host's own energy is not part of it
    average_power_w: float
    peak_power_w: float
    static_power_w: float  # idle and leakage
    peak_macs_per_s: float
    memory_bytes_per_s: float  # of DRAM, or of the host link where there is none
    kpis: Mapping[str, float]
    bounds: tuple[Bound, ...]
    layers: tuple[LayerFigures, ...]
    fallbacks: tuple[Fallback, ...]
    weight_memory_bytes: int = 0  # where weights lie in a memory of their own
    queue_depth: int = 1  # inferences in flight for `throughput_per_s`; all other figures are of one inference

    def static_w(self) -> float:
        """Return idle and leakage power, watts."""
        return self.static_power_w

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal; the last ones say what bounds the answer and how far to trust it."""
        rows = [
            ("network", f"{self.model}, {self.dtype}, batch {self.batch}"),
            ("chip", self.chip),
            ("latency", format_quantity(self.latency_s, "s")),
            ("throughput", f"{self.throughput_per_s:.4g} items/s, {_in_flight(self.queue_depth)}"),
            ("work", f"{format_quantity(self.macs, 'MAC')}, array {self.mac_utilisation:.1%} used"),
            ("weights", f"{format_bytes(self.parameter_bytes)}, {self._cached_text()}"),
            ("moved", ", ".join(f"{format_bytes(moved)} over {link}" for link, moved in self._moved()) or "nothing"),
            ("scratchpad peak", format_bytes(self.scratchpad_peak_bytes)),
            (
                "energy",
                f"{format_quantity(self.energy_j, 'J')} ({format_quantity(self.average_power_w, 'W')} on average)",
            ),
            ("on the host", _fallback_text(self.fallbacks)),
        ]
        if self.bounds:
            first = self.bounds[0]
            rows.append(("bound by", f"{first.what}, {first.share:.0%} of the time; {first.remedy}"))
        return [*rows, *self.trust.rows()]

    def report_html(self) -> str:
        """Return the report page."""
        from armillary.npu.figures import report

        return report(self)

    def service_time(self) -> ServiceTime:
        """Return what a ring of servers needs to know of this network."""
        period_s = min(self.latency_s, self.batch / self.throughput_per_s)
        return ServiceTime(self.model, self.chip, self.batch, self.latency_s, period_s)

    def activity_profile(self) -> ActivityProfile:
        """Return what a ring of power needs to know of this network."""
        kpis, total_s = self.kpis, self.latency_s
        return ActivityProfile(
            work=self.model,
            device=self.chip,
            duration_s=total_s,
            energy_j=self.energy_j,
            peak_power_w=self.peak_power_w,
            compute_share=(kpis["dpu_s"] + kpis["sw_s"] - kpis["dpu_sw_overlap_s"]) / total_s,
            memory_share=self._share_of(self.memory or WEIGHT_MEMORY),
            link_share=self._share_of(HOST_LINK),
        )

    def _cached_text(self) -> str:
        if self.cached_parameter_bytes == self.parameter_bytes:
            return "all of them stay on the chip"
        return f"{format_bytes(self.cached_parameter_bytes)} of them stay on the chip"

    def _moved(self) -> list[tuple[str, int]]:
        """Return (link, bytes) of the links that the chip has."""
        memory = self.memory or ""
        moved = {HOST_LINK: self.host_link_bytes, memory: self.dram_bytes, WEIGHT_MEMORY: self.weight_memory_bytes}
        names = {HOST_LINK: "the host link", memory: memory, WEIGHT_MEMORY: "the weight memory"}
        return [(names[link], size) for link, size in moved.items() if link in self.timeline.resources.names]

    @property
    def memory(self) -> str | None:
        """Name of the memory behind the scratchpad (DRAM, HBM, SRAM), None where that is the host's."""
        return memory_among(self.timeline.resources.names)

    def _share_of(self, link: str) -> float:
        """Return the share of the latency in which `link` moved bytes (0 where the chip has none)."""
        if link not in self.timeline.resources.names:
            return 0.0
        return self.timeline.union_s(self.timeline.on(link)) / self.latency_s


def _in_flight(queue_depth: int) -> str:
    return "one after the other" if queue_depth == 1 else f"{queue_depth} in flight"


def _fallback_text(fallbacks: tuple[Fallback, ...]) -> str:
    if not fallbacks:
        return "nothing"
    kinds = ", ".join(dict.fromkeys(fallback.op for fallback in fallbacks))
    return f"{len(fallbacks)} layers ({kinds})"
