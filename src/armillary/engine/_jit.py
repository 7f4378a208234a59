"""The only place that configures numba: `njit` for kernels, with a cache that cannot go stale.

In:  kernel functions over record arrays. Out: `njit`, compiled and cached on disk, or plain Python when `ARMILLARY_JIT=0`.
numba does not notice edits in a callee of another file, so the cache folder is named by a digest of all kernel sources,
of numba, NumPy and the CPU. Import this module, and modules that use it, inside functions only: numba takes 0.3 s.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

if os.environ.get("ARMILLARY_JIT", "1") == "0":
    os.environ["NUMBA_DISABLE_JIT"] = "1"  # must stand before numba's import

import llvmlite
import numba
import numpy as np
from numba import config, types
from numba.core.typing.typeof import typeof

Function = TypeVar("Function", bound=Callable[..., Any])

wide: Callable[[Any], int] = np.int64
"""Widen an id read from an int32 field: otherwise each helper compiles once more for every mix of widths."""

JIT = not config.DISABLE_JIT
"""Whether kernels are compiled; False with `ARMILLARY_JIT=0` (or NUMBA_DISABLE_JIT=1): coverage, debugging, small graphs."""


def kernel_sources() -> list[Path]:
    """Return every source that compiled code may depend on: the whole engine (record layouts too), and files that name `_jit`."""
    engine = Path(__file__).parent
    return sorted(path for path in engine.parent.rglob("*.py") if path.parent == engine or b"_jit" in path.read_bytes())


def cache_folder() -> Path:
    """Return the folder of compiled kernels for exactly these sources, libraries and this CPU."""
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.read_bytes())
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features().flatten()
    digest.update(
        repr(
            (numba.__version__, llvmlite.__version__, np.__version__, sys.version, llvm.get_host_cpu_name(), features)
        ).encode()
    )
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "armillary" / "kernels" / digest.hexdigest()[:16]


_FOLDER = cache_folder()


def njit(
    *signature: Any, inline: bool = False, cache: bool = True, inner: bool = False
) -> Callable[[Function], Function]:
    """Compile a kernel function: `@njit()`, or `@njit(signature)` for an entry point.

    Args:
        signature: an explicit numba signature; entry points only, since it compiles (or loads) at import.
        inline: force the function into its callers, so that constant arguments fold.
        cache: keep the machine code on disk; False for functions that take functions, since the key of such an
            entry names a function of another module, and loading it would import that module.
        inner: called by kernels only, never from Python: leaves out the wrapper, a third of the time to compile.
    """

    def decorate(function: Function) -> Function:
        before = config.CACHE_DIR
        config.CACHE_DIR = str(_FOLDER)
        try:
            if signature:
                _announce(_FOLDER)
            compiled: Function = numba.njit(
                *signature,
                cache=cache,
                nogil=True,
                forceinline=inline,
                no_cpython_wrapper=inner,
                no_cfunc_wrapper=inner,
            )(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate


def _announce(folder: Path) -> None:
    """Say once that the kernel compiles: a silent pause of many seconds looks like a hang."""
    if JIT and not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print("armillary: compiling the event kernel, once (about 15 s) ...", file=sys.stderr, flush=True)


def array_type(dtype: np.dtype[Any], *, readonly: bool = False) -> types.Array:
    """Return the numba type of a one-dimensional contiguous array of `dtype`; a readonly type takes writable arrays too."""
    element = numba.from_dtype(dtype)
    return types.Array(element, 1, "C", readonly=readonly)


def record_type(dtype: np.dtype[Any]) -> Any:
    """Return the numba type of one record of `dtype`."""
    return numba.from_dtype(dtype)


def type_of(value: Any) -> Any:
    """Return the numba type of a Python value (a named tuple of arrays, say)."""
    return typeof(value)
