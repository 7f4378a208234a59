"""The command line: `armillary GROUP VERB ...`, one thin module per group that parses, calls and prints.

In:  arguments.
Out: a short table or strict JSON on standard output, notes on standard error, an exit code (0, 1, 2 or 3).
Command modules import their system inside the function, so `armillary --help` loads no heavy library.
"""

from __future__ import annotations

from armillary.cli.app import main

__all__ = ["main"]
