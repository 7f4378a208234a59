"""The laws of a controller under faults, judged from what the row drew and what reached the devices.

In:  `Played`. Out: the laws that were broken, with the moment.
Law 1. While the row draws more than its budget without a break and the controller lives: after WATCH_MS with a meter
that works throughout, the brake stands ordered at every server; after BLIND_MS whatever the meter does, the brake
stands ordered at every server or the dead man's cap at every server of low priority. "Ordered": the last write that
reached the device, obeyed or not, says so.
  WATCH = 2 periods (from the excess to a decision) + the longest flight of a release, in which the policy waits.
  BLIND = WATCH + dead man + a timeout (a last answer on its way) + 2 periods.
Law 2. A brake that stands ordered but does not hold at a server is written again within AGAIN_MS.
Law 3. The first lock that a server is told after a crash is the one it had at first, as long as it can be told anything
before the restoring is given up; what had been noted before the crash is what the devices held at first.
Law 4. In the end all limits are back and nothing is left to give back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.power.control_campaign import (
    BUDGET_MW,
    DEAD_MAN_MS,
    LOW,
    LOWEST_LOW_MHZ,
    LOWEST_MW,
    PERIOD_MS,
    SERVERS,
    TIMEOUT_MS,
    TOP_MW,
    Played,
    Write,
)

GRAIN_MS = 1_000
RETRY_MS = 8_000


def broken_laws(played: Played, brake_ms: int, lock_ms: int) -> list[str]:
    """Return what was broken."""
    watch_ms = 2 * PERIOD_MS + 2 * brake_ms + 4 * PERIOD_MS
    blind_ms = watch_ms + DEAD_MAN_MS + TIMEOUT_MS + 2 * PERIOD_MS
    again_ms = round(1.5 * brake_ms) + RETRY_MS + 2 * TIMEOUT_MS + 5 * PERIOD_MS
    return [
        *_excess(played, watch_ms, blind_ms),
        *_persistence(played, again_ms),
        *_crashes(played, 2 * lock_ms + 4 * PERIOD_MS),
        *_the_end(played),
    ]


def stretches(steps: Sequence[tuple[float, int]], budget_mw: int, end_ms: float) -> Iterator[tuple[float, float]]:
    """Yield every (start, end) of power over budget."""
    since: float | None = None
    for moment, power in [*steps, (end_ms, 0)]:
        if power > budget_mw and since is None:
            since = moment
        elif power <= budget_mw and since is not None:
            yield since, moment
            since = None


def _excess(played: Played, watch_ms: int, blind_ms: int) -> Iterator[str]:
    end = played.held[-2][0]  # the last turn
    for start, stop in stretches(played.steps, BUDGET_MW, end):
        moment = start
        while moment < stop:
            moment += GRAIN_MS
            born = max((each for each in played.starts if each <= moment), default=0)
            dead = any(
                kill <= moment and not any(kill < each <= moment for each in played.starts) for kill in played.kills
            )
            if moment >= stop or dead:
                continue
            lasted = moment - max(start, born)
            braked = all(_last(played.writes, server, "limit", moment) == LOWEST_MW for server in range(SERVERS))
            capped = all(0 < _last(played.writes, server, "lock", moment) <= LOWEST_LOW_MHZ for server in LOW)
            works = not any(first < moment and last > moment - watch_ms for first, last in played.meter_faults)
            if lasted > watch_ms and works and not braked:
                yield f"{moment:.0f} ms: over the budget for {lasted:.0f} ms in sight, and no brake ordered"
            if lasted > blind_ms and not braked and not capped:
                yield f"{moment:.0f} ms: over the budget for {lasted:.0f} ms, and nobody has acted"


def _persistence(played: Played, again_ms: int) -> Iterator[str]:
    for moment, held in played.held[:-1]:
        born = max(each for each in played.starts if each <= moment)
        for server in range(SERVERS):
            brakes = [write for write in _of(played.writes, server, "limit") if write.ms <= moment]
            if not brakes or brakes[-1].value != LOWEST_MW or held[server][1] == LOWEST_MW:
                continue
            if moment - max(brakes[-1].ms, born) > again_ms:
                yield f"{moment} ms: server {server} does not brake and is not told again"


def _crashes(played: Played, give_up_ms: int) -> Iterator[str]:
    for start, limits in zip(played.starts[1:], played.crash_limits[1:], strict=True):
        for name, noted in limits.items():
            if noted.limits_mw != (TOP_MW, TOP_MW) or (noted.lock_mhz or 0) != 0:
                yield f"{start} ms: {name} was noted as {noted}, which is not what it held at first"
        for server in range(SERVERS):
            after = [write for write in _of(played.writes, server, "lock") if write.ms >= start]
            before = [write for write in played.writes if write.ms < start]
            if before and after and after[0].value != 0 and after[0].ms - start < give_up_ms:
                yield f"{start} ms: the first lock after a crash at server {server} is {after[0].value} MHz"


def _the_end(played: Played) -> Iterator[str]:
    if not played.restored or played.left:
        yield f"in the end: restored {played.restored}, still noted {played.left}"
    for server, (lock, limit) in enumerate(played.held[-1][1]):
        if (lock, limit) != (0, TOP_MW):
            yield f"in the end: server {server} holds a lock of {lock} MHz and a limit of {limit} mW"


def _of(writes: Sequence[Write], server: int, what: str) -> list[Write]:
    return [write for write in writes if write.server == server and write.what == what]


def _last(writes: Sequence[Write], server: int, what: str, moment: float) -> int:
    values = [write.value for write in _of(writes, server, what) if write.ms <= moment]
    return values[-1] if values else 0
