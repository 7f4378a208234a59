"""Laws of the live controller's parts: nothing is written unasked, readings are as old as they are, orders arrive."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from armillary.engine.policy import policy
from armillary.errors import InputError
from armillary.power.control import control
from armillary.power.control.audit import Audit
from armillary.power.control.calls import InlineCalls, ThreadCalls
from armillary.power.control.checking import check
from armillary.power.control.clock import VirtualClock
from armillary.power.control.contract import BackendError, Limits, Measured, Part
from armillary.power.control.levers import Group, Lever
from armillary.power.control.nvml import NvmlBackend
from armillary.power.control.plant import GpuProfile, Plant, Workload
from armillary.power.control.site import Site, load_site
from armillary.power.control.snapshot import Snapshot
from armillary.power.control.telemetry import Telemetry
from armillary.power.policies.contract import COMMAND, SEEN
from armillary.testing.fake_bmc import METER, DirectTransport, FakeBmc, Fault
from armillary.testing.fake_nvml import FakeNvml
from tests.power.control_rows import controller_of, names, over_nvml, over_redfish, site

REPOSITORY = Path(__file__).resolve().parents[2]


def busy_row(**options: Any) -> tuple[Site, FakeBmc, VirtualClock]:
    """A row that draws 2.4 of its 2.2 kW under full load, for 500 s."""
    clock = VirtualClock()
    plant = Plant(4, 2, load=lambda ms: 1.0 if ms < 500_000 else 0.01, workload=Workload(decode_mw=300_000))
    clock.listeners.append(plant.advance)
    where = site(budget="2.2 kW")
    return where, FakeBmc(plant, names(where), clock.now_ms, **options), clock


# ---- what is written


def test_without_apply_nothing_is_ever_written_though_the_policy_commands(tmp_path: Path) -> None:
    where, bmc, clock = busy_row()
    result = control(
        where, backend="redfish", state=tmp_path, duration_s=300, row=over_redfish(where, DirectTransport(bmc), clock)
    )
    assert result.orders
    assert result.brakes > 0
    assert bmc.requests == []
    assert not Snapshot(tmp_path).path.exists()
    assert result.restored is None


def test_without_apply_nvml_is_never_set(tmp_path: Path) -> None:
    _, bmc, clock = busy_row()
    nvml = FakeNvml(bmc.plant, 2, clock.now_ms)
    where = site(budget="2.2 kW", meter=False)
    result = control(where, backend="nvml", duration_s=300, row=over_nvml(where, nvml, clock))
    assert result.orders
    assert nvml.setters == []


def test_applied_the_row_is_held_and_given_back(tmp_path: Path) -> None:
    """Uncontrolled, the row draws more than its budget on average; in the end the limits are those of the operator."""

    def mean_mw(plant: Plant) -> float:
        spans = zip(plant.steps, [*plant.steps[1:], (plant.now_ms, 0)], strict=True)
        return sum(mw * (end - begin) for (begin, mw), (end, _) in spans) / plant.now_ms

    alone = busy_row()[1].plant
    alone.advance(500_000)
    assert mean_mw(alone) > 2_200_000
    where, bmc, clock = busy_row()
    bmc.plant.gpu(0, 0).lock_mhz = bmc.plant.gpu(0, 1).lock_mhz = 1305
    bmc.plant.gpu(2, 0).limit_mw = 350_000
    row = over_redfish(where, DirectTransport(bmc), clock)
    result = control(where, backend="redfish", apply=True, state=tmp_path, duration_s=600, row=row)
    assert mean_mw(bmc.plant) < 0.9 * 2_200_000
    assert result.restored
    assert [bmc.plant.gpu(server, 0).lock_mhz for server in range(4)] == [1305, 0, 0, 0]
    assert [bmc.plant.gpu(server, 0).limit_mw for server in range(4)] == [400_000, 400_000, 350_000, 400_000]
    assert not Snapshot(tmp_path).path.exists()


@dataclass(frozen=True, slots=True)
class Watched(DirectTransport):
    """Looks for the snapshot at every change."""

    folder: Path
    noted: list[bool]

    def patch(self, url: str, body: Any) -> None:
        self.noted.append(url.split("/bmc/")[1].split("/")[0] in Snapshot(self.folder).load())
        DirectTransport.patch(self, url, body)


def test_a_limit_is_noted_on_the_disk_before_the_first_write(tmp_path: Path) -> None:
    where, bmc, clock = busy_row()
    noted: list[bool] = []
    controller = controller_of(where, over_redfish(where, Watched(bmc, tmp_path, noted), clock), state=tmp_path)
    controller.run(20_000, Event())
    assert noted
    assert all(noted)


# ---- telemetry


def telemetry_of(measure: Callable[[], Measured], *, delay_ms: int = 2_000) -> Telemetry:
    return Telemetry([Part("meter", measure, 1_000_000)], InlineCalls(), delay_ms)


def turn(telemetry: Telemetry, now_ms: int) -> bool:
    telemetry.probe(now_ms)
    telemetry.fold()
    return telemetry.fresh


def test_the_same_stamp_twice_is_no_new_reading_and_age_goes_on() -> None:
    stamps = iter(["a", "b", "b", "b", "a"])
    telemetry = telemetry_of(lambda: Measured(500, next(stamps)))
    assert [turn(telemetry, now) for now in range(2_000, 12_000, 2_000)] == [True, True, False, False, True]
    assert telemetry.age_ms(10_000) == 2_000


def test_a_clock_that_jumps_back_does_not_make_readings_old_or_young() -> None:
    stamps = iter(["2026-01-01T12:00", "2026-01-01T11:00", "1970-01-01T00:00"])
    telemetry = telemetry_of(lambda: Measured(500, next(stamps)))
    for now in (2_000, 4_000, 6_000):
        assert turn(telemetry, now)
        assert telemetry.age_ms(now) == 2_000


@pytest.mark.parametrize("power_mw", [0, -5, 1_500_001, 10**15])
def test_an_implausible_reading_is_none(power_mw: int) -> None:
    telemetry = telemetry_of(lambda: Measured(power_mw))
    assert not turn(telemetry, 2_000)
    assert "not plausible" in str(telemetry.problem)


def test_a_part_that_is_missing_counts_at_its_ceiling_until_most_are() -> None:
    missing: set[int] = set()

    def measure(place: int) -> Measured:
        if place in missing:
            raise BackendError("gone")
        return Measured(100)

    parts = [Part(str(place), partial(measure, place), 900) for place in range(4)]
    telemetry = Telemetry(parts, InlineCalls(), 0)
    for gone, power in (({1}, 1_200), ({1, 2}, 2_000), (set[int](), 400)):
        missing.clear()
        missing.update(gone)
        assert turn(telemetry, 1_000)
        assert telemetry.power_mw == power
    missing.update({0, 1, 2})
    assert not turn(telemetry, 3_000)
    assert telemetry.power_mw == 400


def test_a_slow_answer_is_as_old_as_its_question() -> None:
    release = Event()

    def slow() -> Measured:
        release.wait(5)
        return Measured(500)

    calls = ThreadCalls(2, 0.01)
    telemetry = Telemetry([Part("meter", slow, 1_000)], calls, 0)
    for now in (2_000, 4_000):
        calls.settle(telemetry.probe(now))
        telemetry.fold()
        assert not telemetry.fresh
    release.set()
    calls.settle(telemetry.probe(6_000))
    ThreadCalls(1, 5.0).settle(telemetry.probe(6_000))
    telemetry.fold()
    assert telemetry.fresh
    assert telemetry.age_ms(6_000) == 4_000
    calls.close()


# ---- actuators


class Device:
    """One value; each write is obeyed or not."""

    def __init__(self) -> None:
        self.value, self.writes, self.works = 0, 0, True

    def write(self, value: int) -> None:
        self.writes += 1
        if not self.works:
            raise BackendError("no")
        self.value = value


def group_of(*devices: Device, tell: Callable[..., None] = lambda kind, /, **fields: None) -> Group:
    levers = [Lever(str(n), each.write, lambda value, each=each: each.value == value) for n, each in enumerate(devices)]  # type: ignore[misc]
    return Group("low", levers, 10_000, 2_000, InlineCalls(), tell)


def turns(group: Group, start_ms: int, end_ms: int) -> None:
    for now in range(start_ms, end_ms, 2_000):
        group.probe(now)
        group.fold(now)
        group.push(now)
        group.fold(now)


def test_tries_are_spaced_one_two_four_eight_eight_seconds() -> None:
    device = Device()
    device.works = False
    at: list[int] = []
    group = group_of(device)
    group.order(1110, 0, "test")
    for now in range(0, 40_000, 500):
        before = device.writes
        group.push(now)
        group.fold(now)
        at += [now] * (device.writes - before)
    assert at == [0, 1_000, 3_000, 7_000, 15_000, 23_000, 31_000, 39_000]


def test_a_group_lands_without_the_server_that_cannot_be_reached_and_goes_on_trying() -> None:
    good, bad, told = Device(), Device(), list[str]()
    bad.works = False
    group = group_of(good, bad, tell=lambda kind, /, **fields: told.append(kind))
    group.order(1110, 0, "test")
    turns(group, 0, group.give_up_ms)
    assert (group.held, group.target) == (0, 1110)
    turns(group, group.give_up_ms, group.give_up_ms + 2_000)
    assert (group.held, group.target, group.failing) == (1110, -1, 1)
    assert "incomplete" in told
    bad.works = True
    turns(group, group.give_up_ms + 2_000, group.give_up_ms + 14_000)
    assert bad.value == 1110
    assert group.settled


def test_what_someone_else_changes_is_written_again() -> None:
    device, told = Device(), list[str]()
    group = group_of(device, tell=lambda kind, /, **fields: told.append(kind))
    group.order(1110, 0, "test")
    turns(group, 0, 10_000)
    device.value = 1410
    turns(group, 10_000, 80_000)
    assert device.value == 1110
    assert "drift" in told


def test_in_flight_no_other_order_is_taken_but_one_that_supersedes() -> None:
    group = group_of(Device())
    assert group.order(1275, 0, "policy")
    assert not group.order(1275, 1, "policy")
    assert not group.order(1110, 2, "policy")
    assert group.order(1110, 3, "dead man", supersede=True)
    assert group.heading == 1110


def test_a_policy_that_fails_is_the_dead_mans_case(tmp_path: Path) -> None:
    import numpy as np

    @policy(state=np.dtype([("asked", np.int64)]), seen=SEEN, command=COMMAND)
    def broken(seen: Any, mind: Any, command: Any) -> None:
        command[0]["low_mhz"] = 300
        raise ZeroDivisionError

    where, bmc, clock = busy_row()
    controller = controller_of(where, over_redfish(where, DirectTransport(bmc), clock), state=tmp_path, policy=broken)
    controller.run(22_000, Event())
    assert controller.dead_man
    assert {request.body["OperatingSpeedRangeMHz"]["SettingMax"] for request in bmc.requests} == {1110}


def test_the_dead_man_acts_after_his_time_and_not_before(tmp_path: Path) -> None:
    where, bmc, clock = busy_row(faults=[Fault("timeout", 31_000, 10**9, METER)], row_mw=lambda now: 1_000_000 + now)
    controller = controller_of(where, over_redfish(where, DirectTransport(bmc), clock), state=tmp_path)
    controller.run(48_000, Event())
    assert bmc.requests == []
    controller.run(50_000, Event())  # the newest reading was taken at 28 s
    assert {request.server for request in bmc.requests} == {"s0", "s1"}
    assert {request.body["OperatingSpeedRangeMHz"]["SettingMax"] for request in bmc.requests} == {1110}


# ---- files


def test_a_torn_line_of_the_audit_log_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audit = Audit(path, lambda: 5)
    audit("start", site="row")
    audit.close()
    path.write_bytes(path.read_bytes() + b'{"ms": 6, "ki')
    audit = Audit(path, lambda: 7)
    audit("stop")
    audit.close()
    lines = path.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in (lines[0], lines[2])] == ["start", "stop"]
    assert len(lines) == 3


def test_a_snapshot_is_read_as_it_was_written_and_junk_is_refused(tmp_path: Path) -> None:
    snapshot = Snapshot(tmp_path)
    assert snapshot.load() == {}
    limits = {"s0": Limits(0, (400_000, 350_000), (100_000, 100_000)), "s1": Limits(1305, (300_000,), (1,))}
    snapshot.save(limits)
    assert snapshot.load() == limits
    snapshot.path.write_text('{"schema": 1, "servers": {"s0": 3}}')
    with pytest.raises(InputError, match="not the limits that a controller noted"):
        snapshot.load()


def test_two_controllers_cannot_hold_one_folder(tmp_path: Path) -> None:
    Snapshot(tmp_path).hold()
    with pytest.raises(InputError, match="another controller"):
        Snapshot(tmp_path).hold()


def test_the_example_topology_is_valid() -> None:
    assert load_site(REPOSITORY / "deploy" / "row.yaml").budget_mw == 26_000_000


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": "26"}, "has no unit"),
        ({"redfish": {"user": "a", "password": "b"}}, "password"),
        ({"redfish": {"user": "a"}}, "user and password go together"),
        ({"telemetry": {"meter": {"url": "http://10.0.0.1/meter"}}}, "in the clear"),
        ({"telemetry": {"meter": {"url": "https://a:b@10.0.0.1/meter"}}}, "must not carry a password"),
        ({"dead_man": {"after": "3 s"}}, "any lost reading"),
        ({"servers": [{"name": "a", "priority": "high"}]}, "no server has low priority"),
        ({"servers": [{"name": "a", "priority": "low"}, {"name": "a", "priority": "low"}]}, "two servers are named"),
    ],
)
def test_a_wrong_topology_is_refused_with_what_would_be_right(
    change: dict[str, Any], says: str, tmp_path: Path
) -> None:
    document: dict[str, Any] = {
        "schema": 1,
        "name": "r",
        "budget": "2 kW",
        "servers": [{"name": "a", "priority": "low"}],
    }
    (tmp_path / "row.yaml").write_text(json.dumps(document | change))
    with pytest.raises(InputError, match=says):
        load_site(tmp_path / "row.yaml")


@pytest.mark.parametrize(
    ("parameters", "says"), [({"t1_ppm": 900_000}, "out of order"), ({"t3_ppm": 1}, "no parameter named")]
)
def test_wrong_parameters_of_the_policy_are_refused(parameters: dict[str, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        control(site(policy=parameters), duration_s=2)


# ---- check, NVML, the plant


def test_check_finds_what_stands_in_the_way() -> None:
    where, bmc, clock = busy_row()
    good = check(where, over_redfish(where, DirectTransport(bmc), clock))
    assert good.good
    assert good.telemetry_age_s == 2.0
    bmc.faults = [Fault("timeout", 0, 10**9, "s2"), Fault("frozen", 0, 10**9, METER)]
    bad = check(where, over_redfish(where, DirectTransport(bmc), clock))
    assert [finding.what for finding in bad.findings if not finding.good] == ["s2"]
    assert bmc.requests == []


def test_nvml_reads_the_instantaneous_power_and_falls_back_where_a_driver_lacks_it() -> None:
    clock = VirtualClock()
    plant = Plant(1, 2)
    for instant in (True, False):
        backend = NvmlBackend(FakeNvml(plant, 2, clock.now_ms, instant=instant))
        assert backend.get_instant_power_usage(0) == plant.gpu(0, 0).power_mw
    assert backend.clock_range_mhz(0) == (210, 1410)
    assert backend.get_power_management_limit_constraints(0) == (100_000, 400_000)


def test_without_permission_nothing_is_set_and_the_error_says_so() -> None:
    fake = FakeNvml(Plant(1, 1), 1, lambda: 0, permitted=False)
    with pytest.raises(BackendError, match="Insufficient Permissions"):
        NvmlBackend(fake).set_gpu_locked_clocks(0, 210, 1110)
    assert fake.plant.gpu(0, 0).lock_mhz == 0


def test_a_lost_gpu_counts_at_its_limit_and_forgets_its_lock() -> None:
    clock = VirtualClock()
    plant = Plant(2, 2)
    fake = FakeNvml(plant, 2, clock.now_ms)
    where = site(2, 2, meter=False)
    row = over_nvml(where, fake, clock)
    before = row.parts[0].measure().power_mw
    row.servers[0].lock(1110)
    fake.lost.add(1)
    assert row.parts[0].measure().power_mw == before - plant.gpu(0, 1).power_mw + 400_000
    with pytest.raises(BackendError, match="GPU is lost"):
        row.servers[0].holds()
    fake.lost.clear()
    assert row.servers[0].holds().lock_mhz is None


def test_the_fake_is_coupled_to_its_work() -> None:
    """A lock makes work draw less and last longer; a limit binds; both by the equations of the plant."""
    profile = GpuProfile()
    assert profile.power_mw(400_000, 1410) == 400_000
    assert profile.power_mw(400_000, 1110) == pytest.approx(322_000, rel=0.01)  # 80 % of the peak
    assert profile.power_mw(400_000, profile.clock_mhz(400_000, 0, 250_000)) == pytest.approx(250_000, abs=2)
    work = Workload(prefill_ms=(1_000, 1_000), decode_ms=(10_000, 10_000))
    free, locked = (Plant(1, 1, workload=work, load=lambda _: 1.0, seed=4) for _ in range(2))
    locked.command(0, 0, "lock_mhz", 705, 0)
    for plant in (free, locked):
        plant.advance(200_000)
    starts = [
        [ms for ms, mw in plant.steps if mw == max(power for _, power in plant.steps[1:])] for plant in (free, locked)
    ]
    cycles = [(moments[-1] - moments[0]) / (len(moments) - 1) for moments in starts]
    assert cycles[0] == pytest.approx(11_000)
    assert cycles[1] == pytest.approx(1_000 * (0.95 * 2 + 0.05) + 10_000 * (0.2 * 2 + 0.8))


def test_the_simulated_backend_is_the_same_twice() -> None:
    results = [control(site(budget="2.2 kW"), apply=True, duration_s=900, seed=3).to_json() for _ in range(2)]
    assert results[0] == results[1]
