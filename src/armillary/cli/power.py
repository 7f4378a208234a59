"""`armillary power`: language models on GPUs, rows of servers, and their control.

In:  arguments. Out: a short table or strict JSON, and a run folder with `--out`.
"""

from __future__ import annotations

from cyclopts import App

from armillary.cli.common import Common
from armillary.cli.power_plan import characterize, compare, derive, size
from armillary.cli.power_row import simulate
from armillary.cli.present import present
from armillary.errors import InputError

app = App(name="power", help="Power, latency and energy of language models, from one GPU to a row of servers.")
for verb in (characterize, simulate, derive, size, compare):
    app.command(verb)
app.command("armillary.cli.power_control:app", name="control", help="Control the power of a row, live or simulated.")


@app.command
def profile(
    *,
    model: str,
    gpu: str,
    prompt: int,
    tp: int = 1,
    batch: int = 1,
    output: int = 128,
    clock_mhz: float | None = None,
    power_cap_w: float | None = None,
    dtype: str = "fp16",
    common: Common = Common(),
) -> int:
    """Report latency, power and energy of a batch of prompts, and what bounds prefill and decode.

    Args:
        model: a language model of `armillary catalog language-models`, or the config.json of a checkpoint; on an NPU, a
            network that has a decode form (llama2_7b).
        gpu: a GPU of `armillary catalog gpus`, or a YAML file; or an NPU of `armillary catalog chips`.
        prompt: tokens of each prompt.
        tp: degree of tensor parallelism: GPUs that share each layer.
        batch: prompts at once.
        output: tokens of each answer.
        clock_mhz: clock to which the GPUs are locked, MHz; boost when left out.
        power_cap_w: power limit of each GPU, watts; the default limit when left out.
        dtype: element type of weights, activations and caches (fp16, fp8, int8, ...).
    """
    from armillary import power
    from armillary.cli.power_device import is_chip, profile_on_chip

    if is_chip(gpu):
        if tp != 1 or power_cap_w is not None:
            raise InputError("an NPU takes no --tp and no --power-cap-w", where=gpu, hint="leave them out")
        sizes = {"prompt": prompt, "output": output, "batch": batch}
        found = profile_on_chip(model, gpu, **sizes, dtype=dtype, clock_mhz=clock_mhz, seed=common.seed)
        return present(found, common)
    return present(
        power.profile(
            model=model,
            gpu=gpu,
            prompt=prompt,
            tp=tp,
            batch=batch,
            output=output,
            clock_mhz=clock_mhz,
            power_cap_w=power_cap_w,
            dtype=dtype,
            seed=common.seed,
        ),
        common,
    )
