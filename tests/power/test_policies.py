"""Row policies against tables made by hand, and in a row: hysteresis, no re-issue in flight, brake, lost telemetry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from armillary.engine.deciding import decide, new_decider
from armillary.engine.drive import Run
from armillary.engine.policy import Policy
from armillary.errors import InputError
from armillary.power.policies.contract import BRAKE_ENGAGING, BRAKE_OFF, BRAKE_ON, BRAKE_RELEASING
from armillary.power.policies.registry import BUILT_IN, load_policy, row_parameters
from armillary.power.row.handler import advance
from armillary.power.row.state import more_room
from armillary.power.topology import load_row
from armillary.testing.models import as_listed
from tests.power.rows import random_row

LEAVE = -1
Command = tuple[int, int, int]


class Actuators:
    """Locks that land `flight` readings after they were sent, and what a policy is shown of them."""

    def __init__(self, policy: Policy, flight: int, **mind: int) -> None:
        self.decider = new_decider(policy, compiled=False, **mind)
        self.policy, self.flight, self.reading = policy, flight, 0
        self.held, self.target, self.lands = [0, 0, 0], [-1, -1, -1], [0, 0, 0]

    def ask(self, share: float, *, lost: bool = False) -> Command:
        for index in range(3):
            if self.target[index] >= 0 and self.reading >= self.lands[index]:
                self.held[index], self.target[index] = self.target[index], -1
        brake = BRAKE_ON if self.held[2] else BRAKE_OFF
        if self.target[2] >= 0:
            brake = BRAKE_ENGAGING if self.target[2] else BRAKE_RELEASING
        age = 2000 if not lost else 2000 * (self.reading + 1)
        seen = (2000 * self.reading, round(share * 1e6), 1_000_000, age, int(lost), *self._locks(), brake)
        self.decider.seen[0] = seen
        self.decider.command[0] = (LEAVE, LEAVE, LEAVE)
        decide(self.policy, self.decider)
        command = tuple(int(value) for value in self.decider.command[0])
        for index, value in enumerate(command):
            if value >= 0:
                assert self.target[index] < 0, "sent again while in flight"
                self.target[index], self.lands[index] = value, self.reading + self.flight
        self.reading += 1
        return command  # type: ignore[return-value]

    def _locks(self) -> tuple[int, int, int, int]:
        return self.held[0], self.target[0], self.held[1], self.target[1]


def thresholds() -> dict[str, int]:
    return dict(load_policy("polca", row_parameters(load_row("dgx-a100-40").thresholds, 1410)).parameters)


# (share of the budget, what POLCA must command), derived from spec 2.2 with locks that land two readings later.
POLCA_TABLE = [
    (0.79, (-1, -1, -1)),  # below T1
    (0.80, (-1, -1, -1)),  # not above T1
    (0.81, (1275, -1, -1)),  # above T1: low priority to its first clock
    (0.82, (-1, -1, -1)),  # in flight
    (0.90, (1110, -1, -1)),  # landed; above T2: second clock
    (0.91, (-1, -1, -1)),  # in flight: high priority waits until it has landed
    (0.90, (-1, 1305, -1)),  # landed and still above T2: high priority too
    (0.86, (-1, -1, -1)),  # between T2 - hysteresis and T2: nothing changes
    (0.86, (-1, -1, -1)),
    (0.83, (-1, 0, -1)),  # below T2 - hysteresis: high priority is let go first ...
    (0.83, (-1, -1, -1)),
    (0.83, (1275, -1, -1)),  # ... then low priority to its first clock
    (0.76, (-1, -1, -1)),  # in flight
    (0.76, (-1, -1, -1)),  # above T1 - hysteresis
    (0.74, (0, -1, -1)),  # below: unlocked
    (0.74, (-1, -1, -1)),
    (0.79, (-1, -1, -1)),  # below T1 again: nothing
    (1.00, (1110, -1, -1)),  # not above the brake threshold, above T2
    (1.01, (-1, -1, 1)),  # brake
    (1.02, (-1, -1, -1)),  # in flight: not sent again
    (0.50, (-1, -1, 0)),  # on, and below the release
    (0.50, (-1, -1, -1)),  # releasing: the brake overrides both groups
    (0.50, (-1, -1, -1)),  # released, but this was read before
    (0.50, (1275, -1, -1)),  # the level falls from T2 to T1 ...
    (0.50, (-1, -1, -1)),
    (0.50, (0, -1, -1)),  # ... and below
]


def test_polca_follows_the_table_of_its_state_machine() -> None:
    rig = Actuators(load_policy("polca").policy, flight=2, **thresholds())
    commands = [rig.ask(share) for share, _ in POLCA_TABLE]
    assert commands == [expected for _, expected in POLCA_TABLE]


@pytest.mark.parametrize("name", ["polca", "one-threshold-low", "one-threshold-all", "no-cap", "pid"])
def test_a_policy_brakes_once_above_the_budget_and_releases_below(name: str) -> None:
    rig = Actuators(load_policy(name).policy, flight=3, **load_policy(name).parameters)
    brakes = [rig.ask(share)[2] for share in (0.5, 1.01, 1.02, 1.02, 1.0, 0.9, 0.86, 0.83, 0.6, 0.6, 0.6)]
    assert brakes == [-1, 1, -1, -1, -1, -1, -1, 0, -1, -1, -1]


@pytest.mark.parametrize("name", ["polca", "one-threshold-low", "one-threshold-all", "pid"])
def test_no_policy_sends_again_while_in_flight(name: str) -> None:
    """The rig asserts it, whatever the power does."""
    rig = Actuators(load_policy(name).policy, flight=20, **load_policy(name).parameters)
    rng = np.random.default_rng(1)
    sent = [rig.ask(float(share)) for share in 0.85 + np.cumsum(rng.normal(0, 0.01, 3000)) % 0.2]
    assert any(low >= 0 for low, _, _ in sent)


def test_low_priority_is_capped_when_telemetry_is_lost() -> None:
    rig = Actuators(load_policy("polca").policy, flight=2, **thresholds())
    commands = [rig.ask(0.5, lost=True) for _ in range(15)]
    assert commands.index((1110, -1, -1)) == 10  # first reading older than 20 s
    assert sum(command != (-1, -1, -1) for command in commands) == 1


def test_one_threshold_caps_whom_it_says() -> None:
    low = Actuators(load_policy("one-threshold-low").policy, flight=2, **load_policy("one-threshold-low").parameters)
    both = Actuators(load_policy("one-threshold-all").policy, flight=2, **load_policy("one-threshold-all").parameters)
    shares = (0.88, 0.90, 0.90, 0.85, 0.83)
    assert [low.ask(share) for share in shares][1::3] == [(1110, -1, -1), (0, -1, -1)]
    assert [both.ask(share) for share in shares][1::3] == [(1110, 1305, -1), (0, 0, -1)]


def test_pid_holds_a_row_at_its_setpoint() -> None:
    """A row whose dynamic half follows the clocks settles within 1.5 % of the setpoint, without limit cycles."""
    chosen = load_policy("pid")
    rig = Actuators(chosen.policy, flight=1, **chosen.parameters)
    share, shares = 0.92, []
    for _ in range(400):
        rig.ask(share)
        clocks = [clock / 1410 if clock else 1.0 for clock in rig.held[:2]]
        share = 0.92 * (0.5 + 0.25 * clocks[0] + 0.25 * clocks[1])
        shares.append(share)
    assert abs(np.mean(shares[200:]) - 0.85) < 0.015
    assert np.ptp(shares[200:]) < 0.02


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"uncapped"}))
def test_a_compiled_policy_and_a_python_one_log_the_same_bytes(name: str) -> None:
    chosen = load_policy(name)
    logs = []
    for compiled in (True, False):
        run = Run(
            advance,
            *random_row(
                4, as_listed, policy=chosen.policy, compiled=compiled, log=200, budget_mw=26_000, **chosen.parameters
            ),
            grow=more_room,
            decide=lambda state: decide(chosen.policy, state.decider),
        )
        run.advance()
        logs.append(run.state.log[: int(run.state.row["logged"][0])].tobytes())
    assert len(logs[0]) > 90 * 100
    assert logs[0] == logs[1]


def test_a_row_in_the_dark_is_capped_and_seen_again() -> None:
    """Telemetry lost from tick 60,000 to 110,000 (a dead man of 20 ms here): low priority is capped meanwhile."""
    run = Run(
        advance, *random_row(0, as_listed, dark=(60_000, 110_000), budget_mw=10**6, dead_man_ms=20), grow=more_room
    )
    run.advance()
    changes = run.state.changes[: int(run.state.row["changed"][0])]
    assert changes["mhz"].tolist() == [1110, 0]  # the light is back before the lock lands
    # Last reading at 58,000; older than 20,000 at the reading of 80,000; the lock takes 40,000.
    assert changes["tick"][0] == 120_000


def test_a_policy_of_the_users_own_comes_through_the_same_door(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\n"
        "from armillary.engine.policy import policy\n"
        "from armillary.power.policies.contract import COMMAND, SEEN\n"
        'DEFAULTS = {"t2_ppm": 1, "low2_mhz": 1200}\n'
        '@policy(state=np.dtype([("t2_ppm", np.int64), ("low2_mhz", np.int64)]), seen=SEEN, command=COMMAND)\n'
        "def mine(seen, mind, command):\n"
        '    if seen[0]["low_mhz"] == 0 and seen[0]["low_target_mhz"] < 0:\n'
        '        command[0]["low_mhz"] = mind["low2_mhz"]\n'
        "broken = 3\n"
    )
    chosen = load_policy(f"{file}:mine", row_parameters(load_row("dgx-a100-40").thresholds, 1410), {"low2_mhz": 900})
    assert chosen.parameters == {"t2_ppm": 890_000, "low2_mhz": 900}
    assert Actuators(chosen.policy, 2, **chosen.parameters).ask(0.2) == (900, -1, -1)
    with pytest.raises(InputError, match="is not a policy"):
        load_policy(f"{file}:broken")


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("polka", {}, "did you mean polca"),
        ("polca", {"t1": 3}, "no parameter named 't1'.*did you mean t1_ppm"),
        ("polca", {"t1_ppm": 900_000}, "out of order; t1_ppm < t2_ppm"),
        ("one-threshold-low", {"brake_ppm": 800_000}, "out of order; t2_ppm < brake_ppm"),
        ("nothing.py:x", {}, "no such file"),
    ],
)
def test_wrong_policies_are_refused_with_the_fix(name: str, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_policy(name, {}, parameters)
