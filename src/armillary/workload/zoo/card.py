"""What is known of one network of the zoo.

In:  the rows of `vision_cards`, `tiny_cards` and `sequence_cards`. Out: the `Card` record.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Card:
    """A network of the zoo: what it is, where its builder lives, and the published figures that its graph must meet.

    The builder, "module:function", is loaded on first use. By what the network takes it is
    - a `resolution`: `(image: Feature) -> Feature`, with a second argument `width` where `scales_width`;
    - a `sequence`: `(network: Network, batch: int, sequence: int) -> tuple[Feature, ...]`;
    - neither: `(network: Network, batch: int) -> Feature`.
    `reference_macs` and `reference_parameters` are the published counts at `reference_resolution` (images) or at the
    default `sequence`, batch 1, width 1; one multiply-accumulate counts once.
    """

    name: str
    summary: str
    builder: str
    resolution: int | None  # default, pixels a side
    reference_resolution: int | None
    reference_macs: float
    reference_parameters: float
    source: str
    sequence: int | None = None  # default, tokens, steps or cached tokens
    scales_width: bool = False  # does the builder know a width multiplier?
    channels: int = 3  # of the image

    @property
    def reference_size(self) -> str:
        """The size that the reference counts are for, in words."""
        if self.reference_resolution is not None:
            return f"{self.reference_resolution} px"
        return "" if self.sequence is None else f"sequence {self.sequence}"
