"""One self-contained HTML page: it opens from disk and a content security policy keeps it from the network.

In:  a title, sections of `Block`s, a footer. Out: the page as text, the same bytes for the same input.
Scripts run only if their SHA-256 stands in the policy: a name that slipped through the escaping could still not run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from armillary.report.markup import Block, asset, clean, escape, pack, slug

_SCRIPTS = (
    "base.js",
    "tables.js",
    "charts.js",
    "timeline_model.js",
    "timeline_draw.js",
    "timeline_input.js",
    "timeline.js",
    "start.js",
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading that the navigation links to, an optional lead line, and blocks."""

    title: str
    blocks: Sequence[Block]
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Footer:
    """Where the page comes from: versions by name, the command that makes it again, other facts such as digests."""

    versions: Mapping[str, str] = field(default_factory=dict)
    reproduce: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A report; `Result.report_html` returns its `html()`, and the run folder writes that atomically."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    footer: Footer = field(default_factory=Footer)

    def html(self) -> str:
        """Return the whole page."""
        script = _script()
        charts = any(block.charts for section in self.sections for block in section.blocks)
        plotly = _plotly() if charts else ""
        allowed = " ".join(f"'sha256-{_sha256(code)}'" for code in ([script, plotly] if charts else [script]))
        policy = (
            f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
            "img-src data: blob:; base-uri 'none'; form-action 'none'"
        )
        anchors = _anchors([section.title for section in self.sections])
        packed = f'<script type="application/octet-stream" id="plotly">{_packed_plotly()}</script>' if charts else ""
        return (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<meta name="generator" content="Armillary">\n'
            f'<title>{escape(self.title)}</title>\n<link rel="icon" href="data:,">\n'
            f"<style>\n{asset('page.css')}{asset('timeline.css')}</style>\n</head>\n<body>\n"
            f"{self._header(anchors)}\n<main>\n{self._sections(anchors)}</main>\n{self._footer()}\n"
            f"{packed}\n<script>{script}</script>\n</body>\n</html>\n"
        )

    def _header(self, anchors: Sequence[str]) -> str:
        links = "".join(
            f'<a href="#{anchor}">{escape(section.title)}</a>'
            for anchor, section in zip(anchors, self.sections, strict=True)
        )
        subtitle = f"<p>{escape(self.subtitle)}</p>" if self.subtitle else ""
        return (
            f'<header><div class="brand">{asset("mark.svg").strip()}Armillary</div>'
            f"<h1>{escape(self.title)}</h1>{subtitle}"
            f'<nav aria-label="Sections">{links}</nav></header>'
        )

    def _sections(self, anchors: Sequence[str]) -> str:
        parts = []
        for anchor, section in zip(anchors, self.sections, strict=True):
            lead = f'<p class="lead">{escape(section.lead)}</p>' if section.lead else ""
            body = "\n".join(block.html for block in section.blocks)
            parts.append(f'<section id="{anchor}">\n<h2>{escape(section.title)}</h2>{lead}\n{body}\n</section>\n')
        return "".join(parts)

    def _footer(self) -> str:
        again = (
            f"<div><dt>Make it again</dt><dd><code>{escape(self.footer.reproduce)}</code></dd></div>"
            if self.footer.reproduce
            else ""
        )
        facts = "".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in self.footer.facts.items()
        )
        versions = ", ".join(f"{escape(name)} {escape(version)}" for name, version in self.footer.versions.items())
        made = f"<div><dt>Versions</dt><dd>{versions}</dd></div>" if versions else ""
        return f"<footer><dl>{again}{facts}{made}</dl></footer>"


def _anchors(titles: Sequence[str]) -> list[str]:
    """One id a section: the slug of its title, numbered where two are alike."""
    anchors: list[str] = []
    for title in titles:
        name = slug(clean(title))
        alike = sum(anchor == name or anchor.startswith(f"{name}-") for anchor in anchors)
        anchors.append(f"{name}-{alike + 1}" if name in anchors else name)
    return anchors


@cache
def _script() -> str:
    return '(() => {\n"use strict";\n' + "".join(asset(name) for name in _SCRIPTS) + "})();\n"


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source


@cache
def _packed_plotly() -> str:
    return pack(_plotly().encode())


def _sha256(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
