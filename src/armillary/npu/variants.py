"""What one more of something would be: chips that differ from a given one in a single respect.

In:  a `Chip`. Out: `Variant`s that make sense for it, each a whole chip to run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from armillary.hardware import Chip, Quantity

TWICE = 2


@dataclass(frozen=True, slots=True)
class Variant:
    """A chip with one thing changed."""

    what: str
    chip: Chip


def variants(chip: Chip) -> tuple[Variant, ...]:
    """Return the variants of `chip`: DMA queue, scratchpad, parameter cache, array rate, each link, issue cost."""
    pad = chip.scratchpad
    found: list[Variant] = []
    if chip.dram is not None:
        more = chip.dram.model_copy(update={"dma_engines": chip.dram.dma_engines + 1})
        found.append(Variant("one more DMA queue", _changed(chip, dram=more)))
    larger = pad.model_copy(update={"size": _times(pad.size)})
    found.append(Variant("twice the scratchpad", _changed(chip, scratchpad=larger)))
    if chip.parameter_cache is not None:
        # The cache is a part of the scratchpad, which grows with it: activations keep their room.
        added = Quantity(pad.size.value + chip.parameter_cache.size.value)
        cache = chip.parameter_cache.model_copy(update={"size": _times(chip.parameter_cache.size)})
        with_room = _changed(chip, scratchpad=pad.model_copy(update={"size": added}), parameter_cache=cache)
        found.append(Variant("twice the parameter cache", with_room))
    rates = {
        name: {dtype: TWICE * rate for dtype, rate in values.items()}
        for name in ("macs_per_cycle", "depthwise_macs_per_cycle", "outputs_per_cycle")
        if (values := getattr(chip.array, name)) is not None
    }
    found.append(Variant("twice the array rate", _changed(chip, array=chip.array.model_copy(update=rates))))
    if chip.dram is not None:
        update = {"rate": _times(chip.dram.rate)}
        if chip.dram.engine_rate is not None:
            update["engine_rate"] = _times(chip.dram.engine_rate)
        found.append(
            Variant(f"twice the {chip.dram.kind} rate", _changed(chip, dram=chip.dram.model_copy(update=update)))
        )
    if chip.weight_memory is not None:
        memory = chip.weight_memory.model_copy(update={"rate": _times(chip.weight_memory.rate)})
        found.append(Variant("twice the weight memory rate", _changed(chip, weight_memory=memory)))
    if chip.host_link is not None:
        faster = chip.host_link.model_copy(update={"rate": _times(chip.host_link.rate)})
        found.append(Variant("twice the host link rate", _changed(chip, host_link=faster)))
    if chip.control.issue_cost.value > 0:
        sooner = chip.control.model_copy(update={"issue_cost": _times(chip.control.issue_cost, 1 / TWICE)})
        found.append(Variant("half the issue cost", _changed(chip, control=sooner)))
    return tuple(found)


def _changed(chip: Chip, **parts: object) -> Chip:
    return chip.model_copy(update=parts)


def _times(quantity: Quantity, factor: float = TWICE) -> Quantity:
    return replace(quantity, value=factor * quantity.value, low=None, high=None)
