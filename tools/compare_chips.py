"""Write the comparison of six networks on four chips into docs/models/npu-comparison.md, with a picture.

In:  networks of the zoo and one published detector (`make .cache/models/nudenet/320n.onnx`), chips of the catalogue.
Out: between the markers of the page, a table of latencies and a table of causes, every word of it from the figures of
the runs; docs/images/npu-comparison.svg.
Usage: python -m tools.compare_chips
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log10
from pathlib import Path

from armillary import npu
from armillary.hardware import load_chip
from armillary.npu import NpuResult
from armillary.report.numbers import quantity
from tools.error_tables import between

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "models" / "npu-comparison.md"
PICTURE = ROOT / "docs" / "images" / "npu-comparison.svg"
BEGIN, END = "<!-- tables, made by tools/compare_chips.py -->", "<!-- end of the tables -->"
DETECTOR = ROOT / ".cache" / "models" / "nudenet" / "320n.onnx"
CHIPS = ("coral-edge-tpu-usb", "intel-npu-2.7", "tpu-v1", "generic-array-16x16")
NOTABLE = 0.05  # share of the time from which a second cause is named


@dataclass(frozen=True, slots=True)
class Case:
    """A network of the comparison, and what it stands for."""

    what: str
    model: str | Path
    sizes: Mapping[str, int] = field(default_factory=dict)
    shape: Mapping[str, tuple[int, ...]] | None = None


CASES = (
    Case("CNN", "resnet50", {"resolution": 224}),
    Case("detector", DETECTOR, shape={"images": (1, 3, 320, 320)}),
    Case("U-Net", "unet"),
    Case("LSTM", "lstm"),
    Case("encoder", "bert_base"),
    Case("decoder", "llama2_7b_decode"),
)


def run(case: Case, chip: str) -> NpuResult:
    """Return the run of one network on one chip, in int8."""
    return npu.run(
        case.model,
        chip=chip,
        shape=case.shape,
        resolution=case.sizes.get("resolution"),
        sequence=case.sizes.get("sequence"),
    )


def share_of(result: NpuResult, *kinds: str) -> float:
    """Return the share of the latency in which tasks of `kinds` ran."""
    timeline = result.timeline
    known = [kind for kind in kinds if kind in timeline.kinds]
    return timeline.union_s(timeline.of_kind(*known)) / result.latency_s if known else 0.0


def moved_bytes(result: NpuResult) -> int:
    """Return the bytes that crossed DRAM, the memory of the weights and the host link."""
    return result.dram_bytes + result.weight_memory_bytes + result.host_link_bytes


def cause(result: NpuResult) -> str:
    """Return in one sentence what the time goes into, from the figures of the run."""
    first, *others = result.bounds
    parts = [f"{first.share:.0%} {_cause_of(first.what, result)}"]
    if others and others[0].share >= NOTABLE:
        parts.append(f"{others[0].share:.0%} {_cause_of(others[0].what, result)}")
    return "; ".join(parts)


def _cause_of(what: str, result: NpuResult) -> str:
    match what:
        case "array":
            # While it works: products over what its lanes could do in that time.
            used = result.mac_utilisation / max(share_of(result, "array"), 1e-9)
            return f"array, which fills {min(used, 1):.0%} of its lanes while it works"
        case "vector":
            return f"vector engine ({_largest(result, 'vector')})"
        case "host":
            reasons = Counter(fallback.reason for fallback in result.fallbacks)
            most, count = reasons.most_common(1)[0]
            return f"host: {len(result.fallbacks)} layers, {count} since {most}"
        case "layer cost":
            return f"cost of starting {len(result.layers)} layers"
        case "driver":
            return "driver, which submits the inference"
        case "weight memory":
            memory = load_chip(result.chip).weight_memory
            assert memory is not None  # it bounds this run
            return f"{what}: {quantity(result.weight_memory_bytes, 'B')} at {quantity(memory.rate.value, 'B/s')}"
        case _ if result.weight_memory_bytes:
            others = result.dram_bytes + result.host_link_bytes
            return f"{what}: {quantity(others, 'B')} at {quantity(result.memory_bytes_per_s, 'B/s')}"
        case _:
            rate = f"at {quantity(result.memory_bytes_per_s, 'B/s')}"
            streamed = result.parameter_bytes - result.cached_parameter_bytes
            weights = min(1.0, streamed / max(moved_bytes(result), 1))
            return f"{what}: {quantity(moved_bytes(result), 'B')} {rate}, {weights:.0%} of them weights"


def _largest(result: NpuResult, engine: str) -> str:
    """Return the kind of layer that `engine` works at for longest."""
    spent: Counter[str] = Counter()
    for layer in result.layers:
        if layer.engine == engine:
            spent[layer.op] += round((layer.end_s - layer.start_s) * 1e12)
    return "most of it " + spent.most_common(1)[0][0].replace("_", " ")


def tables(results: Mapping[tuple[str, str], NpuResult]) -> str:
    """Return the Markdown of both tables."""
    head = "| network | " + " | ".join(CHIPS) + " |"
    lines = [head, "|---" + "|---:" * len(CHIPS) + "|"]
    for case in CASES:
        cells = [quantity(results[case.what, chip].latency_s, "s") for chip in CHIPS]
        lines.append(f"| {case.what}: {results[case.what, CHIPS[0]].model} | " + " | ".join(cells) + " |")
    lines += ["", "![Latency of every network on every chip](../images/npu-comparison.svg)", ""]
    lines += [
        "| network | chip | latency | array used | on the host | on the vector engine | moved | the time goes into |"
    ]
    lines += ["|---|---|---:|---:|---:|---:|---:|---|"]
    for case in CASES:
        for chip in CHIPS:
            result = results[case.what, chip]
            cells = [
                case.what,
                chip,
                quantity(result.latency_s, "s"),
                f"{result.mac_utilisation:.1%}",
                f"{share_of(result, 'host'):.0%}",
                f"{share_of(result, 'vector'):.0%}",
                quantity(moved_bytes(result), "B"),
                cause(result),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(results: Mapping[tuple[str, str], NpuResult]) -> str:
    """Return a drawing of all latencies on a logarithmic scale, a row a network and a mark a chip."""
    values = [result.latency_s for result in results.values()]
    low, high = 10.0 ** int(log10(min(values)) - 1), 10.0 ** int(log10(max(values)) + 1)
    left, width, step, top = 90, 560, 34, 40
    colours = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e6c3a")

    def x(seconds: float) -> float:
        return left + width * log10(seconds / low) / log10(high / low)

    bottom = top + step * len(CASES)
    body = [
        f'<text x="{left + 150 * number}" y="16" fill="{colour}">● {chip}</text>'
        for number, (chip, colour) in enumerate(zip(CHIPS, colours, strict=True))
    ]
    for power in range(round(log10(low)), round(log10(high)) + 1):
        at = x(10.0**power)
        body.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 8}" y2="{bottom}" stroke="#ddd"/>')
        body.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{quantity(10.0**power, "s")}</text>')
    for row, case in enumerate(CASES):
        y = top + step * row + step / 2
        body.append(f'<text x="{left - 12}" y="{y + 4:.0f}" text-anchor="end">{case.what}</text>')
        body += [
            f'<circle cx="{x(results[case.what, chip].latency_s):.1f}" cy="{y:.0f}" r="6" fill="{colour}"/>'
            for chip, colour in zip(CHIPS, colours, strict=True)
        ]
    size = f'width="{left + width + 40}" height="{bottom + 30}"'
    style = 'font-family="sans-serif" font-size="12" style="background:#fff"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n' + "\n".join(body) + "\n</svg>\n"


def main() -> int:
    """Run everything and write page and picture."""
    if not DETECTOR.is_file():
        print(f"{DETECTOR} is missing: make {DETECTOR.relative_to(ROOT)}", file=sys.stderr)
        return 2
    results = {(case.what, chip): run(case, chip) for case in CASES for chip in CHIPS}
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), BEGIN, END, tables(results)), encoding="utf-8")
    PICTURE.write_text(picture(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
