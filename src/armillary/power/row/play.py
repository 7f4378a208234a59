"""Play a row under a policy, piece by piece.

In:  an `Assembly`, a policy, requests in pieces.
Out: `Played`: the records at the end of the watch, and every request that was served.
After the watch no more readings are taken and no more requests come; what is here is served to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from armillary.engine.calendar import Stream, add_arrivals, new_calendar
from armillary.engine.deciding import decide, new_decider
from armillary.engine.drive import Run
from armillary.engine.trace import Reason
from armillary.errors import ArmillaryError
from armillary.power.policies.registry import RowPolicy
from armillary.power.requests import RequestColumns
from armillary.power.row import records as at
from armillary.power.row.assemble import Assembly, readings_between
from armillary.power.row.handler import ARRIVES, advance
from armillary.power.row.refill import Served, joined, refilled, request_rows, served
from armillary.power.row.state import more_room, new_state

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What a run left."""

    assembly: Assembly
    policy: RowPolicy
    state: at.RowState  # at the end
    requests: Served
    events: int

    @property
    def changes(self) -> npt.NDArray[np.void]:
        """Commands that landed within the watch, in order (CHANGED)."""
        rows: npt.NDArray[np.void] = self.state.changes[: int(self.state.row["changed"][0])]
        return rows[rows["tick"] <= self.assembly.watch.until]


def play(
    assembly: Assembly,
    policy: RowPolicy,
    pieces: Iterable[tuple[int, RequestColumns]],
    *,
    compiled: bool = True,
    progress: Progress | None = None,
) -> Played:
    """Play the row.

    Args:
        assembly: the row.
        policy: what decides.
        pieces: (tick at which the piece ends, its requests), in order; the last one ends with the watch.
        compiled: whether the policy runs within the kernel, or in Python at a stop.
        progress: called with the share that is done after each piece.
    """
    state = new_state(
        budget_mw=assembly.budget_mw,
        classes=assembly.classes,
        lanes=assembly.lanes,
        requests=np.zeros(0, at.REQUEST),
        batches=assembly.batches,
        segments=assembly.segments,
        clocks=assembly.clocks,
        meter=assembly.meter,
        control=assembly.control,
        watch=assembly.watch,
        decider=new_decider(policy.policy, compiled=compiled, **policy.parameters),
    )
    lanes, until = len(assembly.lanes), assembly.watch.until
    calendar = new_calendar(assembly.streams, timers=2 * lanes + 16, burst=lanes + 8)
    run = Run(advance, state, calendar, grow=more_room, decide=lambda now: decide(policy.policy, now.decider))
    parts: list[Served] = []
    begins = 0
    for ends, given in pieces:
        # Requests are renumbered at each stop, so none may be left to arrive.
        columns = given.between(begins, ends)
        run.state, first = refilled(run.state, request_rows(columns, assembly.tables))
        arrivals = Stream(ARRIVES, columns.arrival, first + np.arange(len(columns)))
        readings = readings_between(assembly.meter, begins, min(ends, until))
        run.calendar = add_arrivals(run.calendar, [arrivals, readings])
        _advance(run, ends - 1)
        parts.append(served(run.state))
        begins = ends
        if progress is not None:
            progress(ends / until)
    run.state, _ = refilled(run.state, np.zeros(0, at.REQUEST))
    _advance(run, None)
    parts.append(served(run.state))
    return Played(assembly, policy, run.state, joined(parts), run.events)


def _advance(run: Run[at.RowState], until: int | None) -> None:
    reason = run.advance(until)
    if reason not in (Reason.IDLE, Reason.TIME):
        raise ArmillaryError(f"a row stopped with {reason.name} at tick {run.now}")
