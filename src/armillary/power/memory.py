"""Does a model with its caches fit the memory of its GPUs?

In:  a model, a GPU, a tensor-parallel degree, tokens that are cached at once.
Out: bytes that one GPU holds; an `InfeasibleError` that names the shortfall and the least degree that fits.
Weights and key-value heads are shared by all GPUs; a share of the memory is kept for the driver and activations.
"""

from __future__ import annotations

from armillary.errors import InfeasibleError
from armillary.hardware.gpu import Gpu
from armillary.power.phases import cached_bytes_per_gpu
from armillary.units import format_bytes
from armillary.workload.language_models import LanguageModel


def held_bytes(model: LanguageModel, gpu: Gpu, *, tensor_parallel: int, tokens: float, dtype: str) -> float:
    """Return the bytes of weights and of `tokens` cached tokens that one GPU holds."""
    element_bytes = gpu.element_bytes(dtype)
    cached = tokens * cached_bytes_per_gpu(model, tensor_parallel, element_bytes)
    return model.parameters * element_bytes / tensor_parallel + cached


def usable_bytes(gpu: Gpu) -> float:
    """Return the bytes of one GPU that weights and caches may take."""
    return gpu.memory.size.value * (1.0 - gpu.memory.reserve.value)


def require_fit(model: LanguageModel, gpu: Gpu, *, tensor_parallel: int, tokens: float, dtype: str) -> float:
    """Return what `held_bytes` does, if it fits.

    Raises:
        InfeasibleError: it does not; says by how much, and which degree would fit.
    """
    held = held_bytes(model, gpu, tensor_parallel=tensor_parallel, tokens=tokens, dtype=dtype)
    usable = usable_bytes(gpu)
    if held <= usable:
        return held
    fitting = [
        degree
        for degree in range(1, gpu.link.devices + 1)
        if model.heads % degree == 0
        and held_bytes(model, gpu, tensor_parallel=degree, tokens=tokens, dtype=dtype) <= usable
    ]
    remedy = f"--tp {fitting[0]} would fit" if fitting else f"not even {gpu.link.devices} of them hold it"
    raise InfeasibleError(
        f"{model.name} in {dtype} with {tokens:.0f} cached tokens needs {format_bytes(held)} on each of "
        f"{tensor_parallel} {gpu.name}, which has {format_bytes(usable)} for it "
        f"(short by {format_bytes(held - usable)}); {remedy}"
    )
