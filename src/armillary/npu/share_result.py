"""What `npu share` returns: latencies of every network on a chip that several share, and what the chip did.

In:  built by `share`. Out: `ShareResult` with its tenants and inferences; JSON, tables, summary, run folder, page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from armillary.timeline import Result
from armillary.units import format_bytes, format_quantity

_WORTH_A_REMEDY = 1.01  # slow-down


@dataclass(frozen=True, slots=True)
class TenantFigures:
    """One network as it ran beside the others; times in seconds."""

    name: str
    model: str
    priority: int
    inferences: int
    scratchpad_bytes: int  # its share
    cached_parameter_bytes: int
    alone_s: float  # latency with the same share and nothing else on the chip
    latency_mean_s: float  # from arrival to end
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    slowdown: float  # mean latency over `alone_s`
    wait_mean_s: float  # for its earlier inferences and its turns, a part of the latency
    throughput_per_s: float  # inferences, from the first arrival to the last end
    deadline_s: float | None
    deadline_misses: int | None  # None: no deadline
    segments: int  # pieces of an inference between which more urgent networks come in
    longest_segment_s: float  # of these, alone: how long it may keep a more urgent one waiting
    energy_j: float  # of its events, all inferences together


@dataclass(frozen=True, slots=True)
class InferenceFigures:
    """One inference; times in seconds from the begin of the run."""

    tenant: str
    number: int
    arrival_s: float
    begin_s: float  # of its first task
    end_s: float
    latency_s: float
    wait_s: float  # for earlier inferences of its tenant, and for its turns
    met: bool | None  # its deadline, None: it has none


@dataclass(frozen=True, kw_only=True)
class ShareResult(Result):
    """Latency, throughput, energy of several networks that share one chip."""

    kind: ClassVar[str] = "npu share"

    chip: str
    seconds: float  # for which inferences arrive
    duration_s: float  # until the last one is done
    tenants: tuple[TenantFigures, ...]
    inferences: tuple[InferenceFigures, ...]
    utilisation: Mapping[str, float]  # of each queue and link over the whole duration
    energy_j: float
    average_power_w: float
    peak_power_w: float
    static_power_w: float
    command: str  # that makes this run again

    def static_w(self) -> float:
        """Return idle and leakage power, watts."""
        return self.static_power_w

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return the rows for the terminal; the last ones say what bounds the answer and how far to trust it."""
        busiest = max(self.utilisation, key=lambda name: self.utilisation[name])
        late = [tenant.name for tenant in self.tenants if tenant.deadline_misses]
        return [
            ("chip", self.chip),
            *((tenant.name, _tenant_text(tenant)) for tenant in self.tenants),
            ("duration", f"{format_quantity(self.duration_s, 's')}, arrivals for {format_quantity(self.seconds, 's')}"),
            (
                "energy",
                f"{format_quantity(self.energy_j, 'J')} ({format_quantity(self.average_power_w, 'W')} on average)",
            ),
            ("deadlines", f"missed by {', '.join(late)}" if late else "none missed"),
            ("bound by", f"{busiest}, in use {self.utilisation[busiest]:.0%} of the time; {self._remedy()}"),
            *self.trust.rows(),
        ]

    def report_html(self) -> str:
        """Return the report page."""
        from armillary.npu.share_figures import report

        return report(self)

    def _remedy(self) -> str:
        """Say what would shorten the latency of the network that suffers most."""
        worst = max(self.tenants, key=lambda tenant: tenant.slowdown)
        if worst.slowdown < _WORTH_A_REMEDY:
            return "no network slows another one"
        longest = max((t for t in self.tenants if t is not worst), key=lambda t: t.longest_segment_s, default=worst)
        if worst.priority > min(tenant.priority for tenant in self.tenants):
            return f"{worst.name} suffers most: fewer inferences of what is more urgent, or a more urgent priority"
        return (
            f"{worst.name} suffers most: longer periods, or shorter layers of {longest.name} "
            f"(up to {format_quantity(longest.longest_segment_s, 's')})"
        )


def _tenant_text(tenant: TenantFigures) -> str:
    kept = "" if tenant.deadline_misses is None else f", {tenant.deadline_misses} late"
    p50, p99, most, alone = (
        format_quantity(value, "s")
        for value in (tenant.latency_p50_s, tenant.latency_p99_s, tenant.latency_max_s, tenant.alone_s)
    )
    return (
        f"{p50} median, {p99} p99, {most} at most ({alone} alone); priority {tenant.priority}, "
        f"{tenant.inferences} inferences{kept}, {format_bytes(tenant.scratchpad_bytes)} of scratchpad"
    )
