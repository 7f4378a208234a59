"""The zoo by name: its cards, and the graphs that their builders make.

In:  a name and sizes. Out: the `Card` of that name, or its `Graph`.
"""

from __future__ import annotations

from collections.abc import Callable
from pkgutil import resolve_name
from typing import Final

from armillary.errors import InputError, canonical_name, unknown_name
from armillary.workload.builder import Feature, Network
from armillary.workload.graph import Graph
from armillary.workload.precision import with_dtype
from armillary.workload.zoo.card import Card
from armillary.workload.zoo.sequence_cards import SEQUENCE_CARDS
from armillary.workload.zoo.tiny_cards import TINY_CARDS
from armillary.workload.zoo.vision_cards import VISION_CARDS

_CARDS: Final[tuple[Card, ...]] = (*VISION_CARDS, *TINY_CARDS, *SEQUENCE_CARDS)
MAX_SIZE: Final = 1 << 20  # pixels a side, tokens, items


def cards() -> tuple[Card, ...]:
    """All networks of the zoo, by family."""
    return _CARDS


def names() -> tuple[str, ...]:
    """Names of all networks, in the order of `cards`."""
    return tuple(entry.name for entry in _CARDS)


def card(name: str) -> Card:
    """Return the card of a network.

    Raises:
        InputError: there is no such network; lists the nearest names.
    """
    for entry in _CARDS:
        if canonical_name(entry.name) == canonical_name(name):
            return entry
    raise unknown_name("model", name, names())


def build(
    name: str,
    *,
    resolution: int | None = None,
    sequence: int | None = None,
    batch: int = 1,
    width: float = 1.0,
    dtype: str = "int8",
) -> Graph:
    """Build a network of the zoo.

    Args:
        name: see `names()`; case, `-` and `_` do not count.
        resolution: height and width of the image, pixels; None is the network's own.
        sequence: tokens, steps, or cached tokens of a decode; None is the network's own.
        batch: images, sequences or vectors an inference.
        width: channel multiplier of the networks that define one.
        dtype: element type, see `precision.with_dtype`.

    Raises:
        InputError: unknown name or dtype, a size that is not positive or that the network does not take, a resolution
            that is too small, a sequence beyond the learned positions, or a width where none is defined.
    """
    entry = card(name)
    pixels = _size(entry, "resolution", resolution, entry.resolution)
    steps = _size(entry, "sequence", sequence, entry.sequence)
    _check(entry, "batch", batch)
    if width != 1.0 and not entry.scales_width:
        wide = [other.name for other in _CARDS if other.scales_width]
        raise InputError(
            f"no width multiplier is defined, got {width}", where=entry.name, hint=f"it is for {', '.join(wide)}"
        )
    if not 0.0 < width <= 16.0:
        raise InputError(f"width {width} is outside (0, 16]", where=entry.name)
    builder: Callable[..., Feature | tuple[Feature, ...]] = resolve_name(entry.builder)
    network = Network(entry.name)
    if pixels is not None:
        image = network.input("image", (batch, entry.channels, pixels, pixels))
        built = builder(image, width) if entry.scales_width else builder(image)
    elif steps is not None:
        built = builder(network, batch, steps)
    else:
        built = builder(network, batch)
    outputs = built if isinstance(built, tuple) else (built,)
    return with_dtype(network.graph(*outputs), dtype)


def _size(entry: Card, what: str, given: int | None, own: int | None) -> int | None:
    """Return the size to build for: what was given, else the network's own."""
    if given is None:
        return own
    if own is None:
        raise InputError(f"takes no {what}, got {given}", where=entry.name)
    _check(entry, what, given)
    return given


def _check(entry: Card, what: str, size: int) -> None:
    if not 1 <= size <= MAX_SIZE:
        raise InputError(f"{what} {size} must be at least 1 and at most {MAX_SIZE:,}", where=entry.name)
