"""The three forms of operator laws as equations over arrays: dense, windowed, elementwise.

In:  `Shapes` (arrays of shape (rows,), elements) and a law of a chip file.
Out: cycles of one operator on one tile, its data in the scratchpad, shape (rows,).
Fill: a dimension x counts as x + f (G ceil(x / G) - x), G its granule and f the fitted share that the padding costs.
Granules: the array covers 4 x 4 positions at once; 32 bytes of channels are one word of the scratchpad, twice 16 B.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np

from armillary.hardware import DenseLaw, ElementwiseLaw, WindowedLaw
from armillary.npu.geometry import FloatArray, IntArray

POSITIONS = 4  # of the array along each side
WORKLOAD_POSITIONS = 8  # along each side of the smallest mapping below
CHANNEL_BYTES = 32
ELEMENTWISE_CHANNELS = 64
FEW_INPUTS = 16  # input channels below which the array packs an image
# (width, height, output channels) that one pass over inputs and weights covers: VPUNN's modes 16x16, 8x16, 4x16.
MAPPINGS = ((16, 16, 64), (16, 8, 128), (8, 8, 256))


@dataclass(frozen=True, slots=True)
class Shapes:
    """Operators as columns; every array has shape (rows,)."""

    width: IntArray  # of the output
    height: IntArray
    outputs: IntArray  # output channels
    inputs: IntArray  # input channels
    taps: IntArray  # of the window
    stride: IntArray
    inside: FloatArray  # share of all taps that meet the input and not its padding

    def __len__(self) -> int:
        return len(self.width)

    def select(self, rows: IntArray) -> Shapes:
        """Return the given rows."""
        return Shapes(*(getattr(self, field.name)[rows] for field in fields(self)))


def dense_cycles(shapes: Shapes, law: DenseLaw, macs_per_cycle: int, element_bytes: int) -> FloatArray:
    """Cycles of convolutions.

    launch + channel_cost * C / 16 + min over mappings of (products**n + reads**n + writes**n)**(1/n), n = sharpness,
    products = work * [windowed if k > 1] * fill(W) fill(H) C I' k**2 (1 - skipped * (1 - inside)) / macs_per_cycle,
    reads = (W H I k**2 ceil(C / G_c) + C I k**2 ceil(W / G_w) ceil(H / G_h)) * bytes / read,
    writes = W H C bytes / write.
    I' = fill(I), or narrow_input for I < 16; inside = share of the taps that meet the input, not its padding. Reads as
    in VPUNN's theoretical law, which leaves out products with padding too.
    """
    channels = np.where(
        shapes.inputs < FEW_INPUTS,
        np.maximum(shapes.inputs, law.narrow_input),
        _fill(shapes.inputs, CHANNEL_BYTES // element_bytes, law.input_fill),
    )
    factor = np.where(shapes.taps > 1, law.windowed, 1.0) * (1 - law.skipped * (1 - shapes.inside))
    area = _fill(shapes.width, POSITIONS, law.width_fill) * _fill(shapes.height, POSITIONS, law.height_fill)
    products = law.work * factor * area * shapes.outputs * channels * shapes.taps / macs_per_cycle
    writes = shapes.width * shapes.height * shapes.outputs * element_bytes / law.write
    weights = shapes.inputs * shapes.taps * element_bytes / law.read  # of one output channel, in cycles of reading
    spans = []
    for wide, high, deep in MAPPINGS:
        passes = -(-shapes.outputs // deep)
        stripes = -(-shapes.width // wide) * -(-shapes.height // high)
        reads = weights * (shapes.width * shapes.height * passes + shapes.outputs * stripes)
        spans.append(_norm(law.sharpness, products, reads, writes))
    best = np.minimum.reduce(spans)
    return np.asarray(law.launch + law.channel_cost * shapes.outputs / 16 + best, np.float64)


def windowed_cycles(shapes: Shapes, law: WindowedLaw, macs_per_cycle: int, element_bytes: int) -> FloatArray:
    """Cycles of depthwise convolutions and pools.

    launch + window_cost * k**2 + side(W) side(H) fill(C) / 16 * (tap * strided**(s - 1) * k**2 + output),
    side(x) = (1 - tile_fill) fill(x) + tile_fill * 8 ceil(x / 8); the share of fill(C) is channel_fill, times
    narrow_3x3 where k = 3 and s = 1.
    """
    halved = np.where((shapes.taps == 9) & (shapes.stride == 1), law.narrow_3x3, 1.0)
    outputs = (
        _side(shapes.width, law.width_fill, law.tile_fill)
        * _side(shapes.height, law.height_fill, law.tile_fill)
        * _fill(shapes.outputs, CHANNEL_BYTES // element_bytes, law.channel_fill * halved)
    )
    each = law.tap * law.strided ** (shapes.stride - 1) * shapes.taps + law.output
    return np.asarray(law.launch + law.window_cost * shapes.taps + outputs / 16 * each, np.float64)


def elementwise_cycles(shapes: Shapes, law: ElementwiseLaw, macs_per_cycle: int, element_bytes: int) -> FloatArray:
    """Cycles of sums and products of two tensors: launch + channel_cost * C / 16 + fill(W) fill(H) fill(C) / rate."""
    elements = (
        _fill(shapes.width, POSITIONS, law.width_fill)
        * _fill(shapes.height, POSITIONS, law.height_fill)
        * _fill(shapes.outputs, ELEMENTWISE_CHANNELS, law.channel_fill)
    )
    return np.asarray(law.launch + law.channel_cost * shapes.outputs / 16 + elements / law.rate, np.float64)


# Form of a law -> its equation: (shapes, law, products of the tile in a cycle, bytes of an element) -> cycles.
FORMS: Mapping[str, Callable[..., FloatArray]] = {
    "dense": dense_cycles,
    "windowed": windowed_cycles,
    "elementwise": elementwise_cycles,
}


def _whole(size: IntArray, granule: int) -> IntArray:
    return -(-size // granule) * granule


def _fill(size: IntArray, granule: int, share: float | FloatArray) -> FloatArray:
    return np.asarray(size + share * (_whole(size, granule) - size), np.float64)


def _side(size: IntArray, fine: float, coarse: float) -> FloatArray:
    return (1 - coarse) * _fill(size, POSITIONS, fine) + coarse * _whole(size, WORKLOAD_POSITIONS)


def _norm(exponent: float, *terms: FloatArray) -> FloatArray:
    # Scaled by the largest: the powers of cycles overflow.
    largest = np.maximum.reduce(terms)
    powers = np.add.reduce([(term / largest) ** exponent for term in terms])
    return np.asarray(largest * powers ** (1 / exponent), np.float64)
