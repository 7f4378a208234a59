"""A page is one file: the same bytes for the same input, nothing of the outside world in it, names as text."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from armillary.report import Block, Footer, Page, Section, Tile, tiles
from tests.report.sample import HOSTILE, sample_page


class Elements(HTMLParser):
    """Collects tags, ids, and addresses that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "srcset", "data", "action") or (name == "href" and not (value or "").startswith("#")):
                self.fetched.append(value or "")


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    return parser


@pytest.fixture(scope="module")
def html() -> str:
    return sample_page(600).html()


def test_the_same_input_gives_the_same_bytes(html: str) -> None:
    assert sample_page(600).html() == html


def test_a_page_fetches_nothing(html: str) -> None:
    assert elements(html).fetched == ["data:,"]


def test_only_scripts_whose_hash_the_policy_knows_can_run(html: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert "default-src 'none'" in policy[1]
    inline = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'sha256-" in policy[1]


def test_a_hostile_name_makes_no_element(html: str) -> None:
    assert "img" not in elements(html).tags
    assert "<img" not in html
    assert "&lt;/script&gt;&lt;img" in html


def test_hostile_titles_stay_text() -> None:
    footer = Footer({HOSTILE: HOSTILE}, HOSTILE, {HOSTILE: HOSTILE})
    page = Page(HOSTILE, (Section(HOSTILE, (), HOSTILE),), HOSTILE, footer).html()
    assert "img" not in elements(page).tags


def test_ids_are_unique_even_for_equal_titles() -> None:
    sections = tuple(Section(title, ()) for title in ("Power", "Power", "power!", "Power 2"))
    ids = elements(Page("t", sections).html()).ids
    assert len(set(ids)) == len(ids) == 4


def test_a_page_without_charts_does_not_carry_plotly() -> None:
    page = Page("t", (Section("Summary", (tiles([Tile("Latency", 1e-3, "s")]),)),)).html()
    assert len(page) < 100_000
    assert elements(page).tags.count("script") == 1


def test_fifty_thousand_tasks_with_charts_stay_below_six_and_a_half_megabytes() -> None:
    assert len(sample_page(50_000).html().encode()) < 6_500_000


def test_blocks_stand_in_the_order_given() -> None:
    page = Page("t", (Section("s", (Block("<p>first</p>"), Block("<p>second</p>"))),)).html()
    assert page.index("first") < page.index("second")
