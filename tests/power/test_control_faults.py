"""A hundred faults (a thousand nightly): the row is never over its budget longer than allowed with nobody acting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from armillary.power.control.controller import Controller
from armillary.power.control.levers import NEVER, Group, Lever, Stage
from tests.power.control_campaign import BUDGET_MW, FAULTS, Played, play
from tests.power.control_oracle import broken_laws, stretches
from tests.power.control_rows import site

CI_RUNS, NIGHTLY_RUNS = 26, 252  # of FAULTS faults each
LATENCIES_MS = {"redfish": (5_000, 40_000), "nvml": (10, 10)}  # of brake and lock


def campaign(first: int, runs: int, world: str, folder: Path) -> list[Played]:
    """Play, and fail with the seed of each run in which a law is broken."""
    all_played, broken = [], []
    for seed in range(first, first + runs):
        played = play(seed, world, folder / f"{world}-{seed}")
        all_played.append(played)
        broken += [f"seed {seed}, {world}: {law}" for law in broken_laws(played, *LATENCIES_MS[world])[:2]]
    assert broken == []
    return all_played


@pytest.mark.parametrize("world", ["redfish", "nvml"])
def test_a_hundred_faults_break_no_law(world: str, tmp_path: Path) -> None:
    runs = campaign(0, CI_RUNS // 2, world, tmp_path)
    assert sum(played.faults for played in runs) == CI_RUNS // 2 * FAULTS
    assert sum(len(played.kills) for played in runs) >= 3
    assert sum(len(list(stretches(played.steps, BUDGET_MW, 420_000))) for played in runs) >= 10
    assert any(played.dead_man for played in runs)


@pytest.mark.nightly
@pytest.mark.parametrize("world", ["redfish", "nvml"])
def test_a_thousand_faults_break_no_law(world: str, tmp_path: Path) -> None:
    campaign(1_000, NIGHTLY_RUNS // 2, world, tmp_path)


def no_dead_man(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Controller, "_guard", lambda self, now_ms: None)
    patch.setattr("tests.power.control_campaign.site", lambda *a, **k: site(*a, **k, policy={"dead_man_ms": 10**9}))


def no_second_try(patch: pytest.MonkeyPatch) -> None:
    def give_up(self: Group, lever: Lever, problem: str, now_ms: int) -> None:
        lever.stage, lever.due_ms = Stage.HOLD, NEVER

    patch.setattr(Group, "_failed", give_up)


def no_restoring(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("tests.power.control_rows.start", lambda controller: False)


def no_brake(patch: pytest.MonkeyPatch) -> None:
    order = Group.order

    def leave(self: Group, value: int, now_ms: int, why: str, *, supersede: bool = False) -> bool:
        return self.name != "brake" and order(self, value, now_ms, why, supersede=supersede)

    patch.setattr(Group, "order", leave)


@pytest.mark.parametrize(
    ("sabotage", "law"),
    [
        (no_brake, "no brake ordered"),
        (no_dead_man, "nobody has acted"),
        (no_second_try, "is not told again"),
        (no_restoring, "the first lock after a crash"),
    ],
)
def test_the_oracle_finds_what_a_lesser_controller_does(
    sabotage: Callable[[pytest.MonkeyPatch], None], law: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sabotage(monkeypatch)
    for seed in range(40):
        world = "nvml" if seed % 2 else "redfish"
        if any(law in broken for broken in broken_laws(play(seed, world, tmp_path / str(seed)), *LATENCIES_MS[world])):
            return
    pytest.fail(f"no run broke the law: {law}")
