"""What the servers held before the controller wrote anything: the file that lets a crash be undone.

In:  a state folder. Out: `Snapshot`: per server its lock and its power limits; present exactly while something of ours
may be set. Written atomically before the first write, removed when everything is back. A second controller on the same
folder is refused, by a lock on a file that the kernel drops when the process dies.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from armillary.errors import InputError
from armillary.power.control.contract import Limits
from armillary.store import dumps_strict, sync_folder, write_text

SCHEMA = 1
NAME = "limits-before.json"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state folder of one row."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where the limits stand."""
        return self.folder / NAME

    def load(self) -> dict[str, Limits]:
        """Return what a crashed run left: server -> limits; nothing where there is no file.

        Raises:
            InputError: the file is not one of ours.
        """
        if not self.path.exists():
            return {}
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if document["schema"] != SCHEMA:
                raise ValueError("schema")
            return {
                str(name): Limits(
                    int(entry["lock_mhz"]),
                    tuple(int(each) for each in entry["limits_mw"]),
                    tuple(int(each) for each in entry["lowest_mw"]),
                )
                for name, entry in document["servers"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "not the limits that a controller noted",
                where=str(self.path),
                hint="set the limits of the servers by hand, then remove the file",
            ) from error

    def save(self, limits: dict[str, Limits]) -> None:
        """Note the limits; on the disk when this returns."""
        servers = {
            name: {
                "lock_mhz": held.lock_mhz or 0,
                "limits_mw": list(held.limits_mw),
                "lowest_mw": list(held.lowest_mw),
            }
            for name, held in limits.items()
        }
        write_text(self.path, dumps_strict({"schema": SCHEMA, "servers": servers}))

    def remove(self) -> None:
        """Everything is as it was."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def hold(self) -> int:
        """Take the folder for this process; return a descriptor, which is to stay open.

        Raises:
            InputError: another controller has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise InputError("another controller runs on this state folder", where=str(self.folder)) from error
        return descriptor
