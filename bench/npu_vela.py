"""The networks of MLPerf Tiny, and others, on Ethos-U55: Armillary beside Vela.

In:  the same layers for both: our graph, and an int8 TFLite file that is written from it for Vela.
Out: the median and the largest |ours / Vela's - 1| of latency, and the CPU time of both tools, warm, all networks.
Weights are drawn (Laplace); Vela stores them compressed, and ours is told how far. No softmax: the graphs have none.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from armillary import npu
from armillary.hardware import Chip, Quantity, chip_names, load_chip
from armillary.workload import Graph, zoo
from bench.benchmark import Benchmark, Measured, Skipped, Target
from bench.measure import cpu_s, medians_s
from bench.peers import vela
from bench.peers.tflite_network import tflite_of

CHIP = "ethos-u55-128"  # named alike in the catalogue and in Vela
KIN = ("ethos-u55-32", "ethos-u55-64", "ethos-u55-256")
TINY = ("mlperf_tiny_kws", "mlperf_tiny_vww", "mlperf_tiny_ic", "mlperf_tiny_ad", "mlperf_tiny_sww")
# Networks that are no target, larger ones among them: name, width, resolution.
OTHERS = (
    ("mobilenet_v1", 0.25, 128),
    ("mobilenet_v1", 0.5, 160),
    ("mobilenet_v2", 0.35, 96),
    ("mobilenet_v2", 1.0, 224),
    ("squeezenet", 1.0, 128),
)
SEED = 20


def tiny() -> list[Graph]:
    return [zoo.build(name) for name in TINY]


def others() -> list[Graph]:
    return [zoo.build(name, width=width, resolution=resolution) for name, width, resolution in OTHERS]


def known(*chips: str) -> list[str]:
    """Those of `chips` that the catalogue has.

    Raises:
        Skipped: it has none.
    """
    found = [chip for chip in chips if chip in chip_names()]
    if not found:
        raise Skipped(f"the catalogue has no {', '.join(chips)}")
    return found


def pairs(graphs: Sequence[Graph]) -> list[tuple[Graph, bytes]]:
    """The networks as graphs and as files.

    Raises:
        Skipped: Vela is not installed.
    """
    if not vela.is_installed():
        raise Skipped("Vela is not installed: pip install 'armillary[bench]'")
    return [(graph, tflite_of(graph, weights="laplace", seed=SEED)) for graph in graphs]


def storing_as(chip: Chip, estimate: vela.Estimate) -> Chip:
    """Return `chip` with weights that compress as Vela compressed them."""
    memory = chip.weight_memory
    if memory is None:
        return chip
    share = Quantity(min(1.0, estimate.encoded_bytes / estimate.weights))
    return chip.model_copy(update={"weight_memory": memory.model_copy(update={"compression": share})})


def differences(graphs: Sequence[Graph], chip: str = CHIP) -> list[float]:
    """Return ours / Vela's - 1 of latency, network by network; `chip` is an accelerator of Vela, too."""
    device, found = load_chip(*known(chip)), []
    for graph, file in pairs(graphs):
        estimate = vela.estimate(file, accelerator=chip)
        ours = npu.run(graph, chip=storing_as(device, estimate))
        found.append(ours.latency_s / estimate.latency_s - 1.0)
    return found


def of_kin() -> list[float]:
    """Differences on other sizes of the chip, as far as the catalogue has them."""
    return [one for chip in known(*KIN) for one in differences(tiny(), chip)]


def both_s() -> Measured:
    """CPU seconds of all networks, ours and Vela's, both in this process and warm."""
    both, device = pairs(tiny()), load_chip(*known(CHIP))
    ours, peer = medians_s(
        5,
        lambda: sum(cpu_s(lambda graph=graph: npu.run(graph, chip=device)) for graph, _ in both),  # type: ignore[misc]
        lambda: sum(cpu_s(lambda file=file: vela.estimate(file)) for _, file in both),  # type: ignore[misc]
    )
    return Measured(ours, peer)


PEER = "Vela 5.2, in this process"
BENCHMARKS = (
    Benchmark(
        "npu.vela",
        "median error",
        lambda: Measured(statistics.median(abs(one) for one in differences(tiny()))),
        "how operations fill the array; what of them overlaps",
        Target("value", 0.15, at_most=True),
    ),
    Benchmark(
        "npu.vela_worst",
        "largest error",
        lambda: Measured(max(abs(one) for one in differences(tiny()))),
        "as npu.vela",
        None,
    ),
    Benchmark(
        "npu.vela_others",
        "median error",
        lambda: Measured(statistics.median(abs(one) for one in differences(others()))),
        "as npu.vela, and how often larger layers read their weights",
        None,
    ),
    Benchmark(
        "npu.vela_kin",
        "median error",
        lambda: Measured(statistics.median(abs(one) for one in of_kin())),
        "as npu.vela",
        None,
    ),
    Benchmark(
        "npu.vela_time",
        "s",
        both_s,
        "Python a layer in the passes; Vela encodes weights and writes a command stream, in C++",
        None,
        PEER,
    ),
)
