"""The colours stay apart for readers with deuteranopia and protanopia, and are visible on both grounds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from armillary.report.markup import asset
from armillary.report.palette import OTHER, PALETTE

# Machado, Oliveira, Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", 2009,
# severity 1; linear RGB.
SEEN = {
    "full colour vision": np.eye(3),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])
NEIGHBOURS = 15.0  # CIE76; 2.3 is just noticeable


def linear(colour: str) -> npt.NDArray[np.float64]:
    channels = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def lab(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y, z = np.cbrt(np.maximum(TO_XYZ @ np.clip(rgb, 0, 1) / WHITE, 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sight", SEEN)
def test_no_two_colours_look_alike(sight: str) -> None:
    seen = {colour: lab(SEEN[sight] @ linear(colour)) for colour in (*PALETTE, OTHER)}
    distance = {(a, b): float(np.linalg.norm(seen[a] - seen[b])) for a, b in combinations(seen, 2)}
    assert min(distance.values()) > NEIGHBOURS, sorted(distance.items(), key=lambda item: item[1])[:4]


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio."""
    high, low = sorted((float(TO_XYZ[1] @ linear(colour)) for colour in (first, second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_text_reads_on_its_ground(theme: int) -> None:
    """WCAG AA: text at least 4.5 : 1, in the light (0) and the dark theme (1)."""
    lines = [part for part in asset("page.css").split("}") if "--page:" in part]
    colours = dict(entry.strip().split(": ") for entry in lines[theme].split("{")[-1].split(";") if ": #" in entry)
    for text in ("--text", "--text-soft"):
        for ground in ("--card", "--page", "--lane"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
