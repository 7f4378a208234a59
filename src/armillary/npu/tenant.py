"""One network among several on the same chip: how urgent it is, when it is asked for, what it may use.

In:  fields, or one text: "mobilenet_v2:priority=0,period-ms=10,deadline-ms=8".
Out: `Tenant`, checked; `arrivals_s`, when its inferences are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, isfinite
from pathlib import Path

from armillary.errors import InputError, unknown_name
from armillary.workload import Graph

MAX_INFERENCES = 100_000
_MILLI = 1e-3
# Key of the text -> field; keys in ms are fields in seconds.
_KEYS = {
    "name": "name", "priority": "priority", "period-ms": "period_s", "at-ms": "at_s", "offset-ms": "offset_s",
    "count": "count", "deadline-ms": "deadline_s", "share": "share", "dtype": "dtype", "batch": "batch",
    "resolution": "resolution", "sequence": "sequence", "width": "width",
}  # fmt: skip
_WHOLE = ("priority", "count", "batch", "resolution", "sequence")
_TEXTS = ("name", "dtype")
_EXAMPLE = 'write for example "mobilenet_v2:priority=0,period-ms=10"'


@dataclass(frozen=True, slots=True)
class Tenant:
    """A network and its demands; times in seconds.

    Arrivals: every `period_s` from `offset_s` on, or at `at_s`, or, without both, `count` (1) at once at `offset_s`.

    Raises:
        InputError: a value out of range, or two ways of arrival at once.
    """

    model: str | Path | Graph
    priority: int = 0  # smaller goes first
    period_s: float | None = None
    at_s: tuple[float, ...] = ()
    offset_s: float = 0.0
    count: int | None = None  # at most so many; None: as many as the run lasts for
    deadline_s: float | None = None  # after the arrival
    share: float | None = None  # of the scratchpad; None: an equal share of what the others leave
    name: str | None = None  # None: that of the network
    dtype: str = "int8"
    batch: int = 1
    resolution: int | None = None
    sequence: int | None = None
    width: float = 1.0

    def __post_init__(self) -> None:
        where = str(self.name or (self.model.name if isinstance(self.model, Graph) else self.model))
        if not 0 <= self.priority <= 1000:
            raise InputError(f"priority {self.priority}", where=where, hint="0 (most urgent) to 1000")
        for text, value in (("period", self.period_s), ("deadline", self.deadline_s)):
            if value is not None and not (isfinite(value) and value > 0):
                raise InputError(f"a {text} of {value} s", where=where, hint="use a time above 0")
        if not (isfinite(self.offset_s) and self.offset_s >= 0):
            raise InputError(f"an offset of {self.offset_s} s", where=where, hint="use a time of at least 0")
        if any(not (isfinite(at) and at >= 0) for at in self.at_s) or list(self.at_s) != sorted(self.at_s):
            raise InputError("arrival times must be at least 0 and ascending", where=where)
        if self.at_s and (self.period_s is not None or self.count is not None or self.offset_s):
            raise InputError(
                "has arrival times and a period, offset or count",
                where=where,
                hint="give the times alone, or a period with offset and count",
            )
        if self.count is not None and not 1 <= self.count <= MAX_INFERENCES:
            raise InputError(f"{self.count} inferences", where=where, hint=f"1 to {MAX_INFERENCES}")
        if self.share is not None and not 0 < self.share <= 1:
            raise InputError(f"a share of {self.share} of the scratchpad", where=where, hint="above 0, at most 1")

    def arrivals_s(self, seconds: float) -> tuple[float, ...]:
        """Return when inferences are asked for in a run of `seconds`, ascending; a `count` is not cut by the run.

        Raises:
            InputError: more than 100,000 of them.
        """
        if self.at_s:
            return self.at_s
        if self.period_s is None:
            return (self.offset_s,) * (self.count or 1)
        # A hair less, so that rounding adds no arrival at the very end.
        count = self.count or max(1, ceil((seconds - self.offset_s) / self.period_s - 1e-9))
        if count > MAX_INFERENCES:
            raise InputError(
                f"{count} inferences in {seconds} s", where=str(self.name), hint="use a longer period or a shorter run"
            )
        return tuple(self.offset_s + number * self.period_s for number in range(count))

    def text(self) -> str:
        """Return the text that `parse_tenant` reads as this tenant; a graph stands as its name."""
        model = self.model.name if isinstance(self.model, Graph) else str(self.model)
        defaults = {entry.name: entry.default for entry in fields(self)}
        given = [
            f"{key}={_written(key, value)}"
            for key, field in _KEYS.items()
            if (value := getattr(self, field)) != defaults[field]
        ]
        return ":".join([model, ",".join(given)]) if given else model


def parse_tenant(text: str) -> Tenant:
    """Return the tenant that MODEL[:KEY=VALUE,...] describes; times of `at-ms` are separated by "/".

    Raises:
        InputError: an unknown key, a value that is no number, or one out of range.
    """
    model, _, options = (
        (text, "", "") if Path(text).is_file() else text.rpartition(":") if ":" in text else (text, "", "")
    )
    if not model:
        raise InputError("names no network", where=text, hint=_EXAMPLE)
    values: dict[str, object] = {}
    for option in options.split(",") if options else ():
        key, equals, value = option.partition("=")
        key = key.strip().replace("_", "-")
        if key not in _KEYS:
            raise unknown_name("tenant option", key, _KEYS, where=text)
        if not equals or not value.strip():
            raise InputError(f"{key} has no value", where=text, hint=_EXAMPLE)
        if _KEYS[key] in values:
            raise InputError(f"{key} is given twice", where=text)
        values[_KEYS[key]] = _read(key, value.strip(), text)
    return Tenant(model, **values)  # type: ignore[arg-type]


def _read(key: str, value: str, where: str) -> object:
    if key in _TEXTS:
        return value
    try:
        if key == "at-ms":
            return tuple(float(part) * _MILLI for part in value.split("/"))
        if key in _WHOLE:
            return int(value)
        return float(value) * (_MILLI if key.endswith("-ms") else 1.0)
    except ValueError:
        kind = "a whole number" if key in _WHOLE else "times such as 0/5/12" if key == "at-ms" else "a number"
        raise InputError(f"{key} is {value[:40]!r}, not {kind}", where=where, hint=_EXAMPLE) from None


def _written(key: str, value: object) -> str:
    if isinstance(value, tuple):
        return "/".join(_written(key, part) for part in value)
    return f"{value / _MILLI:.12g}" if key.endswith("-ms") and isinstance(value, float) else str(value)
