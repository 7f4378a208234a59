"""Take the pictures of the documents from the report of a real run.

In:  a run folder, Chromium and playwright. Out: docs/images/report.png (what a reader sees first) and timeline.png.
Usage: make run, then python tools/report_pictures.py runs/mobilenet_v2
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1180, 778


def main() -> int:
    """Open the page and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="a run folder")
    report = parser.parse_args().run.resolve() / "report.html"
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no chromium on this machine", file=sys.stderr)
        return 1
    IMAGES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        tab.goto(report.as_uri())
        tab.wait_for_selector("html[data-ready=yes]")
        tab.wait_for_timeout(500)
        tab.screenshot(path=IMAGES / "report.png")
        tab.locator("#timeline").screenshot(path=IMAGES / "timeline.png")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
