"""The YAML reader: a valid file becomes the model; anything else an InputError with file:line, quickly."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from armillary.errors import InputError
from armillary.store import load_model, parse_model
from tests.store.small_chip import TEXT, SmallChip


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_model(text, SmallChip, source="chip.yaml")
    return str(caught.value)


def test_a_valid_file_becomes_the_model(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    path.write_text(TEXT)
    chip = load_model(path, SmallChip)
    assert chip.compute.clock == 480e6
    assert [memory.banks for memory in chip.memories] == [16, 2]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("480 MHz", "480", "chip.yaml:5: compute.clock: 480 has no unit; write for example"),
        ("480 MHz", "480 MB", "chip.yaml:5: compute.clock: '480 MB' has a unit that does not fit here"),
        ("480 MHz", "-480 MHz", "chip.yaml:5: compute.clock: Input should be greater than 0"),
        ("480 MHz", ".inf", "chip.yaml:5: compute.clock: inf has no unit"),
        ("  clock: 480 MHz\n", "", "chip.yaml:3: compute.clock is missing"),
        ("macs_per_cycle", "mac_per_cycle", "did you mean macs_per_cycle"),
        ("schema: 1", "shema: 1", "did you mean schema"),
        ("schema: 1", "schema: 9", "chip.yaml:1: schema: Input should be 1"),
        ("banks: 2", "bank: 2", "chip.yaml:9: memories.1.bank: no key named 'bank'; did you mean banks"),
        ("banks: 2", "banks: 2.0", "chip.yaml:9: memories.1.banks: Input should be a valid integer"),
        ("banks: 2", "banks: true", "chip.yaml:9: memories.1.banks"),
        ("banks: 1}", "banks: 0}", "chip.yaml:11: notes.first.banks: Input should be greater than 0 (given 0)"),
        ("name: small ", "name: [small] ", "chip.yaml:2: name: Input should be a valid string"),
        ("name: small ", "name: {{ ", "chip.yaml:"),
        ("banks: 2", "banks: 2\n    banks: 3", "chip.yaml:10: not YAML: found duplicate key"),
        ("schema: 1\n", "schema: 1\n\tx: 2\n", "chip.yaml:2: not YAML"),
        ("banks: 2", "banks: *b", "chip.yaml:9"),
        ("banks: 2", "banks: !!python/object/apply:os.system [id]", "chip.yaml:9: the tag"),
        ("schema: 1\n", "schema: 1\n---\nb: 2\n", "chip.yaml:2: a second document"),
    ],
)
def test_a_wrong_file_is_told_its_line_and_what_would_be_right(old: str, new: str, message: str) -> None:
    assert TEXT.count(old) == 1
    assert message in refusal(TEXT.replace(old, new))


def test_unknown_keys_and_wrong_units_name_the_line_of_the_key_itself() -> None:
    text = TEXT.replace("macs_per_cycle", "mac_per_cycle")
    assert "chip.yaml:4: compute.mac_per_cycle: no key named 'mac_per_cycle'; did you mean macs_per_cycle?" in refusal(
        text
    )


def test_at_most_three_problems_are_told() -> None:
    assert len(refusal("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n").splitlines()) == 3


@pytest.mark.parametrize("text", ["", "# nothing\n", "- 1\n- 2\n", "plain", "null", "3"])
def test_what_holds_no_mapping_is_refused(text: str) -> None:
    assert "no mapping" in refusal(text)


ALIAS_BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIAS_BOMB, "chip.yaml:2: an alias"),
        ("a: " + "[" * 100_000, "nested deeper"),
        ("a: " + "{a: " * 90_000, "nested deeper"),
        ("\n".join(" " * depth + "a:" for depth in range(800)), "nested deeper"),
        ("x: " + "y" * 400_000, "larger than 400 kB"),
        ("x: " + "y " * 190_000, "chip.yaml"),
        ('x: "' + " y" * 190_000 + '"', "chip.yaml"),
        ("x: " + "y\u2028" * 130_000, "chip.yaml"),
        ("x: [" + "1," * 190_000 + "]", "more than 20000 items"),
        ("? " * 50_000, "nested deeper"),
        ("- " * 50_000, "nested deeper"),
        ("a: " + "9" * 100_000, "chip.yaml"),
        ("a: 2024-99-99", "chip.yaml"),
        ("a: !!int x", "the tag"),
        ("a: \x00", "not YAML"),
        ("%YAML 9.9\n---\na: 1", "chip.yaml"),
        ("a: " + "0x" + "f" * 100_000, "chip.yaml"),
        ("a: 1" + ":59" * 50_000, "chip.yaml"),
        ("a: |\n" + " \n" * 190_000, "chip.yaml"),
        ("&a " * 100_000, "chip.yaml"),
    ],
)
def test_hostile_files_are_refused_quickly(text: str, message: str) -> None:
    began_s = time.process_time()
    assert message in refusal(text)[:500]
    assert time.process_time() - began_s < 2.0


def test_a_file_that_is_not_text_or_not_there_is_an_input_error(tmp_path: Path) -> None:
    path = tmp_path / "chip.yaml"
    with pytest.raises(InputError, match="cannot be read"):
        load_model(path, SmallChip)
    path.write_bytes(b"schema: 1\nname: \xff\xfe\n")
    with pytest.raises(InputError, match=r"chip\.yaml:2: is not UTF-8"):
        load_model(path, SmallChip)
    path.write_bytes(b"\n" * 2_000_000)
    with pytest.raises(InputError, match="larger than 400 kB"):
        load_model(path, SmallChip)


TOKENS = (
    *(
        "&a",
        "*a",
        "!!python/name:os",
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "\n",
        "\t",
        "?",
        "|",
        ">",
        "'",
        '"',
        "#",
        "%",
        "~",
    ),
    *("1e999", ".nan", "0o7", "1_0", "2024-01-01", "<<: ", "---\n", "...\n", "\x00", "\x85", "\ufeff", "𝔸", "480 MHz"),
)


def mutate(text: str, rng: random.Random) -> str:
    """Return `text` after one to four random edits."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text) + 1)
        until = min(len(text), at + rng.randint(0, 8))
        kind = rng.randrange(4)
        piece = (
            ""
            if kind == 0
            else rng.choice(TOKENS)
            if kind == 1
            else chr(rng.choice([rng.randrange(128), rng.randrange(0xD7FF)]))
            if kind == 2
            else text[(other := rng.randrange(len(text) or 1)) : other + rng.randint(1, 30)]
        )
        text = text[:at] + piece + text[at if kind == 3 else until :]
    return text


def fuzz(count: int) -> int:
    """Read `count` mutated files; return how many were refused. Anything but InputError escapes."""
    refused = 0
    for seed in range(count):
        try:
            parse_model(mutate(TEXT, random.Random(seed)), SmallChip, source="chip.yaml")
        except InputError as error:
            assert 1 <= len(str(error).splitlines()) <= 3
            refused += 1
    return refused


def test_mutated_files_give_a_chip_or_an_input_error() -> None:
    assert 100 < fuzz(1000) < 1000


@pytest.mark.nightly
def test_ten_thousand_mutated_files_give_a_chip_or_an_input_error() -> None:
    assert 1000 < fuzz(10_000) < 10_000
