"""Can this row be controlled from here: permissions, actuators, age of telemetry. Nothing is written.

In:  a `Site` and its hardware. Out: `CheckResult`: one finding for the meter and for each server, good or bad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from armillary.power.control.assemble import Row
from armillary.power.control.contract import Server
from armillary.power.control.site import Site, ms
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    says: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """All findings."""

    site: str
    findings: tuple[Finding, ...]
    telemetry_age_s: float | None
    row_power_w: float | None

    @property
    def good(self) -> bool:
        """Whether nothing stands in the way."""
        return all(finding.good for finding in self.findings)

    def to_json(self) -> dict[str, object]:
        """Return the result as strict JSON."""
        return {
            "site": self.site,
            "good": self.good,
            "telemetry_age_s": self.telemetry_age_s,
            "row_power_w": self.row_power_w,
            "findings": [{"what": each.what, "good": each.good, "says": each.says} for each in self.findings],
        }


def check(site: Site, row: Row, *, state: Path | None = None) -> CheckResult:
    """Look at the meter and at every server of `row`; writes to none."""
    findings = []
    telemetry = Telemetry(row.parts, row.calls, ms(site.telemetry.delay))
    row.calls.settle(telemetry.probe(row.clock.now_ms()))
    telemetry.fold()
    age_ms = telemetry.age_ms(row.clock.now_ms()) if telemetry.fresh else None
    if age_ms is None:
        findings.append(Finding("telemetry", False, f"no reading: {telemetry.problem}"))
    else:
        share = telemetry.power_mw / site.budget_mw
        says = f"{telemetry.power_mw / 1000:.0f} W, {100 * share:.1f} % of the budget, {age_ms / 1000:.2f} s old"
        partly = f"; missing: {telemetry.problem}" if telemetry.problem else ""
        young = age_ms <= ms(site.dead_man.after)
        findings.append(Finding("telemetry", young and not telemetry.problem, says + partly))
    calls = [(server, row.calls.submit(lambda server=server: _look_at(server))) for server in row.servers]  # type: ignore[misc]
    row.calls.settle([call for _, call in calls])
    for server, call in calls:
        if not call.done():
            findings.append(Finding(server.name, False, "no answer in time"))
            continue
        try:
            findings.append(call.result())
        except Exception as error:  # whatever it is, the server cannot be controlled
            findings.append(Finding(server.name, False, f"{type(error).__name__}: {error}"))
    if state is not None:
        left = sorted(Snapshot(state).load())
        says = f"limits of {len(left)} servers are still to be given back" if left else "no limits are to be given back"
        findings.append(Finding("state", not left, says))
    return CheckResult(
        site.name,
        tuple(findings),
        None if age_ms is None else age_ms / 1000,
        telemetry.power_mw / 1000 if telemetry.fresh else None,
    )


def _look_at(server: Server) -> Finding:
    held, lowest, why = server.holds(), server.lowest_limits_mw(), server.may_write()
    lock = {None: "lock unknown", 0: "no lock"}.get(held.lock_mhz, f"locked to {held.lock_mhz} MHz")
    limits = _span(held.limits_mw)
    says = f"{len(held.limits_mw)} GPUs, {lock}, limits {limits}, brake {_span(lowest)}"
    if why is not None:
        return Finding(server.name, False, f"{says}; cannot be commanded: {why}")
    if held.limits_mw == lowest:
        return Finding(server.name, False, f"{says}; the limits are at the lowest: the brake would do nothing")
    return Finding(server.name, True, says)


def _span(limits_mw: Sequence[int]) -> str:
    low, high = min(limits_mw) / 1000, max(limits_mw) / 1000
    return f"{low:g} W" if low == high else f"{low:g} to {high:g} W"
