"""Text, numbers and bytes made safe to stand in an HTML page.

In:  names from strangers, JSON values, raw bytes, asset names.
Out: escaped text, JSON that cannot close a script element, deflated base64, the package's own CSS and JavaScript.
`Block` is what every primitive of this room returns and what a page is made of.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import dataclass
from functools import cache
from html import escape as _escape
from importlib.resources import files
from typing import Any

# Control characters and the marks that turn the direction of writing have no place in a name.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")
_LONGEST_NAME = 400


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of HTML whose names are already escaped; `charts` asks the page to bring plotly's JavaScript."""

    html: str
    charts: bool = False


def clean(text: str) -> str:
    """Return `text` without invisible characters, cut at 400 characters."""
    visible = _INVISIBLE.sub("\ufffd", text)
    return visible if len(visible) <= _LONGEST_NAME else visible[: _LONGEST_NAME - 1] + "…"


def escape(text: str) -> str:
    """Return `text` fit for element content and for quoted attributes."""
    return _escape(clean(text), quote=True)


def chart_text(text: str) -> str:
    """Return `text` fit for plotly, which reads tags and few entities: `<`, `>`, `&` are escaped, quotes are not."""
    return _escape(clean(text), quote=False)


def slug(text: str) -> str:
    """Return an element id made of `text`: "Power over time" -> "power-over-time"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"


def script_json(value: Any) -> str:
    """Return strict JSON that is safe inside a script element.

    Raises:
        ValueError: a number is not finite.
    """
    return guard_json(json.dumps(value, allow_nan=False, separators=(",", ":"), sort_keys=True))


def guard_json(text: str) -> str:
    """Return the JSON `text` with `<`, `>` and `&` as escapes, so that it cannot end the element it stands in."""
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def pack(data: bytes) -> str:
    """Return `data` deflated (zlib format) and in base64, as `unpack` of assets/base.js reads it."""
    return base64.b64encode(zlib.compress(data, 6)).decode("ascii")


@cache
def asset(name: str) -> str:
    """Return the text of a file of this package's `assets` folder."""
    return (files("armillary.report") / "assets" / name).read_text(encoding="utf-8")
