"""What every system returns: figures, the timeline they were measured on, how far to trust them, and a run folder.

In:  a system derives a frozen, keyword-only dataclass from `Result` and adds its figures as fields, units in the names.
Out: strict JSON `{schema, kind, seed, inputs, result: {figures..., trust}, run}`; tables; a digest; and a folder with
`result.json`, `timeline.parquet`, `trace.pftrace`, `report.html` and the manifest, written last (store/manifest.py).
`Result.load` reads such a folder back as the same class; `load_run` reads one whose class is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

from armillary.errors import InputError, unknown_name
from armillary.store import content_key, dumps_strict, load_json, read_manifest, writing_run
from armillary.timeline.run_info import RunInfo
from armillary.timeline.timeline import Timeline
from armillary.timeline.trust import Trust

if TYPE_CHECKING:
    import polars

SCHEMA = 1
RESULT_FILE = "result.json"
TRACE_FILE = "trace.pftrace"
REPORT_FILE = "report.html"
TIMELINE_TABLES = ("tasks", "resources", "counters")

# Fields of `Result` that are not figures: they stand beside `result` in the JSON, or in files of their own.
_FRAME = ("timeline", "seed", "inputs", "run")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Base of all results.

    Derive as `@dataclass(frozen=True, kw_only=True) class NpuResult(Result)`, set `kind` to the verb that makes it
    ("npu run"), add the figures as fields of plain types (numbers, texts, None, and tuples and mappings of them and of
    frozen dataclasses), and override `summary` and `report_html`.
    """

    kind: ClassVar[str]

    timeline: Timeline
    trust: Trust
    seed: int = 0
    inputs: Mapping[str, str] = field(default_factory=dict)  # name of each input -> its digest or catalogue name
    run: RunInfo | None = None

    def to_json(self) -> dict[str, object]:
        """Return the content of `result.json`; null means not applicable, NaN is refused when it is written."""
        document = self._document()
        if self.run is not None:
            document["run"] = self.run
        return document

    def figures(self) -> dict[str, object]:
        """Return the `result` block: every field of the system's own, and `trust`."""
        return {entry.name: getattr(self, entry.name) for entry in fields(self) if entry.name not in _FRAME}

    def summary(self) -> Sequence[tuple[str, str]]:
        """Return rows (label, value with unit) for the terminal; the last ones say how far to trust them."""
        return self.trust.rows()

    def static_w(self) -> float:
        """Return the power drawn besides the tasks' energies, watts: part of the power counter of the trace."""
        return 0.0

    def files(self) -> Mapping[str, Callable[[Path], None]]:
        """Return further files of the run folder: name -> what writes it. Systems add theirs."""
        return {}

    def report_html(self) -> str | None:
        """Return the page of this result (None: it has none); systems compose theirs in `figures.py`."""
        return None

    def frame(self, name: str) -> polars.DataFrame:
        """Return a table: one of the timeline's, or a field that holds a row per item.

        Raises:
            InputError: there is no such table.
        """
        if name in TIMELINE_TABLES:
            return self.timeline.frame(name)
        tables = {key: rows for key, field_ in self.figures().items() if (rows := _rows(field_))}
        if name not in tables:
            raise unknown_name("table", name, [*TIMELINE_TABLES, *tables])
        import polars as pl

        return pl.DataFrame(tables[name], infer_schema_length=None)

    def digest(self) -> str:
        """Return the SHA-256 of the timeline's columns and of `result.json` without its `run` block."""
        return content_key(dumps_strict(self._document(), indent=None), self.timeline.digest())

    def save(self, folder: Path, *, overwrite: bool = False, report: bool = True) -> Path:
        """Write the run folder and return it.

        Args:
            folder: made when missing.
            overwrite: replace the run that it holds.
            report: write `report.html` too (megabytes, so trials of a sweep go without).

        Raises:
            InputError: the folder is not empty, and holds no run of ours or `overwrite` is not given.
        """
        from armillary.timeline.parquet import TIMELINE_FILE, write_timeline
        from armillary.timeline.perfetto import perfetto_trace

        about = {"schema": SCHEMA, "digest": self.digest(), "seed": self.seed, "inputs": self.inputs}
        with writing_run(folder, kind=self.kind, about=about, overwrite=overwrite) as run:
            run.write_text(RESULT_FILE, dumps_strict(self.to_json()))
            run.write_with(TIMELINE_FILE, lambda path: write_timeline(self.timeline, path))
            trace = perfetto_trace(self.timeline, title=self.kind, static_w=self.static_w())
            run.write_bytes(TRACE_FILE, trace)
            for name, fill in self.files().items():
                run.write_with(name, fill)
            page = self.report_html() if report else None
            if page is not None:
                run.write_text(REPORT_FILE, page)
        return folder

    def save_report(self, folder: Path) -> Path:
        """Write `report.html` of this result anew into the run folder that it was read from, and return its path.

        Raises:
            InputError: no finished run, or a kind of result that has no page.
        """
        manifest = read_manifest(folder)
        page = self.report_html()
        if page is None:
            raise InputError(f"a run of {self.kind!r} has no page", where=str(folder))
        with writing_run(folder, kind=manifest.kind, about=manifest.about, resume=True) as run:
            run.write_text(REPORT_FILE, page)
        return folder / REPORT_FILE

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a run folder that `save` of this class wrote.

        Raises:
            InputError: no finished run, a run of another kind, or figures that do not fit this class.
        """
        from pydantic import TypeAdapter, ValidationError

        saved = load_run(folder)
        if saved.kind != cls.kind:
            raise InputError(f"holds a run of {saved.kind!r}, not {cls.kind!r}", where=str(folder))
        hints = get_type_hints(cls)
        run = saved.document.get("run")
        given = {**saved.figures, "seed": saved.document["seed"], "inputs": saved.document["inputs"], "run": run}
        known = {entry.name for entry in fields(cls)} - {"timeline"}
        values: dict[str, Any] = {}
        for name in known & set(given):
            try:
                values[name] = TypeAdapter(hints[name]).validate_python(given[name])
            except ValidationError as error:
                raise InputError(f"{name} is not as this version writes it", where=str(folder / RESULT_FILE)) from error
        try:
            return cls(timeline=saved.timeline(), **values)
        except TypeError as error:
            raise InputError(f"lacks a figure ({error})", where=str(folder / RESULT_FILE)) from error

    def _document(self) -> dict[str, object]:
        return {
            "schema": SCHEMA,
            "kind": self.kind,
            "seed": self.seed,
            "inputs": self.inputs,
            "result": self.figures(),
        }


@dataclass(frozen=True, slots=True)
class SavedRun:
    """A finished run folder of any kind."""

    folder: Path
    kind: str  # the verb that made it: "npu run"
    document: Mapping[str, Any]  # result.json

    @property
    def figures(self) -> Mapping[str, Any]:
        """The `result` block of `result.json`."""
        block: Mapping[str, Any] = self.document["result"]
        return block

    def timeline(self) -> Timeline:
        """Read the timeline of the run."""
        return Timeline.load(self.folder)


def load_run(folder: Path) -> SavedRun:
    """Read what any `save` wrote to `folder`.

    Raises:
        InputError: no finished run, a file that is not as it was written, or another schema.
    """
    manifest = read_manifest(folder, verify=True)
    if RESULT_FILE not in manifest.files:
        raise InputError(f"holds no {RESULT_FILE}", where=str(folder))
    document = load_json(folder / RESULT_FILE)
    wanted = {"schema": int, "kind": str, "seed": int, "inputs": dict, "result": dict}
    if not isinstance(document, dict) or not all(isinstance(document.get(key), kind) for key, kind in wanted.items()):
        raise InputError("is not a result of Armillary", where=str(folder / RESULT_FILE))
    if document["schema"] != SCHEMA:
        raise InputError(f"has schema {document['schema']}", where=str(folder / RESULT_FILE), hint=f"known: {SCHEMA}")
    return SavedRun(folder, manifest.kind, document)


def _rows(value: object) -> list[dict[str, Any]]:
    """Return the rows of a field that holds a tuple of dataclasses, nothing for any other field."""
    items = value if isinstance(value, tuple) else ()
    return [asdict(item) for item in items if is_dataclass(item) and not isinstance(item, type)]
