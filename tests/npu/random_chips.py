"""Random chips, from a few KiB of scratchpad to megabytes, for laws that hold whatever the chip.

In:  hypothesis. Out: `random_chips()`, a strategy of `Chip`.
With DRAM, a host link or both; one to four DMA engines; with and without a parameter cache; the vector engine apart
or part of the array; one to six tiles; operators and activations missing here and there; costs of zero. Some have
few barriers, a control processor, weights that run ahead, aligned buffers, or a memory for their weights alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from armillary.hardware import Chip

Draw = Callable[[Any], Any]
KIB = 1024
SIZES_KIB = (4, 12, 48, 128, 512, 2048, 8192)
ON_THE_ARRAY = ("conv", "depthwise", "conv_transpose", "gemm", "matmul", "recurrent")
ON_THE_VECTOR_ENGINE = (
    "max_pool", "avg_pool", "global_pool", "add", "mul", "elementwise", "activation", "batch_norm", "norm", "softmax",
    "reduce", "resize", "concat", "slice", "transpose", "view", "pad", "gather", "quantize",
)  # fmt: skip
ACTIVATIONS = ("relu", "relu6", "leaky_relu", "clip", "sigmoid", "tanh", "swish", "hard_swish", "gelu", "exp")


@st.composite
def random_chips(draw: Draw, sizes_kib: tuple[int, ...] = SIZES_KIB) -> Chip:
    """Return a chip that the schema allows, with one of these sizes of the scratchpad."""
    size = draw(st.sampled_from(sizes_kib)) * KIB
    memories = draw(st.sampled_from([("dram",), ("host_link",), ("dram", "host_link")]))
    data: dict[str, Any] = {
        "schema": 1,
        "name": "random-chip",
        "summary": "A chip of chance",
        "clock": draw(st.sampled_from(["100 MHz", "1 GHz"])),
        "array": _array(draw),
        "vector": _vector(draw),
        "control": _control(draw),
        "scratchpad": {"size": f"{size} B", "alignment": draw(st.sampled_from([1, 1, 16, 64])) if size >= 4096 else 1},
        "host": {
            "rate": draw(st.sampled_from(["1 GOP/s", "100 GOP/s"])),
            "memory_rate": "2 GB/s",
            "call_cost": draw(st.sampled_from(["0 s", "20 us"])),
        },
        "energy": _energy(draw),
        "tiles": draw(st.sampled_from([1, 1, 2, 3, 4, 6])),
    }
    if draw(st.integers(0, 3)) == 0:
        data["weight_memory"] = _weight_memory(draw, size)
    if draw(st.booleans()) and "buffer" not in data.get("weight_memory", {}):
        data["parameter_cache"] = {"size": f"{size // draw(st.sampled_from([1, 2, 10]))} B"}
    if "dram" in memories:
        data["dram"] = _dram(draw)
    if "host_link" in memories:
        data["host_link"] = {"rate": draw(st.sampled_from(["20 MB/s", "500 MB/s"])), "latency": "3 us"}
    return Chip.model_validate(data)


def _control(draw: Draw) -> dict[str, Any]:
    control: dict[str, Any] = {
        "layer_cost": draw(st.sampled_from(["0 s", "200 ns", "10 us"])),
        "prefetch": draw(st.sampled_from([1, 1, 3, 64])),
        "issue_cost": draw(st.sampled_from(["0 s", "0 s", "50 ns", "2 us"])),
    }
    if draw(st.booleans()):
        control["barriers"] = draw(st.sampled_from([2, 3, 8, 64]))
    if draw(st.booleans()):
        control["queue_entries"] = draw(st.sampled_from([1, 2, 16]))
    return control


def _weight_memory(draw: Draw, scratchpad_bytes: int) -> dict[str, Any]:
    memory: dict[str, Any] = {
        "rate": draw(st.sampled_from(["20 MB/s", "4 GB/s"])),
        "latency": draw(st.sampled_from(["0 s", "1 us"])),
        "compression": draw(st.sampled_from([1.0, 0.6])),
        "streams": draw(st.booleans()),
    }
    if draw(st.booleans()):
        memory["buffer"] = f"{max(1024, scratchpad_bytes // 4)} B"
    return memory


def _array(draw: Draw) -> dict[str, Any]:
    reduction, outputs = draw(st.sampled_from([1, 8, 16, 64])), draw(st.sampled_from([1, 16, 64]))
    lanes = reduction * outputs
    array: dict[str, Any] = {
        "macs_per_cycle": {"int8": lanes, "fp16": max(1, lanes // 2)},
        "granules": {"reduction": reduction, "outputs": outputs, "positions": draw(st.sampled_from([1, 16, 100]))},
        "operators": _most_of(draw, ON_THE_ARRAY),
        "activations": draw(st.sampled_from([(), ACTIVATIONS[:4], ACTIVATIONS])),
    }
    if draw(st.booleans()):
        array["depthwise_macs_per_cycle"] = {"int8": outputs, "fp16": outputs}
    return array


def _vector(draw: Draw) -> dict[str, Any]:
    return {
        "elements_per_cycle": {"int8": draw(st.sampled_from([1, 16, 128])), "fp16": draw(st.sampled_from([1, 8]))},
        "operators": _most_of(draw, ON_THE_VECTOR_ENGINE),
        "activations": _most_of(draw, ACTIVATIONS),
        "shares_array": draw(st.booleans()),
    }


def _dram(draw: Draw) -> dict[str, Any]:
    dram: dict[str, Any] = {
        "rate": draw(st.sampled_from(["200 MB/s", "4 GB/s", "60 GB/s"])),
        "latency": draw(st.sampled_from(["0 s", "100 ns", "1 us"])),
        "dma_engines": draw(st.integers(1, 4)),
        "either_way": draw(st.booleans()),
    }
    if draw(st.booleans()):
        dram["engine_rate"] = draw(st.sampled_from(["100 MB/s", "2 GB/s"]))
    return dram


def _energy(draw: Draw) -> dict[str, Any]:
    return {
        "mac": {"int8": "0.2 pJ", "fp16": "1.5 pJ"},
        "vector_element": "0.5 pJ",
        "scratchpad": "2.5 pJ/B",
        "dram": "160 pJ/B",
        "host_link": "50 pJ/B",
        "weight_memory": "90 pJ/B",
        "idle": draw(st.sampled_from(["0 W", "50 mW"])),
    }


def _most_of(draw: Draw, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return `names`, half of the time without one or two of them."""
    missing = draw(st.sets(st.sampled_from(names), max_size=2)) if draw(st.booleans()) else set()
    return tuple(name for name in names if name not in missing)
