"""The page as Chromium shows it: nothing leaves the file, nothing foreign runs, the timeline answers to the hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from armillary.report import Page
from tests.report.sample import HOSTILE, sample_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.browser

TASKS = 50_000
# Drawing takes 3 to 15 ms on an idle core; tests share their cores with others.
FRAME_MS = 100.0 * float(os.environ.get("ARMILLARY_TEST_SLACK", "1"))


@dataclass
class Watch:
    """What a tab asked for and complained of."""

    urls: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(sample_page(TASKS).html(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def opened(browser: Browser, report: Path) -> tuple[Tab, Watch]:
    return visit(browser, report)


def visit(browser: Browser, report: Path) -> tuple[Tab, Watch]:
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    watch = Watch()
    tab.on("request", lambda request: watch.urls.append(request.url))
    tab.on("console", lambda line: watch.complaints.append(line.text) if line.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: watch.complaints.append(str(error)))
    tab.goto(report.as_uri())
    tab.wait_for_selector("html[data-ready]")
    assert tab.evaluate("document.documentElement.dataset.ready") == "yes"
    return tab, watch


def window(canvas: Locator) -> tuple[float, float]:
    """The span of time that is shown, seconds."""
    t0, t1 = (canvas.get_attribute("data-window") or "").split()
    return float(t0), float(t1)


def settle(tab: Tab) -> None:
    """Wait until the next frame is painted."""
    tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def comes_true(tab: Tab, expression: str, wait_s: float = 5.0) -> bool:
    """Whether a JavaScript expression turns true in time (the policy forbids Playwright's own way of waiting)."""
    for _ in range(int(wait_s / 0.05)):
        if tab.evaluate(expression):
            return True
        tab.wait_for_timeout(50)
    return False


def whole_run(tab: Tab) -> Locator:
    """The canvas, in view, showing the whole run and nothing selected."""
    canvas = tab.locator("#timeline canvas")
    tab.get_by_role("button", name="Show the whole run").click()
    canvas.press("Escape")
    tab.mouse.move(0, 0)
    settle(tab)
    return canvas


def point_at(tab: Tab, canvas: Locator, x: float, y: float) -> None:
    """Move the pointer, as a hand does, to (x, y) of the canvas in CSS pixels."""
    box = canvas.bounding_box()
    assert box
    tab.mouse.move(box["x"] + x - 5, box["y"] + y)
    tab.mouse.move(box["x"] + x, box["y"] + y)


def zoom_in(tab: Tab, canvas: Locator, x: float, y: float, turns: int) -> None:
    point_at(tab, canvas, x, y)
    for _ in range(turns):
        tab.mouse.wheel(0, -240)
    settle(tab)


MAC_ARRAY_Y = 140.0


def test_no_request_leaves_the_file_and_nothing_complains(opened: tuple[Tab, Watch]) -> None:
    tab, watch = opened
    whole_run(tab)
    assert watch.urls
    assert all(url.startswith(("file:", "data:", "blob:")) for url in watch.urls), watch.urls
    assert watch.complaints == []


def test_a_hostile_name_is_shown_and_not_run(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    assert tab.locator("img").count() == 0
    assert tab.title() == "MobileNetV2 on Coral Edge TPU (USB 3)"
    assert "</script><img src=x" in tab.locator("#layers tbody").inner_text()


def test_the_policy_stops_markup_that_slipped_in(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "small.html"
    path.write_text(Page("small", ()).html(), encoding="utf-8")
    tab, watch = visit(browser, path)
    tab.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", HOSTILE)
    assert comes_true(tab, "document.images.length === 1 && document.images[0].complete")
    settle(tab)
    assert tab.title() == "small"
    assert any("Content Security Policy" in complaint for complaint in watch.complaints)
    tab.close()


def test_the_wheel_zooms_around_the_pointer(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    before = window(canvas)
    width = canvas.bounding_box()["width"]  # type: ignore[index]
    x = 158 + (width - 158) * 0.25
    zoom_in(tab, canvas, x, MAC_ARRAY_Y, 6)
    after = window(canvas)
    assert after[1] - after[0] < 0.1 * (before[1] - before[0])
    fixed = before[0] + 0.25 * (before[1] - before[0])
    assert after[0] + 0.25 * (after[1] - after[0]) == pytest.approx(fixed, rel=1e-6)


def test_the_wheel_scrolls_the_page_where_there_is_nothing_to_zoom_out_of(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    point_at(tab, canvas, 600, MAC_ARRAY_Y)
    before = tab.evaluate("scrollY")
    tab.mouse.wheel(0, 200)
    assert comes_true(tab, f"scrollY > {before}")


def test_a_tooltip_tells_name_start_duration_kind_and_energy(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    zoom_in(tab, canvas, 640, MAC_ARRAY_Y, 16)
    point_at(tab, canvas, 641, MAC_ARRAY_Y)
    text = tab.locator("#timeline .tip").inner_text()
    assert "layer" in text
    for fact in ("Start", "Duration", "Kind", "convolution", "Energy", "µJ", "After"):
        assert fact in text


def test_many_thin_tasks_are_told_as_a_sum(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    point_at(tab, canvas, 640, MAC_ARRAY_Y)
    text = tab.locator("#timeline .tip").inner_text()
    assert "tasks within" in text
    assert "MAC array" in text


def test_dragging_pans_and_brushing_zooms(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    zoom_in(tab, canvas, 640, MAC_ARRAY_Y, 4)
    before = window(canvas)
    tab.mouse.down()
    point_at(tab, canvas, 440, MAC_ARRAY_Y)
    tab.mouse.up()
    settle(tab)
    panned = window(canvas)
    assert panned[0] > before[0]
    assert panned[1] - panned[0] == pytest.approx(before[1] - before[0])
    point_at(tab, canvas, 300, 50)
    tab.mouse.down()
    point_at(tab, canvas, 400, 50)
    tab.mouse.up()
    settle(tab)
    assert window(canvas)[1] - window(canvas)[0] < 0.2 * (panned[1] - panned[0])


def test_the_keyboard_zooms_pans_and_walks_along_a_lane(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    spans = [window(canvas)]
    for key in ("+", "+", "ArrowRight", "-", "0"):
        canvas.press(key)
        settle(tab)
        spans.append(window(canvas))
    lengths = [t1 - t0 for t0, t1 in spans]
    assert lengths[2] < lengths[1] < lengths[0]
    assert spans[3][0] > spans[2][0]
    assert lengths[4] > lengths[3]
    assert spans[5] == spans[0]
    tab.get_by_role("button", name="chain of causes").click()
    last = tab.locator("#timeline .hint").inner_text()
    assert "after a chain of" in last
    canvas.press("[")
    assert tab.locator("#timeline .hint").inner_text() != last


def test_the_search_counts_what_it_finds(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    whole_run(tab)
    field = tab.get_by_label("Find tasks by name")
    field.fill("no such task")
    assert tab.locator(".search output").inner_text() == "0"
    field.fill("LAYER2")
    assert int(tab.locator(".search output").inner_text().replace("\u202f", "")) > 1000
    field.fill("")


def test_a_kind_can_be_dimmed(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    canvas = whole_run(tab)
    kind = tab.get_by_role("button", name="convolution")
    before = canvas.screenshot()
    kind.click()
    assert kind.get_attribute("aria-pressed") == "false"
    settle(tab)
    assert canvas.screenshot() != before
    kind.click()


def test_fifty_thousand_tasks_draw_within_a_tenth_of_a_second(opened: tuple[Tab, Watch]) -> None:
    """The median of the frames of a zoom from the whole run down to single tasks."""
    tab, _ = opened
    canvas = whole_run(tab)
    frames = []
    point_at(tab, canvas, 640, MAC_ARRAY_Y)
    for _ in range(15):
        tab.mouse.wheel(0, -240)
        settle(tab)
        frames.append(float(canvas.get_attribute("data-frame-ms") or "inf"))
    assert sorted(frames)[7] < FRAME_MS, frames


def test_a_click_on_a_head_sorts_the_table(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    tab.locator("#layers").get_by_role("button", name="Time").click()
    cells = "[...document.querySelectorAll('#layers tbody tr')].map((row) => Number(row.cells[3].dataset.value))"
    values = tab.evaluate(cells)
    assert values == sorted(values, reverse=True)
    tab.locator("#layers").get_by_role("button", name="Time").click()
    assert tab.evaluate(cells) == sorted(values)


def test_charts_are_drawn_with_their_points(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    assert tab.locator("#roofline .scatterlayer .point").count() > 40
    assert tab.locator("#power .scatterlayer .trace").count() >= 1


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_width_of_the_screen(opened: tuple[Tab, Watch], tmp_path: Path, width: int) -> None:
    tab, watch = opened
    tab.set_viewport_size({"width": width, "height": 844})
    assert comes_true(tab, f"document.documentElement.scrollWidth <= {width}")  # charts follow after a while
    canvas = tab.locator("#timeline canvas").bounding_box()
    assert canvas
    assert 0.8 * width < canvas["width"] < width
    picture = tmp_path / f"report-{width}.png"
    tab.screenshot(path=picture)
    assert picture.stat().st_size > 10_000
    assert watch.complaints == []
    tab.set_viewport_size({"width": 1280, "height": 900})
    settle(tab)


def test_the_timeline_follows_the_theme(opened: tuple[Tab, Watch]) -> None:
    tab, _ = opened
    whole_run(tab)
    corner = """(() => {
        const canvas = document.querySelector("#timeline canvas");
        return [...canvas.getContext("2d").getImageData(canvas.width - 2, 330, 1, 1).data].slice(0, 3);
    })()"""
    light = tab.evaluate(corner)
    tab.emulate_media(color_scheme="dark")
    settle(tab)
    dark = tab.evaluate(corner)
    tab.emulate_media(color_scheme="light")
    settle(tab)
    assert sum(light) > 2 * sum(dark)
    assert tab.evaluate(corner) == light
