"""Row policies by name: those that come with Armillary, installed plugins, and the user's own file.

In:  "polca", the name of a plugin (entry point group `armillary.policies`), or "FILE.py:name".
Out: `RowPolicy`: the policy and what its parameters are unless told otherwise.
All come through one door, `module:attribute`; the module's `DEFAULTS` hold its parameters. A parameter that is called
like a threshold of the row (`t1_ppm`, `low2_mhz`, ...) takes the row's value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

from armillary.engine.policy import Policy
from armillary.errors import InputError, canonical_name, unknown_name
from armillary.power.policies.contract import COMMAND, SEEN
from armillary.power.topology import Thresholds

GROUP: Final = "armillary.policies"
BUILT_IN: Final = {
    "polca": "armillary.power.policies.polca:polca",
    "one-threshold-low": "armillary.power.policies.one_threshold:one_threshold_low",
    "one-threshold-all": "armillary.power.policies.one_threshold:one_threshold_all",
    "no-cap": "armillary.power.policies.no_cap:no_cap",
    "uncapped": "armillary.power.policies.no_cap:uncapped",
    "pid": "armillary.power.policies.pid:pid",
}
PPM: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """A policy for rows, ready to be asked."""

    name: str
    policy: Policy
    parameters: Mapping[str, int]  # what its state begins with


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies that are installed."""
    return tuple(sorted({*BUILT_IN, *(entry.name for entry in entry_points(group=GROUP))}))


def load_policy(
    name: str | RowPolicy, of_row: Mapping[str, int] | None = None, parameters: Mapping[str, int] | None = None
) -> RowPolicy:
    """Return the policy called `name`.

    Args:
        name: a name, or "FILE.py:name" for a policy of the user's own; that file is run.
        of_row: what a row says of parameters (`row_parameters`); it precedes the policy's own defaults.
        parameters: fields of the policy's state; they precede both.

    Raises:
        InputError: no such policy, file or attribute; it is no row policy; a parameter that it does not have, or
            thresholds out of order.
    """
    if isinstance(name, RowPolicy):
        return name
    policy, defaults = _find(name)
    fields = policy.state.names or ()
    given = dict(parameters or {})
    unknown = [key for key in given if key not in fields]
    if unknown:
        raise unknown_name("parameter", unknown[0], fields, where=f"policy {name}")
    chosen = {key: value for key, value in (defaults | dict(of_row or {}) | given).items() if key in fields}
    if {"t1_ppm", "t2_ppm"} <= chosen.keys() and not chosen["t1_ppm"] < chosen["t2_ppm"]:
        raise InputError(
            f"t1_ppm {chosen['t1_ppm']} and t2_ppm {chosen['t2_ppm']} are out of order",
            where=f"policy {name}",
            hint="t1_ppm < t2_ppm",
        )
    if {"t2_ppm", "brake_ppm"} <= chosen.keys() and not chosen["t2_ppm"] < chosen["brake_ppm"]:
        raise InputError(
            f"t2_ppm {chosen['t2_ppm']} and brake_ppm {chosen['brake_ppm']} are out of order",
            where=f"policy {name}",
            hint="t2_ppm < brake_ppm",
        )
    return RowPolicy(name, policy, chosen)


def row_parameters(thresholds: Thresholds, top_mhz: int) -> dict[str, int]:
    """Return what a row says of parameters, as policies name them: ppm of the budget, MHz."""
    return {
        "top_mhz": top_mhz,
        "t1_ppm": round(thresholds.t1.value * PPM),
        "t2_ppm": round(thresholds.t2.value * PPM),
        "hysteresis_ppm": round(thresholds.hysteresis.value * PPM),
        "brake_ppm": round(thresholds.brake_at.value * PPM),
        "release_ppm": round(thresholds.release_at.value * PPM),
        "low1_mhz": round(thresholds.low_at_t1.value / 1e6),
        "low2_mhz": round(thresholds.low_at_t2.value / 1e6),
        "high2_mhz": round(thresholds.high_at_t2.value / 1e6),
    }


def _find(name: str) -> tuple[Policy, dict[str, int]]:
    """Return a policy and the defaults of its module."""
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        module = _run(Path(path))
    else:
        installed = {entry.name: entry.value for entry in entry_points(group=GROUP)} | BUILT_IN
        found = [place for known, place in installed.items() if canonical_name(known) == canonical_name(name)]
        if not found:
            raise unknown_name("policy", name, [*installed, "FILE.py:name"])
        place, _, attribute = found[0].partition(":")
        module = import_module(place)
    policy = getattr(module, attribute, None)
    if not isinstance(policy, Policy):
        raise InputError(
            f"{attribute!r} is not a policy", where=name, hint="decorate it with @policy(state=..., seen=SEEN, ...)"
        )
    if policy.seen != SEEN or policy.command != COMMAND:
        raise InputError(
            f"{attribute!r} is no policy for rows",
            where=name,
            hint="declare it with seen=SEEN, command=COMMAND of armillary.power.policies.contract",
        )
    return policy, dict(getattr(module, "DEFAULTS", {}))


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError("no such file", where=str(path), hint="--policy FILE.py:name")
    spec = spec_from_file_location(f"armillary_policy_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError("cannot be loaded", where=str(path))
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise InputError(f"failed to load ({type(error).__name__}: {error})", where=str(path)) from error
    return module
