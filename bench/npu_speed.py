"""What a designer waits for: a network on a chip, compiled, simulated and measured, and a hundred variants of a chip.

In:  networks and chips by name. Out: CPU milliseconds or seconds of `npu.run`, energy and power included, kernels and
catalogue warm; the peer is a yardstick of the machine: an event heap in plain Python, so that a ratio can be compared
between machines.
"""

from __future__ import annotations

import heapq

import numpy as np

from armillary.hardware import Chip, Quantity, load_chip
from bench.benchmark import Benchmark, Measured, Target
from bench.measure import cpu_s, medians_s

EVENTS = 10_000
VARIANTS = 100
SEED = 20
NETWORKS = {"resnet50": 60.0, "mobilenet_v2": 40.0}  # what a run should take at most, ms
CHIPS = {"": "coral-edge-tpu-usb", "_generic": "generic-array-16x16", "_intel": "intel-npu-2.7"}


def play_heap() -> None:
    """Push and pop events as a small simulator in plain Python does: 64 waiting, each calls for a later one."""
    calendar = [(tick, tick) for tick in range(64)]
    for event in range(EVENTS):
        tick, _ = heapq.heappop(calendar)
        heapq.heappush(calendar, (tick + 1 + event * 7919 % 101, event))


def run_ms(network: str, chip: str) -> Measured:
    """Median of 20 runs of `network` on `chip`, and of the yardstick."""
    from armillary import npu

    def run() -> None:
        assert npu.run(network, chip=chip).energy_j > 0.0

    ours, yardstick = medians_s(20, lambda: cpu_s(run), lambda: cpu_s(play_heap))
    return Measured(1e3 * ours, 1e3 * yardstick)


def varied(chip: Chip, draw: np.random.Generator) -> Chip:
    """Return `chip` with another clock, scratchpad, array, and memory."""
    side = int(draw.choice([8, 16, 32, 64]))
    granules = chip.array.granules.model_copy(update={"reduction": side, "outputs": side})
    rates = {"int8": side * side, "fp16": max(1, side * side // 2)}
    array = chip.array.model_copy(update={"granules": granules, "macs_per_cycle": rates})
    assert chip.dram is not None
    return chip.model_copy(
        update={
            "name": f"{chip.name}-{side}",
            "clock": Quantity(float(draw.uniform(0.25e9, 2e9))),
            "scratchpad": chip.scratchpad.model_copy(update={"size": Quantity(float(draw.integers(256, 4096) << 10))}),
            "array": array,
            "dram": chip.dram.model_copy(update={"rate": Quantity(float(draw.uniform(1e9, 16e9)))}),
        }
    )


def variants_s() -> Measured:
    """One hundred chips, one run each, nothing shared between the runs."""
    from armillary import npu

    draw = np.random.default_rng(SEED)
    chips = [varied(load_chip("generic-array-16x16"), draw) for _ in range(VARIANTS)]

    def run() -> None:
        latencies = {npu.run("mobilenet_v2", chip=chip).latency_s for chip in chips}
        assert len(latencies) == VARIANTS, "two chips take the same time"

    ours, yardstick = medians_s(1, lambda: cpu_s(run), lambda: cpu_s(play_heap))
    return Measured(ours, yardstick)


YARDSTICK = f"heapq: {EVENTS:,} events in plain Python"
BENCHMARKS = (
    *(
        Benchmark(
            f"npu.{network}{suffix}",
            "ms",
            lambda network=network, chip=chip: run_ms(network, chip),  # type: ignore[misc]
            f"Python a layer in the passes, columns of the task graph ({chip})",
            Target("value", bound_ms, at_most=True),
            YARDSTICK,
        )
        for network, bound_ms in NETWORKS.items()
        for suffix, chip in CHIPS.items()
    ),
    Benchmark(
        "npu.variants100",
        "s",
        variants_s,
        "as npu.mobilenet_v2_generic, a hundred times",
        Target("value", 6.0, at_most=True),
        YARDSTICK,
    ),
)
