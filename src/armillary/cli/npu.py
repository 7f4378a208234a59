"""`armillary npu`: latency, power and energy of a network on an NPU.

In:  arguments. Out: a short table or strict JSON, and a run folder with `--out`.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from armillary.cli.common import Common
from armillary.cli.present import present
from armillary.cli.shapes import parse_shapes

app = App(name="npu", help="Latency, power and energy of a network on an NPU.")


@app.command
def run(
    model: str,
    /,
    *,
    chip: str,
    dtype: str = "int8",
    batch: int = 1,
    shape: Annotated[list[str] | None, Parameter(negative=())] = None,
    resolution: int | None = None,
    common: Common = Common(),
) -> int:
    """Simulate MODEL on CHIP and report latency, energy and what bounds them.

    Args:
        model: a network of `armillary catalog models`, or a model file.
        chip: a chip of `armillary catalog chips`, or a YAML file.
        dtype: element type that the network computes in (int8, fp16, ...).
        batch: items of one inference (networks of the catalogue).
        shape: shape of an input of a model file, NAME=1,3,320,320; repeatable.
        resolution: height and width of the image, pixels (networks of the catalogue).
    """
    from armillary import npu

    result = npu.run(
        model,
        chip=chip,
        dtype=dtype,
        batch=batch,
        shape=parse_shapes(shape or []) or None,
        resolution=resolution,
        seed=common.seed,
    )
    return present(result, common)


@app.command
def operators(table: str, /, *, chip: str, common: Common = Common()) -> int:
    """Report the cycles of each operator of TABLE on one tile of CHIP, and their errors against `cycles_nn`.

    Args:
        table: a CSV file with the columns op, dtype, in_w, in_h, in_c, out_w, out_h, out_c, k, s, pad.
        chip: a chip of `armillary catalog chips` with operator laws, or a YAML file.
    """
    from armillary import npu

    return present(npu.operators(table, chip=chip, seed=common.seed), common)
