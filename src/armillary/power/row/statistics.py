"""Statistics of the power of a row, kept while it runs: no sample is stored.

In:  `note(state, now, power)` whenever the power may change; it holds from then on.
Out: in `RowState.statistics`, `histogram`, `windows`, `history`: distribution at the sampling interval (100 ms), peak,
largest rise within each window, heat of the breaker, time over budget, energy and peak of each bin of the history.
Power is a step function, so all samples between two changes are one run: each change costs a few operations, whatever
the interval. A rise within w is u(t) - min of u over [t - w, t], of samples. Sample k, k intervals after the watch
began, sees the last change at or before its tick.
"""

from __future__ import annotations

from armillary.engine._jit import njit
from armillary.power.row.records import RowState


@njit(inner=True)
def note(state: RowState, now: int, power_mw: int) -> None:
    """Let the row draw `power_mw` from `now` on."""
    row, totals = state.row[0], state.statistics[0]
    if power_mw == row["power_mw"]:
        return
    settle(state, now)
    row["power_mw"] = power_mw
    totals["share"] = min(power_mw * 1000 // row["budget_mw"], state.histogram.shape[0] - 1)
    if totals["closed"] == 1:
        return
    if power_mw > row["budget_mw"]:
        if totals["over_since"] < 0:
            totals["over_since"] = now
    elif totals["over_since"] >= 0:
        _end_of_excess(state, now)


@njit(inner=True)
def settle(state: RowState, now: int) -> None:
    """Account for the present power up to `now`."""
    row, totals = state.row[0], state.statistics[0]
    elapsed, power, share = now - totals["since"], row["power_mw"], totals["share"]
    if elapsed == 0 or totals["closed"] == 1:
        return
    if row["window"] > 0:
        row["metered"] += power * elapsed
    totals["heat"] = max(0.0, totals["heat"] + state.heating[share] * elapsed)
    if totals["heat"] >= 1.0:
        totals["trips"] += 1
        totals["heat"] = 0.0
    if power > row["budget_mw"]:
        totals["over"] += elapsed
    since = totals["since"]
    while totals["bin_end"] <= now:
        _add_to_bin(state, power, totals["bin_end"] - since)
        since = totals["bin_end"]
        totals["bin_end"] += totals["bin"]
        totals["bin_index"] += 1
    if since < now:
        _add_to_bin(state, power, now - since)
    totals["since"] = now
    if totals["next"] < now:
        first = totals["samples"]
        count = 1 + (now - 1 - totals["next"]) // totals["sample"]
        totals["samples"] = first + count
        totals["next"] += count * totals["sample"]
        state.histogram[share] += count
        totals["peak_mw"] = max(totals["peak_mw"], power)
        for index in range(state.windows.shape[0]):
            _rise(state, index, first, first + count - 1, power)


@njit(inner=True)
def _add_to_bin(state: RowState, power: int, elapsed: int) -> None:
    entry = state.history[state.statistics[0]["bin_index"]]
    entry["energy"] += power * elapsed
    entry["peak_mw"] = max(entry["peak_mw"], power)


@njit(inner=True)
def _rise(state: RowState, index: int, first: int, last: int, power: int) -> None:
    """Take samples `first` to `last`, all of the same power, into the sliding minimum of a window.

    The ring of a window has a power of two of rows, ascending in power from `head` on.
    """
    window, minima = state.windows[index], state.minima
    start, mask = window["first"], window["mask"]
    head, count = window["head"], window["count"]
    while count > 0 and minima[start + head]["last"] < first - window["length"]:
        head = (head + 1) & mask
        count -= 1
    if count > 0:
        window["rise_mw"] = max(window["rise_mw"], power - minima[start + head]["power_mw"])
    while count > 0 and minima[start + ((head + count - 1) & mask)]["power_mw"] >= power:
        count -= 1
    end = minima[start + ((head + count) & mask)]
    end["power_mw"] = power
    end["last"] = last
    window["head"] = head
    window["count"] = count + 1


@njit(inner=True)
def _end_of_excess(state: RowState, now: int) -> None:
    totals = state.statistics[0]
    lasted = now - totals["over_since"]
    totals["over_since"] = -1
    totals["over_longest"] = max(totals["over_longest"], lasted)
    if lasted >= totals["ups_deadline"]:
        totals["ups_trips"] += 1


@njit(inner=True)
def open_watch(state: RowState, now: int) -> None:
    """Begin to watch: what came before does not count. Samples are counted from here on."""
    totals = state.statistics[0]
    totals["since"] = totals["next"] = now
    totals["closed"] = 0
    totals["bin_index"] = 0
    totals["bin_end"] = now + totals["bin"]
    if state.row[0]["power_mw"] > state.row[0]["budget_mw"]:
        totals["over_since"] = now


@njit(inner=True)
def close(state: RowState, now: int) -> None:
    """End the watch: later changes count no more."""
    settle(state, now)
    if state.statistics[0]["over_since"] >= 0:
        _end_of_excess(state, now)
    state.statistics[0]["closed"] = 1
