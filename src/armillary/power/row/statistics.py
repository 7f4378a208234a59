"""Statistics of the power of a row, kept while it runs: no sample is stored.

In:  `note(state, now, power)` whenever the power may change; it holds from then on.
Out: in `RowState.statistics`, `histogram`, `windows`, `history`: distribution at the sampling interval (100 ms), peak,
largest rise within each window, heat of the breaker, time over budget, energy and peak of each bin of the history.
Power is a step function, so all samples between two changes are one run: each change costs a few operations, whatever
the interval. A rise within w is u(t) - min of u over [t - w, t], of samples.
"""

from __future__ import annotations

from armillary.engine._jit import njit
from armillary.engine.recorder import record
from armillary.power.row.records import RowState


@njit(inner=True)
def note(state: RowState, now: int, power_mw: int) -> None:
    """Let the row draw `power_mw` from `now` on."""
    row = state.row[0]
    if power_mw == row["power_mw"]:
        return
    settle(state, now)
    row["power_mw"] = power_mw
    record(state.energy, 0, now, power_mw)
    totals = state.statistics[0]
    if power_mw > row["budget_mw"]:
        if totals["over_since"] < 0:
            totals["over_since"] = now
    elif totals["over_since"] >= 0:
        _end_of_excess(state, now)


@njit(inner=True)
def settle(state: RowState, now: int) -> None:
    """Account for the present power up to `now`."""
    row, totals = state.row[0], state.statistics[0]
    since, power = totals["since"], row["power_mw"]
    if now == since:
        return
    totals["since"] = now
    totals["integral"] += float(power) * float(now - since)
    share = min(power * 1000 // row["budget_mw"], len(state.histogram) - 1)
    _heat(state, share, now - since)
    if power > row["budget_mw"]:
        totals["over"] += now - since
    _bins(state, since, now, power)
    # Sample k, at tick k * interval, sees the last change at or before its tick.
    first, beyond = -(-since // totals["sample"]), -(-now // totals["sample"])
    if beyond > first:
        totals["samples"] += beyond - first
        state.histogram[share] += beyond - first
        totals["peak_mw"] = max(totals["peak_mw"], power)
        for index in range(len(state.windows)):
            _rise(state, index, first, beyond - 1, power)


@njit(inner=True)
def _rise(state: RowState, index: int, first: int, last: int, power: int) -> None:
    """Take samples `first` to `last`, all of the same power, into the sliding minimum of a window."""
    window = state.windows[index]
    ring = len(state.minima[index])
    head, count = window["head"], window["count"]
    while count > 0 and state.minima[index, head, 1] < first - window["length"]:
        head = (head + 1) % ring
        count -= 1
    if count > 0:
        window["rise_mw"] = max(window["rise_mw"], power - state.minima[index, head, 0])
    while count > 0 and state.minima[index, (head + count - 1) % ring, 0] >= power:
        count -= 1
    end = (head + count) % ring
    state.minima[index, end, 0] = power
    state.minima[index, end, 1] = last
    window["head"], window["count"] = head, count + 1


@njit(inner=True)
def _heat(state: RowState, share: int, elapsed: int) -> None:
    totals = state.statistics[0]
    totals["heat"] = max(0.0, totals["heat"] + state.heating[min(share, len(state.heating) - 1)] * elapsed)
    if totals["heat"] >= 1.0:
        totals["trips"] += 1
        totals["heat"] = 0.0


@njit(inner=True)
def _end_of_excess(state: RowState, now: int) -> None:
    totals = state.statistics[0]
    lasted = now - totals["over_since"]
    totals["over_since"] = -1
    totals["over_longest"] = max(totals["over_longest"], lasted)
    if lasted >= totals["ups_deadline"]:
        totals["ups_trips"] += 1


@njit(inner=True)
def _bins(state: RowState, since: int, now: int, power: int) -> None:
    width = state.statistics[0]["bin"]
    index = since // width
    while since < now and index < len(state.history):
        end = min(now, (index + 1) * width)
        entry = state.history[index]
        entry["energy"] += float(power) * float(end - since)
        entry["peak_mw"] = max(entry["peak_mw"], power)
        since = end
        index += 1


@njit(inner=True)
def finish(state: RowState, now: int) -> None:
    """Close all statistics at the end of a run."""
    settle(state, now)
    record(state.energy, 0, now, state.row[0]["power_mw"])
    if state.statistics[0]["over_since"] >= 0:
        _end_of_excess(state, now)
