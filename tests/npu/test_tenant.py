"""The text of a tenant: what it says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.errors import InputError
from armillary.npu import Tenant, parse_tenant


def test_a_text_names_the_network_and_its_demands() -> None:
    text = "resnet50:priority=2,period-ms=40,offset_ms=3,deadline-ms=33.5,share=0.25,resolution=299,name=eyes"
    tenant = parse_tenant(text)
    assert (tenant.model, tenant.priority, tenant.name, tenant.resolution) == ("resnet50", 2, "eyes", 299)
    assert (tenant.period_s, tenant.offset_s, tenant.deadline_s, tenant.share) == pytest.approx(
        (0.04, 3e-3, 0.0335, 0.25)
    )
    assert parse_tenant("vgg16") == Tenant("vgg16")
    assert parse_tenant("vgg16:at-ms=0/2.5/9").at_s == pytest.approx((0, 2.5e-3, 9e-3))


@given(
    st.integers(0, 1000), st.none() | st.integers(1, 10**6), st.none() | st.integers(1, 10**4),
    st.none() | st.integers(1, 999), st.none() | st.integers(1, 100),
)  # fmt: skip
def test_a_tenant_written_is_read_again(
    priority: int, period_us: int | None, deadline_us: int | None, share: int | None, count: int | None
) -> None:
    tenant = Tenant(
        "mobilenet_v1",
        priority=priority,
        period_s=None if period_us is None else period_us * 1e-6,
        deadline_s=None if deadline_us is None else deadline_us * 1e-6,
        share=None if share is None else share / 1000,
        count=count,
    )
    read = parse_tenant(tenant.text())
    assert (read.priority, read.share, read.count) == (tenant.priority, tenant.share, tenant.count)
    assert (read.period_s or 0.0) == pytest.approx(tenant.period_s or 0.0, rel=1e-9)
    assert (read.deadline_s or 0.0) == pytest.approx(tenant.deadline_s or 0.0, rel=1e-9)


def test_a_file_may_have_a_colon_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "odd:name.onnx"
    path.write_bytes(b"")
    assert parse_tenant(str(path)).model == str(path)
    assert parse_tenant(f"{path}:priority=3") == Tenant(str(path), priority=3)


def test_arrivals_fill_the_run_and_no_more() -> None:
    """ceil((seconds - offset) / period) of them, the last one before the end; a count is kept whatever the run."""
    assert Tenant("a", period_s=0.01).arrivals_s(0.1) == pytest.approx([0.01 * k for k in range(10)])
    assert Tenant("a", period_s=0.03, offset_s=0.02).arrivals_s(0.1) == pytest.approx([0.02, 0.05, 0.08])
    assert len(Tenant("a", period_s=0.01, count=3).arrivals_s(1.0)) == 3
    assert Tenant("a", count=3, offset_s=0.5).arrivals_s(1.0) == (0.5,) * 3
    assert Tenant("a").arrivals_s(1.0) == (0.0,)
    assert Tenant("a", at_s=(0.0, 7.0)).arrivals_s(1.0) == (0.0, 7.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no network"),
        (":priority=1", "names no network"),
        ("vgg16:priorty=1", "no tenant option named 'priorty'; did you mean priority"),
        ("vgg16:priority", "priority has no value; write for example"),
        ("vgg16:priority=", "priority has no value"),
        ("vgg16:priority=high", "priority is 'high', not a whole number"),
        ("vgg16:priority=1.5", "not a whole number"),
        ("vgg16:priority=-1", "0 \\(most urgent\\) to 1000"),
        ("vgg16:period-ms=fast", "not a number"),
        ("vgg16:period-ms=0", "a period of 0.0 s; use a time above 0"),
        ("vgg16:period-ms=nan", "a period of nan s"),
        ("vgg16:offset-ms=inf", "an offset of inf s"),
        ("vgg16:at-ms=5/2", "at least 0 and ascending"),
        ("vgg16:at-ms=5;2", "not times such as 0/5/12"),
        ("vgg16:at-ms=1,period-ms=2", "give the times alone"),
        ("vgg16:count=0", "0 inferences"),
        ("vgg16:share=1.5", "above 0, at most 1"),
        ("vgg16:share=0.2,share=0.3", "share is given twice"),
    ],
)
def test_a_wrong_text_is_refused_with_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_tenant(text)


def test_an_endless_stream_is_refused() -> None:
    with pytest.raises(InputError, match="use a longer period or a shorter run"):
        Tenant("a", period_s=1e-6).arrivals_s(1.0)
