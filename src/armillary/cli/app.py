"""The `armillary` command: its groups by import path, and how errors become exit codes.

In:  argv. Out: exit code: 0 done, 1 a defect of ours, 2 the input is wrong, 3 the answer is no.
Groups are registered by import path and load when they are used; tools over all systems are one word.
"""

from __future__ import annotations

import os
import sys
import traceback

from cyclopts import App, CycloptsError

from armillary import __version__
from armillary.errors import ArmillaryError, canonical_name

app = App(
    name="armillary",
    version=__version__,
    help="Event-based models of AI infrastructure: how fast, how much power, what bounds it, how far to trust it.",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
# The help texts stand here: without them `--help` would import every module.
app.command("armillary.cli.npu:app", name="npu", help="Latency, power and energy of a network on an NPU.")
app.command("armillary.cli.power:app", name="power", help="Power of language-model serving, rows and their control.")
app.command("armillary.cli.catalog:app", name="catalog", help="Chips, GPUs and networks that come with Armillary.")
app.command("armillary.cli.report:report", name="report", help="Make the page of a run folder again.")
app.command("armillary.cli.validate:validate", name="validate", help="Compare with published and measured figures.")
app.command("armillary.cli.check:check", name="check", help="Say whether a file of yours is valid, and where not.")
app.command("armillary.cli.doctor:doctor", name="doctor", help="Show versions, caches and data on this machine.")

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run one command line and return its exit code; only `--debug` lets a traceback out.

    Args:
        argv: the arguments after the program's name; None takes those of the process.
    """
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = int(app(arguments, exit_on_error=False, print_error=False) or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough; the interpreter must not flush into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except Exception as error:  # noqa: BLE001, RUF100 - the last place where a defect can become one line
        if "--debug" in arguments:
            traceback.print_exc()
        return _fail(*_verdict(error))
    return code


def _verdict(error: Exception) -> tuple[str, int]:
    """Return the line that says what happened, and the exit code."""
    if isinstance(error, CycloptsError):
        return str(error).strip(), 2
    if isinstance(error, ArmillaryError) and error.exit_code != 1:
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.filename is not None:
        # The machine, not the program: a folder that cannot be written, a disk that is full.
        return f"{error.filename}: {error.strerror}", 2
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(where.filename)}:{where.lineno}"  # noqa: PTH119
    return f"a defect of Armillary: {type(error).__name__} at {place}: {error}; run with --debug for the traceback", 1


def _fail(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


def command_names() -> list[str]:
    """Return the registered groups and tools, in the order of the help page."""
    return [name for name in app if canonical_name(name) not in ("h", "help", "version")]
