"""The family of errors, each with the exit code that the command line returns for it.

In:  nothing. Out: `InputError` (2: the input is wrong), `InfeasibleError` (3: the answer is no), `ArmillaryError`
(1: a defect of ours), and `unknown_name`, the one way to say that a name is not known.
A message is one to three lines: where, what is wrong, what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class ArmillaryError(Exception):
    """Base of all errors that Armillary raises on purpose; alone it means a defect of ours."""

    exit_code: ClassVar[int] = 1


class InputError(ArmillaryError, ValueError):
    """The input is wrong; says where, what, and what would be right.

    A ValueError too: pydantic then reports one raised in a validator with the place of its field.

    Args:
        message: what is wrong.
        where: file:line, option or field that the message speaks of.
        hint: what would be right.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}; {hint}" if hint else text)


class MissingExtraError(InputError):
    """An optional library is needed that is not installed; names the extra that brings it."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"{library} is not installed", hint=f'install it with: pip install "armillary[{extra}]"')


class InfeasibleError(ArmillaryError):
    """The question is well put and the answer is no: what does not fit, and by how much."""

    exit_code: ClassVar[int] = 3


def canonical_name(name: str) -> str:
    """Fold a catalogue name: case, `-` and `_` do not count (`Coral_Edge-TPU` -> `coraledgetpu`)."""
    return name.lower().replace("-", "").replace("_", "")


def unknown_name(kind: str, name: str, known: Iterable[str], *, where: str | None = None) -> InputError:
    """Return the error for a name that is not known, with at most three of the nearest known ones.

    Args:
        kind: what is named ("chip", "model", "key").
        name: what was asked for.
        known: all names that would have been right.
        where: file:line or option, if there is one.
    """
    by_fold = {canonical_name(candidate): candidate for candidate in known}
    near = [by_fold[fold] for fold in get_close_matches(canonical_name(name), by_fold, n=3, cutoff=0.4)]
    if near:
        hint = f"did you mean {', '.join(near)}?"
    elif by_fold:
        hint = f"known: {', '.join(sorted(by_fold.values())[:8])}"
    else:
        hint = None
    return InputError(f"no {kind} named {name[:80]!r}", where=where, hint=hint)
