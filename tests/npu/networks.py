"""Small networks and chips that the tests of this room share."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from armillary import hardware
from armillary.hardware import Chip
from armillary.store import parse_model
from armillary.workload import Activation, Graph, Operator, OpKind, Tensor
from armillary.workload.builder import Feature, Network


def edited(name: str, *changes: tuple[str, str]) -> Chip:
    """The catalogue's chip `name` with each (old, new) text of its file replaced; `old` must stand in it once."""
    text = hardware.chip_text(name)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return parse_model(text, Chip, source=f"{name}.yaml")


def generic(*changes: tuple[str, str]) -> Chip:
    return edited("generic-array-16x16", *changes)


def one_conv(*, channels: int = 64, outputs: int = 64, size: int = 28, kernel: int = 3) -> Graph:
    net = Network("one-conv")
    x = net.input("image", (1, channels, size, size)).conv_bn("conv", outputs, kernel)
    return net.graph(x)


def branches() -> Graph:
    """Two branches that meet in a concatenation and an addition, with a pool and a dense layer."""
    net = Network("branches")
    x = net.input("image", (1, 16, 24, 24))
    left, right = x.conv_bn("left", 24, 3), x.conv_bn("right", 24, 1)
    joined = left.concat("join", right)
    y = joined.conv_bn("mix", 48, 1).add("sum", joined).max_pool("pool", 3, stride=2)
    return net.graph(y.conv_bn("narrow", 32, 1).global_pool("mean"))


def with_unknown_operator() -> Graph:
    """A convolution, an operator that no chip has, and another convolution."""
    tensors = {
        "x": Tensor("x", (1, 16, 8, 8), "int8"),
        "w": Tensor("w", (16, 16, 1, 1), "int8", constant=True),
        "a": Tensor("a", (1, 16, 8, 8), "int8"),
        "b": Tensor("b", (1, 16, 8, 8), "int8"),
        "c": Tensor("c", (1, 16, 8, 8), "int8"),
    }
    operators = (
        Operator("before", OpKind.CONV, ("x", "w"), ("a",)),
        Operator("strange", OpKind.UNKNOWN, ("a",), ("b",), source_op="NonMaxSuppression"),
        Operator("after", OpKind.CONV, ("b", "w"), ("c",)),
    )
    return Graph("cut", tensors, operators, ("x",), ("c",))


@st.composite
def graphs(draw: Any) -> Graph:
    """Random convolutional networks: chains with branches, depthwise layers, pools, adds, concatenations."""
    net = Network("random")
    x = net.input(
        "image", (draw(st.integers(1, 2)), draw(st.sampled_from([3, 16, 40])), 16, draw(st.sampled_from([9, 16])))
    )
    maps: list[Feature] = [x]
    for number in range(draw(st.integers(1, 7))):
        x = draw(st.sampled_from(maps[-3:]))
        kind = draw(st.sampled_from(["conv", "depthwise", "pool", "add", "concat", "swish"]))
        name = f"{kind}{number}"
        match kind:
            case "conv":
                x = x.conv_bn(
                    name,
                    draw(st.sampled_from([8, 33, 96])),
                    draw(st.sampled_from([1, 3])),
                    stride=draw(st.sampled_from([1, 1, 2])),
                )
            case "depthwise" if x.channels > 1:
                x = x.conv_bn(name, x.channels, 3, groups=x.channels)
            case "pool" if min(x.shape[2:]) >= 2:
                x = x.max_pool(name, 3, stride=draw(st.sampled_from([1, 2])))
            case "add":
                x = x.add(name, x.conv_bn(f"{name}/other", x.channels, 1))
            case "concat":
                x = x.concat(name, x.conv_bn(f"{name}/other", 8, 1))
            case _:
                x = x.activation(name, Activation.SWISH)
        maps.append(x)
    return net.graph(maps[-1])


@st.composite
def chips(draw: Any) -> Chip:
    """Random chips: with DRAM or a host link or both, with and without a cache, one to three DMA engines."""
    size = draw(st.sampled_from(["48 KiB", "128 KiB", "2 MiB"]))
    shares = draw(st.booleans())
    lines = [("size: 512 KiB", f"size: {size}")]
    dram = draw(st.sampled_from(["both", "dram", "link"]))
    dram_text = "dram:\n  rate: 4 GB/s\n  latency: 100 ns\n  dma_engines: 2\n"
    link_text = "host_link:\n  rate: 200 MB/s\n  latency: 3 us\n"
    engines = draw(st.integers(1, 3))
    new = {"both": dram_text + link_text, "dram": dram_text, "link": link_text}[dram].replace(
        "dma_engines: 2", f"dma_engines: {engines}"
    )
    lines.append((dram_text, new))
    if draw(st.booleans()):
        lines.append(
            (
                "dram:\n" if dram != "link" else "host_link:\n",
                f"parameter_cache: {{size: {draw(st.sampled_from(['8 KiB', '40 KiB']))}}}\n"
                + ("dram:\n" if dram != "link" else "host_link:\n"),
            )
        )
    if shares:
        lines.append(("vector:\n", "vector:\n  shares_array: true\n"))
    if draw(st.booleans()):
        lines.append((", swish,", ","))
    return generic(*lines)
