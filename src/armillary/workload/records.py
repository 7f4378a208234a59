"""What one ring tells the next about a piece of work, as frozen records.

In:  figures that a system measured on its timeline.
Out: `ServiceTime` (how long one piece of work takes and how often it can be repeated: queues and cold starts need it)
and `ActivityProfile` (what the device did meanwhile: power models need it). A system's result fills them; `scenario`
or the command line hands them on. Systems never read each other's results.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from armillary.errors import InputError


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Time that `device` needs to serve `batch` items of `work`.

    latency_s: from the arrival of a batch at an idle device to its last output.
    period_s: between the ends of consecutive batches when there is always another one; at most `latency_s`.

    Raises:
        InputError: a time is not positive and finite, the period exceeds the latency, or the batch is empty.
    """

    work: str
    device: str
    batch: int
    latency_s: float
    period_s: float

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise InputError(
                f"batch is {self.batch}", where=f"service time of {self.work!r}", hint="it must be at least 1"
            )
        if not (isfinite(self.latency_s) and 0.0 < self.period_s <= self.latency_s):
            raise InputError(
                f"latency {self.latency_s} s and period {self.period_s} s", where=f"service time of {self.work!r}",
                hint="0 < period <= latency must hold",
            )  # fmt: skip

    @property
    def throughput_per_s(self) -> float:
        """Items a second when batches follow each other without a gap."""
        return self.batch / self.period_s


@dataclass(frozen=True, slots=True)
class ActivityProfile:
    """What `device` did during one run of `work`: the shares are of `duration_s`, each in 0..1, and may overlap.

    duration_s: simulated time of the run.
    energy_j: all energy of the device over the run, idle power included.
    peak_power_w: largest power on the power-versus-time trace.
    compute_share: time in which a compute engine worked.
    memory_share: time in which off-chip memory moved bytes.
    link_share: time in which the host link moved bytes.

    Raises:
        InputError: the duration is not positive, energy is negative, the peak lies below the mean, or a share leaves
            0..1.
    """

    work: str
    device: str
    duration_s: float
    energy_j: float
    peak_power_w: float
    compute_share: float
    memory_share: float
    link_share: float

    def __post_init__(self) -> None:
        where = f"activity of {self.work!r}"
        if not (isfinite(self.duration_s) and self.duration_s > 0.0):
            raise InputError(f"duration {self.duration_s} s is not positive", where=where)
        if not (isfinite(self.energy_j) and self.energy_j >= 0.0):
            raise InputError(f"energy {self.energy_j} J is negative or not finite", where=where)
        # One part in 1e9 of slack: mean and peak are sums of the same terms in different orders.
        if not (isfinite(self.peak_power_w) and self.peak_power_w >= self.mean_power_w * (1.0 - 1e-9)):
            raise InputError(
                f"peak power {self.peak_power_w} W lies below the mean, {self.mean_power_w} W", where=where
            )
        for name in ("compute_share", "memory_share", "link_share"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise InputError(f"{name} is {share}", where=where, hint="a share lies in 0..1")

    @property
    def mean_power_w(self) -> float:
        """Energy over duration, W."""
        return self.energy_j / self.duration_s
