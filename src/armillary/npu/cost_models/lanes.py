"""Tiles of a layer over the equal hardware tiles of a chip, where the compiler did not divide them already.

In:  a `TileBatch` and the number of hardware tiles. Out: the largest part of each, by rows and by channels.
Hardware tiles work in parallel, so that the largest part tells the time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from armillary.npu.cost_models.contract import TileBatch


def largest_parts(tiles: TileBatch, count: int) -> tuple[TileBatch, ...]:
    """Return the largest part of each tile when its rows, or its channels, are divided by `count`.

    With one hardware tile that is the tile itself, once.
    """
    if count == 1:
        return (tiles,)
    height, outputs = -(-tiles.height // count), -(-tiles.outputs // count)
    by_rows, by_channels = height / tiles.height, outputs / tiles.outputs
    # Where channels do not mix, fewer of them are read too.
    read = np.where(tiles.inputs == 1, by_channels, 1.0)
    return (
        replace(
            tiles,
            height=height,
            in_elements=tiles.in_elements * by_rows,
            out_elements=tiles.out_elements * by_rows,
        ),
        replace(
            tiles,
            outputs=outputs,
            group_outputs=np.minimum(tiles.group_outputs, outputs),
            in_elements=tiles.in_elements * read,
            out_elements=tiles.out_elements * by_channels,
        ),
    )
