from __future__ import annotations

import random

import pytest

from armillary import hardware
from armillary.errors import InputError
from armillary.hardware import Chip
from armillary.store import parse_model

PIECES = (
    "-1",
    "1e999",
    ".nan",
    "true",
    "null",
    "[]",
    "{}",
    "*a",
    "&a",
    "!!python/none",
    "0x10",
    "1:30",
    "\t",
    "\x00",
    "é",
    "8 GB/s",
    "9" * 400,
)


def mutated(text: str, dice: random.Random) -> str:
    """One to four edits: a character changed, a span deleted or doubled, a hostile piece put in."""
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randrange(len(text)), dice.randint(1, 40)
        match dice.randrange(4):
            case 0:
                text = text[:at] + chr(dice.randrange(1, 0x250)) + text[at + 1 :]
            case 1:
                text = text[:at] + text[at + length :]
            case 2:
                text = text[:at] + text[at : at + length] * 2 + text[at + length :]
            case _:
                text = text[:at] + dice.choice(PIECES) + text[at:]
    return text


def refuse_or_read(count: int) -> int:
    """Read `count` mutants; return how many were refused. Anything but a chip or an InputError escapes."""
    refused = 0
    for seed in range(count):
        text = mutated(hardware.chip_template(), random.Random(seed))
        try:
            parse_model(text, Chip, source="mutant.yaml")
        except InputError as error:
            refused += 1
            assert 1 <= len(str(error).splitlines()) <= 3
    return refused


def test_a_mutated_chip_file_is_a_chip_or_an_input_error() -> None:
    assert refuse_or_read(120) > 40


@pytest.mark.nightly
def test_mutated_chip_files_at_length() -> None:
    assert refuse_or_read(10_000) > 3_000
