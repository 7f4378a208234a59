"""Charts carry the figures they are given; thinning keeps integrals and peaks."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.report import Block, RooflinePoints, StepSeries, roofline, step_chart
from armillary.report.charts import BINS, MAX_STEPS, binned
from tests.report.sample import HOSTILE, noise


def figure_of(block: Block) -> dict[str, Any]:
    data = re.search(r'application/json">(.*?)</script>', block.html)
    assert data
    figure: dict[str, Any] = json.loads(data[1])
    return figure


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 50)), min_size=1, max_size=60), st.integers(1, 20))
def test_bins_keep_the_integral_and_the_peak_of_a_step_function(steps: list[tuple[int, int]], bins: int) -> None:
    widths = np.array([width for width, _ in steps], np.float64)
    value = np.array([value for _, value in steps], np.float64)
    stops = np.concatenate(([0.0], np.cumsum(widths)))
    entry = StepSeries("power", stops[:-1], value, float(stops[-1]))
    edges, mean, peak = binned(entry, bins)
    assert len(edges) == bins
    assert (mean * stops[-1] / bins).sum() == pytest.approx((value * widths).sum())
    assert peak.max() == value.max()
    assert np.all(peak >= mean - 1e-9)


def test_few_steps_are_all_drawn_and_many_are_shown_by_mean_and_peak() -> None:
    for steps in (MAX_STEPS, MAX_STEPS + 1):
        entry = StepSeries("power", np.arange(float(steps)), noise(steps, 1), float(steps))
        block = step_chart([entry], unit="W", label="Power")
        assert block.charts
        names = [trace["name"] for trace in figure_of(block)["data"]]
        assert names == (["power"] if steps == MAX_STEPS else ["power, peak", "power, mean"])
        assert (f"mean and peak of {BINS}" in block.html) == (steps > MAX_STEPS)


def test_names_in_charts_stay_text() -> None:
    entry = StepSeries(HOSTILE, np.zeros(1), np.ones(1), 1.0)
    block = step_chart([entry, entry], unit="W", label=HOSTILE, limits=[(HOSTILE, 1.0)])
    assert block.html.count("</script>") == 1
    assert "<img" not in block.html
    assert figure_of(block)["data"][0]["name"].startswith("&lt;/script&gt;&lt;img")


@pytest.mark.parametrize(
    ("time_s", "end_s", "message"),
    [([], 1.0, "at least one step"), ([1.0, 0.0], 2.0, "ascend"), ([0.0, 3.0], 2.0, "ascend")],
)
def test_times_that_do_not_ascend_are_refused(time_s: list[float], end_s: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        step_chart([StepSeries("power", np.array(time_s), np.zeros(len(time_s)), end_s)], unit="W", label="Power")


def points(operations: list[float]) -> RooflinePoints:
    count = len(operations)
    names = [f"layer{number}" for number in range(count)]
    return RooflinePoints(names, ["array"] * count, np.array(operations), np.full(count, 10.0), np.full(count, 2.0))


def test_a_point_stands_at_operations_per_byte_and_operations_per_second() -> None:
    figure = figure_of(roofline(points([40.0]), peaks={"array": 100.0}, memories={"DRAM": 10.0}))
    marker = figure["data"][-1]
    assert np.frombuffer(base64.b64decode(marker["x"]["bdata"]))[0] == 4.0
    assert np.frombuffer(base64.b64decode(marker["y"]["bdata"]))[0] == 20.0


def test_roofs_meet_at_the_ridge() -> None:
    """Ridge = peak / bandwidth."""
    figure = figure_of(roofline(points([40.0]), peaks={"array": 100.0}, memories={"DRAM": 10.0}))
    slope, flat = figure["data"][:2]
    assert (slope["x"][1], slope["y"][1]) == (10.0, 100.0)
    assert (flat["x"][0], flat["y"][0]) == (10.0, 100.0)


def test_layers_without_work_are_left_out_and_counted() -> None:
    block = roofline(points([40.0, 0.0, 0.0]), peaks={"array": 100.0}, memories={"DRAM": 10.0})
    assert "2 layers without operations" in block.html


def test_a_roofline_of_no_layer_still_shows_the_roofs() -> None:
    assert len(figure_of(roofline(points([]), peaks={"array": 100.0}, memories={"DRAM": 10.0}))["data"]) == 2


def test_a_roofline_needs_rates() -> None:
    with pytest.raises(InputError, match="at least one peak and one memory"):
        roofline(points([1.0]), peaks={}, memories={"DRAM": 10.0})
