"""Laws of the cost functions: limits that they must meet, and what may not get faster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from armillary.costs import (
    Fabric,
    all_reduce_s,
    attention_flop,
    attention_s,
    cache_read_s,
    device_of,
    fabric_of,
    gemm_bytes,
    gemm_compute_s,
    gemm_flop,
    gemm_s,
)
from armillary.errors import InputError
from armillary.hardware import load_gpu

A100 = load_gpu("a100-80gb")
DEVICE = device_of(A100, "fp16")
sizes = st.integers(1, 20_000)


@given(sizes, sizes, sizes)
def test_a_product_is_never_faster_than_its_roofline(m: int, n: int, k: int) -> None:
    least = max(
        float(gemm_flop(m, n, k)) / DEVICE.flop_per_s, float(gemm_bytes(m, n, k, 2)) / DEVICE.memory_bytes_per_s
    )
    assert gemm_s(m, n, k, DEVICE) >= least


def test_a_large_product_reaches_the_fitted_efficiency() -> None:
    """Tails vanish as products grow: FLOP / (peak x efficiency)."""
    m = 2**17
    expected = float(gemm_flop(m, m, m)) / (DEVICE.flop_per_s * DEVICE.gemm_efficiency)
    assert float(gemm_s(m, m, m, DEVICE)) == pytest.approx(expected, rel=1e-3)


def test_a_product_with_one_row_reads_its_weights() -> None:
    assert float(gemm_s(1, 8192, 8192, DEVICE)) == pytest.approx(2 * 8192**2 / DEVICE.read_bytes_per_s, rel=1e-3)


@given(sizes, sizes, sizes, st.integers(1, 3))
def test_more_work_takes_no_less_time(m: int, n: int, k: int, factor: int) -> None:
    base = gemm_compute_s(m, n, k, DEVICE)
    for grown in ((m * factor, n, k), (m, n * factor, k), (m, n, k * factor)):
        assert gemm_compute_s(*grown, DEVICE) >= base * (1 - 1e-12)


def test_attention_is_quadratic_and_halves_where_tokens_look_back_only() -> None:
    prompt = np.array([128, 256])
    square = attention_flop(prompt, 128, whole_square=True)
    assert square[1] == 4 * square[0]
    assert (attention_flop(prompt, 128, whole_square=False) == square / 2).all()


def test_heads_take_units_in_rounds() -> None:
    """One (sequence, head) a unit: as long as units are free, more heads take no more time."""
    few = attention_s(1, 8, 1024, 128, DEVICE, whole_square=False)
    assert attention_s(2, 8, 1024, 128, DEVICE, whole_square=False) == few
    full = attention_s(1, DEVICE.units, 1024, 128, DEVICE, whole_square=False)
    assert full == few
    assert attention_s(2, DEVICE.units, 1024, 128, DEVICE, whole_square=False) == 2 * full


def test_an_all_reduce_moves_twice_its_message_less_one_share() -> None:
    """2 (d - 1) steps of bytes / d; nothing on one device."""
    fabric = Fabric(8, 100e9, 5e-6)
    assert float(all_reduce_s(0, fabric)) == pytest.approx(14 * 5e-6)
    assert float(all_reduce_s(1e9, replace(fabric, step_s=0.0))) == pytest.approx(2 * 7 / 8 * 1e9 / 100e9)
    assert float(all_reduce_s(1e9, replace(fabric, devices=1))) == 0.0


def test_a_cache_is_read_at_the_reached_rate() -> None:
    assert float(cache_read_s(DEVICE.read_bytes_per_s, DEVICE)) == 1.0


def test_what_a_gpu_does_not_have_is_refused() -> None:
    with pytest.raises(InputError, match="does not compute in 'fp8'; one of fp32, bf16, fp16, int8"):
        device_of(A100, "fp8")
    with pytest.raises(InputError, match="9 of a100-80gb in one server; 1 to 8"):
        fabric_of(A100, 9)
