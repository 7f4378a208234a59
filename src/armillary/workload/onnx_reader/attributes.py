"""Attributes of ONNX nodes and the sliding windows that they describe.

In:  a node, sizes of its kernel, input and output. Out: integers, and a `Window` whose pads account for the output
exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

from onnx import NodeProto

from armillary.workload.graph import Window


def integer(node: NodeProto, name: str, default: int) -> int:
    """Return an integer attribute."""
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def integers(node: NodeProto, name: str) -> tuple[int, ...]:
    """Return a list attribute, empty if absent."""
    return next((tuple(attribute.ints) for attribute in node.attribute if attribute.name == name), ())


def real(node: NodeProto, name: str) -> float | None:
    """Return a float attribute, None if absent."""
    return next((float(attribute.f) for attribute in node.attribute if attribute.name == name), None)


def text(node: NodeProto, name: str, default: str) -> str:
    """Return a string attribute."""
    found = next((attribute.s for attribute in node.attribute if attribute.name == name), None)
    return default if found is None else found.decode("utf-8", "replace")


def window(node: NodeProto, kernel: Sequence[int], size: Sequence[int], out: Sequence[int]) -> Window:
    """Return the window over the last one or two axes; one axis becomes a window of height 1.

    Explicit pads and `auto_pad` end in the same record: the pad at the end is what the last window needs, which is also
    right for `ceil_mode`, where it exceeds the attribute.
    """
    axes = len(kernel)
    strides = integers(node, "strides") or (1,) * axes
    dilations = integers(node, "dilations") or (1,) * axes
    pads = integers(node, "pads") or (0,) * (2 * axes)
    mode = text(node, "auto_pad", "NOTSET")
    begins, ends = [], []
    for axis in range(axes):
        span = (out[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        total = span - size[axis]
        if mode in ("SAME_UPPER", "SAME_LOWER"):
            total = max(total, 0)
            begin = total // 2 if mode == "SAME_UPPER" else total - total // 2
            end = total - begin
        else:
            begin = pads[axis] if mode == "NOTSET" else 0
            end = max(pads[axis + axes] if mode == "NOTSET" else 0, total - begin)
        begins.append(begin)
        ends.append(end)
    lead = 2 - axes
    return Window(
        (*(1,) * lead, *kernel)[:2],  # type: ignore[arg-type]
        (*(1,) * lead, *strides)[:2],  # type: ignore[arg-type]
        (*(0,) * lead, *begins, *(0,) * lead, *ends)[:4],  # type: ignore[arg-type]
        (*(1,) * lead, *dilations)[:2],  # type: ignore[arg-type]
    )
