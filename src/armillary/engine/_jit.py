# mypy: disable-error-code="no-untyped-call, attr-defined"
"""The only place that configures numba: `njit` for kernels, with a cache that cannot go stale.

In:  kernel functions over record arrays. Out: `njit`, compiled and cached on disk; plain Python when `ARMILLARY_JIT=0`.
numba does not notice edits in a callee of another file, so the cache folder is named by a digest of all kernel sources,
of numba, NumPy and the CPU. Import this module, and modules that use it, inside functions only: numba takes 0.3 s.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import llvmlite
import numba
import numpy as np
from llvmlite import binding
from numba import _dynfunc, config, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.typing.typeof import typeof

Function = TypeVar("Function", bound=Callable[..., Any])

_INT64: Any = np.int64
wide: Callable[[Any], int] = _INT64
"""Widen an id read from an int32 field: otherwise each helper compiles once more for every mix of widths."""

JIT: Final = os.environ.get("ARMILLARY_JIT", "1") != "0" and not config.DISABLE_JIT
"""Whether kernels are compiled; not with `ARMILLARY_JIT=0` or `NUMBA_DISABLE_JIT=1`: coverage, debugging."""


def kernel_sources() -> list[Path]:
    """Return every source that compiled code may depend on: the engine, units, and files that name `_jit`."""
    engine = Path(__file__).parent
    package = engine.parent
    return sorted(
        path
        for path in package.rglob("*.py")
        if path.parent == engine or path == package / "units.py" or b"_jit" in path.read_bytes()
    )


def cache_folder() -> Path:
    """Return the folder of compiled kernels for exactly these sources, libraries and this CPU."""
    digest = hashlib.sha256()
    for path in kernel_sources():
        digest.update(path.read_bytes())
    cpu = (binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    digest.update(repr((numba.__version__, llvmlite.__version__, np.__version__, sys.version, cpu)).encode())
    return _cache_root() / "armillary" / "kernels" / digest.hexdigest()[:16]


def _cache_root() -> Path:
    """Return the user's cache folder; where that cannot be written (containers, services), a temporary one."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    existing = next(folder for folder in (usual, *usual.parents) if folder.exists())
    if os.access(existing, os.W_OK):
        return usual
    return Path(tempfile.gettempdir()) / f"armillary-{os.getuid() if hasattr(os, 'getuid') else 'user'}"


_FOLDER: Final = cache_folder()


class InnerLibrary(JITCodeLibrary):
    """Code that is linked into entry points, which are optimised whole: neither optimised nor assembled on its own."""

    def _optimize_final_module(self) -> None:
        """Leave that to the entry point."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


class InnerCompiler(Compiler):
    """Compiles what only kernels call in half the time: numba would optimise and assemble it for each caller anew."""

    def compile_extra(self, function: Any) -> Any:
        """Return the result of compiling `function`, with an entry that cannot be called from Python."""
        state = self.state
        state.library = InnerLibrary(state.targetctx.codegen(), function.__qualname__)
        state.flags.no_compile = True
        result = super().compile_extra(function)
        entry = _dynfunc.make_function(
            result.fndesc.lookup_module(), function.__name__, "", 0, result.environment, (result.library,)
        )
        state.targetctx.insert_user_function(entry, result.fndesc, [result.library])
        return result._replace(entry_point=entry)


def njit(
    *signature: Any, inline: bool = False, cache: bool = True, inner: bool = False
) -> Callable[[Function], Function]:
    """Compile a kernel function: `@njit()`, or `@njit(signature)` for an entry point.

    Args:
        signature: an explicit numba signature; entry points only, since it compiles (or loads) at import.
        inline: force the function into its callers, so that constant arguments fold.
        cache: keep the machine code on disk; False for functions that take functions, since the key of such an
            entry names a function of another module, and loading it would import that module.
        inner: called by kernels only, never from Python: it becomes part of the entry points, without code of its own.
    """
    how: dict[str, Any] = {"nogil": True, "forceinline": inline, "cache": cache and not inner}
    if inner:
        how |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": InnerCompiler}
    compiler: Any = numba.njit

    def decorate(function: Function) -> Function:
        if not JIT:
            return function
        before = config.CACHE_DIR
        config.CACHE_DIR = str(_FOLDER)
        try:
            if signature:
                _announce(_FOLDER)
            compiled: Function = compiler(*signature, **how)(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate


def _announce(folder: Path) -> None:
    """Say once on this machine that kernels compile: a silent pause of many seconds looks like a hang."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "announced").touch(exist_ok=False)
    except FileExistsError:
        return
    sys.stderr.write("armillary: compiling the event kernel, once on this machine (about 10 s) ...\n")
    sys.stderr.flush()


def array_type(dtype: np.dtype[Any], *, readonly: bool = False) -> types.Array:
    """Return the numba type of a contiguous array of `dtype`, shape (n,); a readonly one takes writable arrays too."""
    return types.Array(numba.from_dtype(dtype), 1, "C", readonly=readonly)


def record_type(dtype: np.dtype[Any]) -> Any:
    """Return the numba type of one record of `dtype`."""
    return numba.from_dtype(dtype)


def type_of(value: Any) -> Any:
    """Return the numba type of a Python value (a named tuple of arrays, say)."""
    return typeof(value)
