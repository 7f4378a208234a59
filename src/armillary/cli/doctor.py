"""`armillary doctor`: what this machine has of what Armillary uses.

In:  nothing. Out: a table of versions, the kernel cache, the data root and the browser of the report's tests.
The first thing to paste into a bug report.
"""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

from armillary.cli.common import Verbosity

CORE = ("numpy", "numba", "scipy", "polars", "pydantic", "ruamel.yaml", "cyclopts", "rich", "onnx", "plotly")
EXTRAS = {
    "optuna": "search",
    "torch": "train",
    "distributed": "cluster",
    "nvidia-ml-py": "control",
    "openvino": "openvino",
    "ai-edge-litert": "tflite",
    "starlette": "serve",
}


def doctor(*, common: Verbosity = Verbosity()) -> int:
    """Show versions, caches and data on this machine.

    Args:
        common: options that all verbs share.
    """
    from armillary.cli.present import print_rows

    facts = examine()
    if not common.quiet:
        print_rows([(name, "-" if value is None else value) for name, value in facts.items()])
    return 0


def examine() -> dict[str, str | None]:
    """Return what was found, by name; None where a thing is not there."""
    from armillary import __version__
    from armillary.engine._jit import cache_folder
    from armillary.store import data_root

    root = data_root()
    kernels = cache_folder()
    facts: dict[str, str | None] = {
        "armillary": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
    }
    facts |= {name: _version(name) for name in CORE}
    facts |= {f"{name} (extra {extra})": _version(name) for name, extra in EXTRAS.items()}
    facts["compiled kernels"] = str(kernels) if kernels.is_dir() else "none yet: the first run compiles them"
    facts["data root"] = None if root is None else str(root.resolve())
    facts["chromium (tests of reports)"] = shutil.which("chromium")
    return facts


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
