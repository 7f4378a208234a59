"""`armillary power control`: run a policy on a row; `check`: could it be?

In:  arguments, a topology file. Out: a short table or strict JSON at the end; nothing is written without `--apply`.
Passwords come from a file or the environment that the topology names, never from the command line.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from threading import Event
from typing import Annotated

from cyclopts import App, Parameter

from armillary.cli.common import Flag, Verbosity
from armillary.cli.present import STANDARD_OUTPUT, note, print_rows, print_table
from armillary.errors import InfeasibleError

app = App(name="control", help="Control the power of a row, live or simulated.")

Json = Annotated[Path | None, Parameter(name="--json", allow_leading_hyphen=True)]


@app.default
def control(
    *,
    topology: Path,
    backend: str = "simulated",
    policy: str = "polca",
    apply: Flag = False,
    state: Path | None = None,
    duration_s: float | None = None,
    seed: int = 0,
    metrics_port: int | None = None,
    metrics_address: str = "127.0.0.1",
    json: Json = None,
    common: Verbosity = Verbosity(),
) -> int:
    """Run POLICY on the row of TOPOLOGY until it is stopped (SIGTERM, Ctrl-C); limits are restored then.

    Args:
        topology: YAML file of the row: budget, servers, meter, latencies.
        backend: simulated, nvml (GPUs of this host) or redfish (management controllers).
        policy: a policy of rows.
        apply: write to the servers; without it nothing is ever written.
        state: folder of the audit log and of the limits as they were.
        duration_s: stop after so many seconds.
        seed: of the work of a simulated row.
        metrics_port: serve Prometheus metrics there.
        metrics_address: address to serve metrics on.
        json: write strict JSON to this path (`-`: standard output).
        common: options that all verbs share.
    """
    from armillary.power.control import control as run
    from armillary.power.control import load_site

    stop = Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    if not apply:
        note("nothing is applied: --apply writes to the servers", common)
    try:
        result = run(
            load_site(topology),
            backend=backend,
            policy=policy,
            apply=apply,
            state=state,
            duration_s=duration_s,
            seed=seed,
            metrics_port=metrics_port,
            metrics_address=metrics_address,
            stop=stop,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    _write(result.to_json(), json)
    if json != STANDARD_OUTPUT and not common.quiet:
        print_rows(result.summary())
    if result.restored is False:
        raise InfeasibleError(
            f"not all limits of {result.site} are back as they were; the audit log in {state} says which, and the "
            "next start with the same --state goes on giving them back"
        )
    return 0


@app.command
def check(
    *,
    topology: Path,
    backend: str = "simulated",
    state: Path | None = None,
    json: Json = None,
    common: Verbosity = Verbosity(),
) -> int:
    """Say whether the row can be controlled from here: permissions, actuators, age of telemetry; writes nothing.

    Args:
        topology: YAML file of the row.
        backend: simulated, nvml or redfish.
        state: folder in which a crashed controller may have left limits to give back.
        json: write strict JSON to this path (`-`: standard output).
        common: options that all verbs share.
    """
    from armillary.power.control import check as look
    from armillary.power.control import load_site
    from armillary.power.control.run import row_of

    site = load_site(topology)
    row = row_of(site, backend, 0)
    try:
        result = look(site, row, state=state)
    finally:
        row.calls.close()
    _write(result.to_json(), json)
    if json != STANDARD_OUTPUT and not common.quiet:
        rows = [(each.what, "good" if each.good else "BAD", each.says) for each in result.findings]
        print_table([("what", "left"), ("", "left"), ("found", "left")], rows)
    bad = [each.what for each in result.findings if not each.good]
    if bad:
        raise InfeasibleError(f"{result.site} cannot be controlled as it is: {', '.join(bad[:5])}")
    return 0


def _write(document: object, path: Path | None) -> None:
    from armillary.store import dumps_strict, write_text

    if path is None:
        return
    text = dumps_strict(document)
    if path == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        write_text(path, text)
