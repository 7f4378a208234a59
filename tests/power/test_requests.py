"""Requests: the load that was asked for, the same for every policy and number of servers; traces and histories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from armillary.errors import InputError
from armillary.power.azure import read_trace, trace_pieces
from armillary.power.load import LoadCurve, load_curve
from armillary.power.requests import RequestColumns, Source, generate
from armillary.power.row_power import read_row_power
from armillary.power.topology import Load, Sizes, load_row

SOURCES = (
    Source("a", Sizes(low=10, high=20), Sizes(low=1, high=5), 2.0),
    Source("b", Sizes(low=7, high=7), Sizes(low=3, high=9), 0.5),
)
TICK_S = 1e-6


def drawn(sources: tuple[Source, ...], curve: LoadCurve, piece_s: float = 21_600.0, seed: int = 1) -> RequestColumns:
    parts = list(generate(sources, curve, seed=seed, tick_s=TICK_S, piece_s=piece_s))
    names = ("arrival", "group", "prompt", "output")
    return RequestColumns(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def test_requests_follow_the_load() -> None:
    """Counts of each quarter are those of the integral of the rate, within four standard deviations of Poisson's."""
    curve = LoadCurve(60.0, np.repeat([0.2, 1.0, 0.0, 0.6], 360))
    columns = drawn(SOURCES, curve)
    for group, source in enumerate(SOURCES):
        counts = np.histogram(columns.arrival[columns.group == group] * TICK_S, np.arange(5) * 21_600.0)[0]
        expected = source.rate_per_s * np.array([0.2, 1.0, 0.0, 0.6]) * 21_600.0
        assert (np.abs(counts - expected) <= 4 * np.sqrt(expected)).all()
    assert (np.diff(columns.arrival) >= 0).all()


def test_sizes_are_uniform_over_their_range() -> None:
    columns = drawn(SOURCES, LoadCurve(60.0, np.ones(720)))
    prompt = columns.prompt[columns.group == 0]
    assert (prompt.min(), prompt.max()) == (10, 20)
    counts = np.bincount(prompt - 10)
    assert np.abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_pieces_and_servers_change_no_request() -> None:
    """Cut into other pieces: the same requests. With more servers: the same sizes in the same order, earlier."""
    curve = load_curve(load_row("dgx-a100-40").load, days=1, seed=2)
    whole, cut = drawn(SOURCES, curve, 86_400.0), drawn(SOURCES, curve, 1_000.0)
    assert np.abs(whole.arrival - cut.arrival).max() <= 1
    assert (whole.prompt == cut.prompt).all()
    more = tuple(Source(each.name, each.prompt, each.output, 1.3 * each.rate_per_s) for each in SOURCES)
    scaled = drawn(more, curve)
    for group in (0, 1):
        fewer = whole.output[whole.group == group]
        assert (scaled.output[scaled.group == group][: len(fewer)] == fewer).all()


def test_the_load_repeats_by_day_and_week_and_keeps_its_noise() -> None:
    given = load_row("dgx-a100-40").load.model_dump(mode="json", by_alias=True)
    calm = Load.model_validate(given | {"noise": 0, "bursts_per_day": 0})
    week = load_curve(calm, days=7, seed=0).load
    assert week[:1440] == pytest.approx(week[1440:2880])
    assert week[5 * 1440 : 6 * 1440] == pytest.approx(week[:1440] * calm.weekend.value)
    assert week.max() == pytest.approx(calm.peak.value, rel=1e-4)
    assert int(week[:1440].argmax()) // 60 in (13, 14)
    noisy = load_curve(Load.model_validate(given | {"bursts_per_day": 0}), days=200, seed=3).load
    calm_long = load_curve(calm, days=200, seed=0).load
    assert np.std(noisy / calm_long) == pytest.approx(0.02, rel=0.1)
    bursts = load_curve(Load.model_validate(given | {"noise": 0}), days=200, seed=3).load / calm_long - 1
    assert bursts.mean() == pytest.approx(6 * 0.05 * 300 / 86_400, rel=0.25)


FIRST = "2023-11-16 18:15:46.6805900,374,44\n"
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            TRACE + FIRST + "2023-11-16 18:15:45.9,10,-3\n",
            ":3: GeneratedTokens '-3' is below 0",
        ),
        (
            TRACE + FIRST + "2023-11-16 18:15:45.9,10,3",
            ":3: is earlier than the row before; sort",
        ),
        (TRACE + "2023-11-16 18:15:46.6805900,0,44\n", ":2: ContextTokens '0' is below 1"),
        (TRACE + "2023-11-16 18:15:46.6805900,1.5,44\n", ":2: ContextTokens '1.5' is not a whole number"),
        (TRACE + "2023-11-16 18:15:46.6805900,x,44\n", ":2: ContextTokens 'x' is not"),
        (TRACE + "yesterday,3,44\n", ":2: TIMESTAMP 'yesterday' is no time"),
        (TRACE + "2023-11-16 18:15:46.6805900,3\n", ":2: has 2 values, the header 3"),
        ("TIMESTAMP,ContextToken,GeneratedTokens\n", ":1: no column named 'ContextTokens'; did you mean ContextToken"),
        (TRACE, "a header and no rows"),
        ("", "is empty"),
    ],
)
def test_bad_traces_are_refused_with_line_and_fix(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=says):
        read_trace(file)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time_s,power_w\n0,100\n2,-1\n", ":3: power_w '-1' is below 0"),
        ("time_s,power_w\n0,100\n0,100\n", ":3: has the same time"),
        ("time_s,power_w\n0,100\n", "fewer than two readings"),
        ("time_s,watts\n0,100\n", "no column named 'power_w'"),
        ("when,power_w\n0,100\n", "no column time_s or timestamp"),
        ("time_s,power_w\n0,nan\n", "is not a number"),
    ],
)
def test_bad_histories_are_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=says):
        read_row_power(file)


def test_a_history_may_tell_its_day(tmp_path: Path) -> None:
    file = tmp_path / "power.csv"
    file.write_text("Timestamp,power_w\n2023-06-21 06:00:00,100\n2023-06-21T06:01:00,300\n")
    power = read_row_power(file)
    assert power.start_s == 2 * 86_400 + 6 * 3600  # a Wednesday
    assert power.means(120.0).tolist() == [200.0]


@pytest.mark.data
def test_the_azure_hour_is_read_whole(shared_data: Callable[[str], Path]) -> None:
    trace = read_trace(shared_data("data/power/azure_llm_2023_conv.csv"))
    assert len(trace.prompt) == 19_366
    assert len(trace.prompt) / trace.seconds == pytest.approx(5.53, abs=0.01)
    assert trace.prompt.mean() == pytest.approx(1155, abs=1)
    pieces = list(trace_pieces(trace, [10, 30], scale=2.0, seed=0, start_s=5.0, tick_s=TICK_S, piece_s=600.0))
    groups = np.concatenate([columns.group for _, columns in pieces])
    assert len(groups) == 19_366
    assert (groups == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert pieces[-1][0] == pytest.approx(5.0 + trace.seconds / 2, abs=1e-3)
