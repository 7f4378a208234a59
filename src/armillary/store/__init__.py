"""What outlives the process, and what comes from strangers.

In:  results to keep; YAML and JSON files of unknown origin.
Out: atomic files, run folders whose manifest is the commit point, journals that survive a kill, content keys,
     pydantic models read from YAML with file:line in every error, strict JSON.
"""

from __future__ import annotations

from armillary.store.atomic import sync_folder, write_bytes, write_text, write_with
from armillary.store.catalogue import Catalogue, says_kind
from armillary.store.data_root import data_file, data_root
from armillary.store.journal import Journal, read_journal
from armillary.store.json_writer import dumps_strict, load_json
from armillary.store.keys import content_key, file_digest
from armillary.store.manifest import FileEntry, Manifest, RunFolder, read_manifest, writing_run
from armillary.store.yaml_reader import line_of, load_model, load_yaml, parse_model

__all__ = [
    "Catalogue",
    "FileEntry",
    "Journal",
    "Manifest",
    "RunFolder",
    "content_key",
    "data_file",
    "data_root",
    "dumps_strict",
    "file_digest",
    "line_of",
    "load_json",
    "load_model",
    "load_yaml",
    "parse_model",
    "read_journal",
    "read_manifest",
    "says_kind",
    "sync_folder",
    "write_bytes",
    "write_text",
    "write_with",
    "writing_run",
]
