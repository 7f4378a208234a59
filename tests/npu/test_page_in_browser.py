"""The page of a real run in Chromium: it needs no network, holds no empty chart, and its timeline answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from armillary import npu

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

pytestmark = pytest.mark.browser

ARRAY_LANE_Y = 82.0  # CSS pixels below the top of the canvas


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Tab, list[str]]]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    page = tmp_path_factory.mktemp("run") / "report.html"
    page.write_text(npu.run("mobilenet_v2", chip="coral-edge-tpu-usb").report_html(), encoding="utf-8")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        seen: list[str] = []
        tab.on("request", lambda request: seen.append(request.url))
        tab.on("pageerror", lambda error: seen.append(f"error: {error}"))
        tab.on(
            "console", lambda line: seen.append(f"error: {line.text}") if line.type in ("error", "warning") else None
        )
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        yield tab, seen
        browser.close()


def test_nothing_leaves_the_file_and_nothing_complains(opened: tuple[Tab, list[str]]) -> None:
    tab, seen = opened
    assert tab.title() == "mobilenet_v2 on coral-edge-tpu-usb"
    assert seen
    assert all(entry.startswith(("file:", "data:", "blob:")) for entry in seen), seen


def test_sizes_of_memories_are_binary_and_every_layer_has_its_row(opened: tuple[Tab, list[str]]) -> None:
    tab, _ = opened
    assert "MiB" in tab.locator("#summary").inner_text()
    assert tab.locator("#layers tbody tr").count() == len(npu.run("mobilenet_v2", chip="coral-edge-tpu-usb").layers)


def test_the_timeline_zooms_and_tells_what_a_task_is(opened: tuple[Tab, list[str]]) -> None:
    tab, _ = opened
    canvas = tab.locator("#timeline canvas")
    before = [float(edge) for edge in (canvas.get_attribute("data-window") or "").split()]
    for x in (490, 500):  # the wheel zooms where a hand has moved the pointer, not where the page scrolled under it
        canvas.hover(position={"x": x, "y": ARRAY_LANE_Y})
        tab.wait_for_timeout(100)
    for _ in range(8):
        tab.mouse.wheel(0, -240)
    tab.wait_for_timeout(200)
    after = [float(edge) for edge in (canvas.get_attribute("data-window") or "").split()]
    assert after[1] - after[0] < (before[1] - before[0]) / 5
    canvas.hover(position={"x": 501, "y": ARRAY_LANE_Y})
    text = tab.locator("#timeline .tip").inner_text()
    for fact in ("block", "Duration", "array", "Energy"):
        assert fact in text


def test_no_chart_is_empty_and_none_is_wider_than_its_place(opened: tuple[Tab, list[str]]) -> None:
    tab, _ = opened
    assert tab.locator("#roofline .scatterlayer .point").count() >= 40
    assert tab.locator("#power .scatterlayer .trace").count() == 1
    for width in (390, 1280):
        tab.set_viewport_size({"width": width, "height": 900})
        tab.wait_for_timeout(300)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(
        "document.querySelector('#layers .table').scrollWidth <= document.querySelector('#layers').clientWidth"
    )
