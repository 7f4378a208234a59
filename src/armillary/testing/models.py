"""The conformance suite of request-driven models: `check_model`.

In:  a `Model`: how to build a small instance of it, its compiled entry point, what counts as its outcome, its own law.
Out: nothing, or an AssertionError that names the law, the seed and the first value that differs.
Laws: cutting a run, plain Python, other processes, the order in which simultaneous input is listed: none changes the
outcome; and what the model says is conserved is conserved at every stop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from armillary.engine.calendar import Calendar, grown
from armillary.engine.drive import Run
from armillary.engine.trace import Reason

IntArray = npt.NDArray[np.int64]
Outcome = Mapping[str, npt.NDArray[Any]]
Listing = Callable[[int], IntArray]
"""The order in which n rows of input are listed: a permutation of 0 .. n - 1."""


@dataclass(frozen=True, slots=True)
class Model:
    """A request-driven model, as `check_model` plays it; it stands at module level beside its `build`, for workers.

    Args:
        build: state and calendar of a small instance (at most some 20,000 events) from a seed and a listing, in which
            the model must list its requests before it sorts them; so its rule for ties is put to the test.
        advance: the compiled entry point.
        outcome: named columns of a state that has been played to its end.
        broken: laws that a state breaks at a stop, in words (empty: none).
        grow: as for `Run`.
        decide: what Python does at a POLICY stop.
    """

    build: Callable[[int, Listing], tuple[Any, Calendar]]
    advance: Callable[[Any, Calendar, int], int]
    outcome: Callable[[Any], Outcome]
    broken: Callable[[Any], Sequence[str]]
    grow: Callable[[Any], Any] | None = None
    decide: Callable[[Any], None] | None = None


def check_model(model: Model, *, seeds: Sequence[int] = (0, 1, 2), cuts: int = 25, workers: int = 2) -> None:
    """Check that a model keeps the laws of request-driven models.

    Args:
        model: what to check.
        seeds: instances to build; plain Python plays the first of them.
        cuts: stops in a run that is cut into pieces.
        workers: processes that play the seeds once more (spawned); 0 leaves that law out.

    Raises:
        AssertionError: a law is broken; names it.
    """
    whole = {}
    for seed in seeds:
        run = _new_run(model, seed, as_listed)
        _finish(model, run, f"seed {seed}")
        whole[seed] = model.outcome(run.state)
        _same(whole[seed], _in_pieces(model, seed, run.now, cuts), f"seed {seed}, cut into {cuts + 1} pieces")
        _same(whole[seed], played(model, seed, shuffled(seed)), f"seed {seed}, input listed in another order")
    plain = _run_of(model, interpreted(model.advance), seeds[0], as_listed)
    _finish(model, plain, f"seed {seeds[0]}, as plain Python")
    _same(whole[seeds[0]], model.outcome(plain.state), f"seed {seeds[0]}, as plain Python")
    if workers:
        module, name = _place(model)
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            outcomes = pool.map(_played_by_name, [module] * len(seeds), [name] * len(seeds), seeds)
            for seed, outcome in zip(seeds, outcomes, strict=True):
                _same(whole[seed], outcome, f"seed {seed}, in one of {workers} processes")


def as_listed(rows: int) -> IntArray:
    """Return the listing that leaves rows as they are."""
    return np.arange(rows)


def shuffled(seed: int) -> Listing:
    """Return a listing in random order, the same one for the same number of rows."""
    return lambda rows: np.random.default_rng(seed).permutation(rows)


def played(model: Model, seed: int, listing: Listing = as_listed) -> Outcome:
    """Return the outcome of one run."""
    run = _new_run(model, seed, listing)
    _finish(model, run, f"seed {seed}")
    return model.outcome(run.state)


def interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled function, with all compiled functions that it calls, as plain Python."""
    twins: dict[Any, FunctionType] = {}

    def twin(compiled: Any) -> FunctionType:
        plain = getattr(compiled, "py_func", compiled)
        if plain not in twins:
            names = dict(plain.__globals__)
            twins[plain] = FunctionType(plain.__code__, names, plain.__name__, plain.__defaults__, plain.__closure__)
            if "JIT" in names:
                names["JIT"] = False  # what kernels ask where plain Python must do something else
            for name in plain.__code__.co_names:
                if hasattr(names.get(name), "py_func"):
                    names[name] = twin(names[name])
        return twins[plain]

    return twin(function)


def _place(model: Model) -> tuple[str, str]:
    """Return module and name of a model: a compiled function that is pickled would be compiled anew in each worker."""
    module = model.build.__module__
    names = [name for name, value in vars(import_module(module)).items() if value is model]
    assert names, f"workers do not find the model: it does not stand in {module}, beside its `build`"
    return module, names[0]


def _played_by_name(module: str, name: str, seed: int) -> Outcome:
    return played(getattr(import_module(module), name), seed)


def _run_of(model: Model, advance: Callable[[Any, Calendar, int], int], seed: int, listing: Listing) -> Run[Any]:
    return Run(advance, *model.build(seed, listing), grow=model.grow, decide=model.decide)


def _new_run(model: Model, seed: int, listing: Listing) -> Run[Any]:
    return _run_of(model, model.advance, seed, listing)


def _advance(model: Model, run: Run[Any], until: int | None, what: str) -> Reason:
    reason = run.advance(until)
    assert reason != Reason.POLICY, f"{what}: the handler asks for a decision and the model has no `decide`"
    broken = list(model.broken(run.state))
    assert not broken, f"{what}: at tick {run.now}: {'; '.join(broken)}"
    return reason


def _finish(model: Model, run: Run[Any], what: str) -> None:
    reason = _advance(model, run, None, what)
    assert reason == Reason.IDLE, f"{what}: stopped with {reason.name} at tick {run.now}"


def _in_pieces(model: Model, seed: int, end: int, cuts: int) -> Outcome:
    """Play with stops at random ticks, some of them twice, and with the arrays of the calendar moved at some."""
    rng = np.random.default_rng(seed)
    run = _new_run(model, seed, as_listed)
    what = f"seed {seed}, cut into {cuts + 1} pieces"
    for until in np.sort(rng.integers(0, end + 1, cuts)).tolist():
        _advance(model, run, until, what)
        if rng.random() < 0.5:
            run.calendar = grown(run.calendar, len(run.calendar.timers))
            _advance(model, run, until, what)
    _finish(model, run, what)
    return model.outcome(run.state)


def _same(expected: Outcome, found: Outcome, what: str) -> None:
    assert expected.keys() == found.keys(), f"{what}: columns {sorted(found)} instead of {sorted(expected)}"
    for name, column in expected.items():
        one, other = np.atleast_1d(column), np.atleast_1d(found[name])
        assert one.shape == other.shape, f"{what}: {name} has shape {other.shape} instead of {one.shape}"
        unlike = np.flatnonzero(one != other)
        if unlike.size:
            row = int(unlike[0])
            raise AssertionError(f"{what}: {name}[{row}] is {other.flat[row]} instead of {one.flat[row]}")
