"""`armillary power profile` on a chip of the NPU ring: two runs there, handed on as activity profiles.

In:  a network with a prefill and a decode form, a chip, sizes. Out: `power.DeviceProfile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from armillary.errors import InputError, canonical_name

if TYPE_CHECKING:
    from armillary.power import DeviceProfile

DECODE = "_decode"


def is_chip(name: str) -> bool:
    """True if `name` is a chip of the catalogue."""
    from armillary.hardware import chip_names

    return canonical_name(name) in {canonical_name(known) for known in chip_names()}


def profile_on_chip(
    model: str, chip: str, *, prompt: int, output: int, batch: int, dtype: str, clock_mhz: float | None, seed: int
) -> DeviceProfile:
    """Play the prompt and a decode step in the middle of the answer on `chip`.

    Raises:
        InputError: a network without a decode form (lists those that have one), or as `npu.run`.
    """
    from armillary import npu, power
    from armillary.workload import zoo

    names = zoo.names()
    able = [name for name in names if f"{name}{DECODE}" in names]
    chosen = next((name for name in able if canonical_name(name) == canonical_name(model)), None)
    if chosen is None:
        raise InputError(f"{model!r} has no decode form on NPUs", where="--model", hint=f"networks: {', '.join(able)}")
    middle = prompt + output // 2
    prefill = npu.run(chosen, chip=chip, dtype=dtype, batch=batch, sequence=prompt, clock_mhz=clock_mhz)
    step = npu.run(f"{chosen}{DECODE}", chip=chip, dtype=dtype, batch=batch, sequence=middle, clock_mhz=clock_mhz)
    return power.profile_of(
        prefill.activity_profile(),
        step.activity_profile(),
        prompt=prompt,
        output=output,
        batch=batch,
        inputs=dict(prefill.inputs),
        seed=seed,
    )
