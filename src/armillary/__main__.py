"""`python -m armillary`: the same as the `armillary` command."""

from __future__ import annotations

import sys

from armillary.cli import main

if __name__ == "__main__":
    sys.exit(main())
