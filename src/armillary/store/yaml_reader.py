"""Read a YAML file of a stranger into a pydantic model, and say line by line what is wrong with it.

In:  a path and a model class. Out: an instance of the model, or an `InputError` with file:line and what would be right.
The event stream is checked before anything is built: at most 400 kB, depth 32, no aliases, no tags of Python's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, DocumentStartEvent, ScalarEvent

from armillary.errors import InputError, canonical_name, unknown_name

MAX_BYTES = 400_000  # a single scalar of 1 MB takes ruamel 3 s; this keeps the worst file near 1 s
MAX_DEPTH = 32
MAX_EVENTS = 20_000  # ruamel takes 30 us each, twice
MAX_PROBLEMS = 3

Model = TypeVar("Model", bound=BaseModel)


def load_model(path: Path, model: type[Model]) -> Model:
    """Read the YAML file `path` as an instance of `model`.

    Args:
        path: a file of at most 400 kB with one document, a mapping.
        model: a pydantic model; validators may raise `InputError` or `ValueError` for wrong units.

    Raises:
        InputError: up to three lines `file:line: key.path: what is wrong; what would be right`.
    """
    return parse_model(_read(path), model, source=str(path))


def parse_model(text: str, model: type[Model], *, source: str) -> Model:
    """Read YAML `text` as an instance of `model`; `source` names it in errors.

    Raises:
        InputError: as in `load_model`.
    """
    document = load_yaml(text, source=source)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        # What is written wrongly comes before what is missing: a misspelt key is both.
        problems = sorted(error.errors(include_url=False), key=lambda problem: problem["type"] == "missing")
        lines = [_explain(problem, document, model, source) for problem in problems[:MAX_PROBLEMS]]
        raise InputError("\n".join(lines)) from error


def load_yaml(text: str, *, source: str) -> CommentedMap:
    """Return the mapping that `text` holds, with line numbers (`.lc`).

    Raises:
        InputError: too large, too deep, an alias, a syntax error, a duplicate key, or no mapping.
    """
    if len(text) > MAX_BYTES:
        raise _too_large(source)
    try:
        _check_events(text, source)
        document = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark is not None else source
        raise InputError(f"not YAML: {error.problem or error.context or 'syntax error'}", where=where) from error
    except YAMLError as error:
        raise InputError(f"not YAML: {_one_line(str(error))}", where=source) from error
    except InputError:
        raise
    except (ValueError, OverflowError, TypeError, AttributeError, KeyError, IndexError) as error:
        # ruamel's constructors let these out for scalars such as `2024-99-99` or `!!int x`.
        raise InputError(f"not YAML: {_one_line(str(error))}", where=source) from error
    if not isinstance(document, CommentedMap):
        raise InputError("holds no mapping", where=source, hint='begin with "schema: 1"')
    return document


def line_of(document: object, loc: Sequence[int | str]) -> int:
    """Return the 1-based line of the deepest part of `loc` that is written in `document`."""
    line = 0
    node = document
    for part in loc:
        if isinstance(node, CommentedMap) and part in node:
            # A key that a merge (`<<: {...}`) brought has no line of its own.
            line = node.lc.key(part)[0] if part in (node.lc.data or {}) else line
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and 0 <= part < len(node):
            line = node.lc.item(part)[0]
        else:
            continue  # tags of unions and names of validators stand in `loc` but not in the file
        node = node[part]
    return line + 1


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if len(data) > MAX_BYTES:
        raise _too_large(str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("is not UTF-8 text", where=f"{path}:{line}") from error


def _too_large(source: str) -> InputError:
    return InputError("larger than 400 kB", where=source, hint="keep tables in CSV or Parquet files")


def _check_events(text: str, source: str) -> None:
    depth = documents = 0
    for count, event in enumerate(YAML(typ="rt", pure=True).parse(text)):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        documents += isinstance(event, DocumentStartEvent)
        where = f"{source}:{event.start_mark.line + 1}"
        if isinstance(event, AliasEvent):
            raise InputError("an alias (*name) is not allowed", where=where, hint="write the value out")
        if depth > MAX_DEPTH:
            raise InputError(f"nested deeper than {MAX_DEPTH} levels", where=where)
        if count > MAX_EVENTS:
            raise InputError(f"more than {MAX_EVENTS} items", where=where, hint="keep tables in CSV or Parquet files")
        if documents > 1:
            raise InputError("a second document begins here", where=where, hint="one document a file")
        if isinstance(event, (ScalarEvent, CollectionStartEvent)) and event.tag is not None:
            raise InputError(f"the tag {str(event.tag)[:40]!r} is not allowed", where=where, hint="leave it out")


def _explain(problem: Any, document: CommentedMap, model: type[BaseModel], source: str) -> str:
    """Return one line for one pydantic problem."""
    loc = problem["loc"]
    where = f"{source}:{line_of(document, loc)}"
    written = [str(part) for part in _written(document, loc)]
    path = ".".join(written) or "the file"
    cause = (problem.get("ctx") or {}).get("error")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, loc[:-1])
        error = unknown_name("key", str(loc[-1]), known, where=f"{where}: {path}")
        return str(error)
    if problem["type"] == "missing":
        missing = ".".join([*written, str(loc[-1])])
        return f"{where}: {missing} is missing"
    if isinstance(cause, InputError):
        text = cause.message if cause.hint is None else f"{cause.message}; {cause.hint}"
        return f"{where}: {path}: {_one_line(text)}"
    text = str(cause) if isinstance(cause, ValueError) else problem["msg"]
    given = problem.get("input")
    shown = f" (given {given!r:.60})" if isinstance(given, (str, int, float, bool)) or given is None else ""
    return f"{where}: {path}: {_one_line(text)}{shown}"


def _written(document: object, loc: Sequence[int | str]) -> list[int | str]:
    """Return the parts of `loc` that stand in the file, and the last part where it is a key that stands nowhere."""
    parts: list[int | str] = []
    node: Any = document
    for part in loc:
        inside = isinstance(node, CommentedMap) and part in node
        inside = inside or (isinstance(node, CommentedSeq) and isinstance(part, int) and 0 <= part < len(node))
        if inside:
            parts.append(part)
            node = node[part]
    return parts


def _known_keys(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """Return the keys that the model at `loc` takes, found by walking the annotations."""
    candidates: list[type[BaseModel]] = [model]
    for part in loc:
        step: list[type[BaseModel]] = []
        for candidate in candidates:
            step += _models_of(_field_annotation(candidate, part)) if isinstance(part, str) else []
        # An index, a key of a dict or a union's tag stays at the model that its container names.
        candidates = step or candidates
    return sorted({field.alias or name for found in candidates for name, field in found.model_fields.items()})


def _field_annotation(model: type[BaseModel], key: str) -> object:
    for name, field in model.model_fields.items():
        if canonical_name(key) in (canonical_name(name), canonical_name(field.alias or name)):
            return field.annotation
    return None


def _models_of(annotation: object) -> list[type[BaseModel]]:
    """Return all pydantic models named in `annotation` (through unions, lists, dicts, Annotated)."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in getattr(annotation, "__args__", ()) for found in _models_of(inner)]


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]
