"""`python -m bench`: measure, print a table, keep the figures.

In:  `--only PREFIX`, `--record` or `--compare`.
Out: exit code 0; 1 if a gate (a target on a ratio) is missed; 2 on wrong input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from armillary.errors import InputError
from bench import history
from bench.benchmark import Figure, Skipped
from bench.registry import benchmarks
from bench.table import shown, shown_target, table


def measured(prefix: str) -> list[Figure]:
    """Run the benchmarks whose ids begin with `prefix`, telling on a terminal which one is running."""
    notes = Console(stderr=True)
    figures = []
    for benchmark in benchmarks(prefix):
        try:
            with notes.status(benchmark.id):
                figures.append(Figure(benchmark, benchmark.measure()))
        except Skipped as reason:
            print(f"skipped: {benchmark.id}: {reason}", file=sys.stderr)
    return figures


def compare() -> None:
    """Print which ratios of the last run have drifted since the last recorded one."""
    recorded = history.last_line()
    found = history.drifts(history.read_latest(), recorded)
    print(f"against {recorded['commit']} of {recorded['date']} on {recorded['cpu']}:")
    for name, then, now in found:
        print(f"  {name}: ratio {then:.3g} -> {now:.3g} ({now / then - 1:+.0%})")
    if not found:
        print(f"  no ratio drifted by more than {history.DRIFT:.0%}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure how fast Armillary is.")
    parser.add_argument(
        "--only", default="", metavar="PREFIX", help="only ids that begin with PREFIX (engine, cli.warm)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--record", action="store_true", help="append a line to bench/history.jsonl")
    what.add_argument(
        "--compare", action="store_true", help="measure nothing; compare bench/latest.json with that line"
    )
    options = parser.parse_args(arguments)
    try:
        if options.compare:
            compare()
            return 0
        figures = measured(options.only)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    rows = [figure.row() for figure in figures]
    history.write_latest(rows)
    if options.record:
        history.append_line(rows)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table(figures))
    for figure in figures:
        if figure.fails:
            print(
                f"missed: {figure.benchmark.id}: ratio {shown(figure.ratio)}, {shown_target(figure.benchmark.target)}"
            )
    return int(any(figure.fails for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
