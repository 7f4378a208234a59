"""Where everything lies in the scratchpad: what `allocate` hands on.

In:  made by `allocate`. Out: `Buffers`, `Allocation`, and the `Spill`s that made room.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from armillary.npu.geometry import IntArray


class BufferKind(IntEnum):
    """What a buffer holds."""

    WEIGHTS = 0
    INPUT = 1
    SUMS = 2
    OUTPUT = 3
    ACTIVATION = 4


@dataclass(frozen=True, slots=True)
class Buffers:
    """Buffers of the scratchpad; columns of shape (buffers,)."""

    kind: IntArray
    owner: IntArray  # layer, or tensor of an activation
    bytes: IntArray
    begin: IntArray  # first tile beside which it may be in use
    end: IntArray  # tile with whose computation, or store, it ends
    by_store: npt.NDArray[np.bool_]
    after_tile: IntArray  # all tiles up to this one have been computed when it begins
    after_store: IntArray  # all stores up to that of this tile are done when it begins

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, slots=True)
class Users:
    """A number for each tile, -1 where it has none, shape (tiles,); `tensors` has shape (tensors,)."""

    weights: IntArray
    inputs: IntArray
    sums: IntArray
    outputs: IntArray
    tensors: IntArray


@dataclass(frozen=True, slots=True)
class Spill:
    """An activation that was to stay but found no hole, or made one for another buffer."""

    tensor: str
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Allocation:
    """Addresses of all buffers, bytes from the start of the scratchpad."""

    buffers: Buffers
    address: IntArray  # of each buffer, shape (buffers,)
    users: Users  # addresses of what each tile loads, sums up and stores, and of each tensor
    weights: IntArray  # addresses of cached weights, -1: not cached, shape (layers,)
    peak_bytes: int  # highest address in use
    fences: frozenset[int]  # layers of an inference that wait until those before hold nothing that moves
    spills: tuple[Spill, ...]


def nowhere() -> Allocation:
    """Return the allocation of a plan before `allocate`: nothing has an address."""
    none = np.zeros(0, np.int64)
    columns = Buffers(none, none, none, none, none, none.astype(np.bool_), none, none)
    return Allocation(columns, none, Users(none, none, none, none, none), none, 0, frozenset(), ())
