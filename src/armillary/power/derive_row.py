"""Thresholds for a row of the catalogue or of the user, from a measured or a simulated history.

In:  a CSV file of row power or the run folder of `power simulate`, a row, perhaps another GPU.
Out: `Derivation`.
What clocks do (`Response`) follows from the phases of the row's services on the GPU, at mean sizes and half of their
largest batch, weighted by servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from armillary.errors import InputError
from armillary.hardware.gpu import Gpu, load_gpu
from armillary.power.derive import derive_thresholds
from armillary.power.derive_result import Derivation
from armillary.power.history import PowerHistory
from armillary.power.response import Latencies, Response
from armillary.power.slo import Slo, parse_slo
from armillary.power.topology import Row, load_row
from armillary.store import content_key

if TYPE_CHECKING:
    from armillary.power.row.assemble import Assembly

SPREAD: Final = 0.01  # of the interval, by which times of a history may be off


def derive(
    *,
    history: str | Path | PowerHistory,
    row: str | Path | Row = "dgx-a100-40",
    gpu: str | Path | Gpu | None = None,
    servers: int | None = None,
    slo: str | Slo | None = None,
    actuation_s: float | None = None,
    margin: float = 0.0,
    hysteresis: float | None = None,
    threshold_map: bool = False,
    seed: int = 0,
) -> Derivation:
    """Return thresholds, clocks and the largest safe number of servers.

    Args:
        history: CSV of row power (time_s or timestamp, power_w), a run folder of `power simulate`, or readings.
        row: name, YAML file, or a row: its budget, services, actuators.
        gpu: another GPU to derive for, by name or YAML file; the history then stands for that row, share by share of
            its budget.
        servers: that the history was drawn by; by default those of the run folder, or of the row.
        slo: limits such as "high-p99=5%,low-p50=5%"; those not named keep their defaults.
        actuation_s: seconds until a clock lock lands, instead of the row's.
        margin: that T2 keeps below what the rises allow, share of the budget.
        hysteresis: below each threshold at which it lets go; by default the row's.
        threshold_map: also judge every pair of T1 and T2 from 60 to 95 %.
        seed: of the resampling of days.

    Raises:
        InputError: a history that is malformed or not at a constant interval, unknown names, shares out of range.
        InfeasibleError: no thresholds are safe.
    """
    from armillary.power.row.assemble import assemble
    from armillary.power.row.run import with_latency

    device = load_row(row)
    if gpu is not None:
        device = device.model_copy(update={"server": device.server.model_copy(update={"gpu": str(_name(gpu))})})
    if actuation_s is not None:
        device = with_latency(device, actuation_s)
    past = history if isinstance(history, PowerHistory) else read_history(history, device, servers)
    assembly = assemble(device, servers=device.servers, seconds=60.0)
    lock_s = device.actuators.clock_latency_s
    return derive_thresholds(
        past,
        response=response_of(device, load_gpu(gpu if gpu is not None else device.server.gpu), assembly),
        latencies=Latencies(
            low_s=lock_s,
            high_s=lock_s,
            brake_s=device.actuators.brake.value,
            delay_readings=round(device.telemetry.delay.value / past.interval_s),
            brake_mhz=round(device.actuators.brake_clock.value / 1e6),
        ),
        slo=slo if isinstance(slo, Slo) else parse_slo(slo),
        margin=margin,
        hysteresis=device.thresholds.hysteresis.value if hysteresis is None else hysteresis,
        threshold_map=threshold_map,
        seed=seed,
        inputs=_inputs(history, device),
    )


def response_of(row: Row, gpu: Gpu, assembly: Assembly) -> Response:
    """Return what clocks do to the row."""
    from armillary.power.row.records import HIGH, LOW, TICK_S

    dynamic, busy, weight, bound = (np.zeros(2) for _ in range(4))
    for group, (table, source) in enumerate(zip(assembly.tables, assembly.sources, strict=True)):
        record = assembly.classes[group]
        prompt = (source.prompt.low + source.prompt.high) / 2
        output = (source.output.low + source.output.high) / 2
        batch = max(1, (len(table.step) - 1) // 2)
        place = round(prompt) - table.lowest_prompt
        prefill_s = float(table.prefill[place]) * TICK_S
        # A request decodes with the others of its batch, and waits while their prompts are read.
        decode_s = output * (table.step[batch] + batch * table.cache_step * (prompt + output / 2)) * TICK_S
        reading_s = batch * prefill_s
        total_s = reading_s + decode_s
        priority, servers = int(record["priority"]), int(record["lanes"])
        drawn_mw = (reading_s * table.prefill_mw[place] + decode_s * table.dynamic_mw[batch]) / total_s
        dynamic[priority] += servers * drawn_mw
        busy[priority] += servers * float(record["busy_mw"])
        weight[priority] += servers
        bound[priority] += servers * (reading_s * table.prefill_bound[place] + decode_s * table.decode_bound) / total_s
    of_priority = dynamic + busy
    bounds = bound / np.maximum(weight, 1.0)
    return Response(
        gpu=gpu,
        floor_w=float(assembly.classes["idle_mw"][0]) * 1e-3,
        gpu_share=float(dynamic.sum() / of_priority.sum()),
        low_share=float(of_priority[LOW] / of_priority.sum()),
        low_bound=float(bounds[LOW]),
        high_bound=float(bounds[HIGH]),
    )


def read_history(path: str | Path, row: Row, servers: int | None) -> PowerHistory:
    """Return the history of a CSV file or of a run folder of `power simulate`.

    Raises:
        InputError: malformed, or readings are not at a constant interval.
    """
    from armillary.power.row.result import RowResult
    from armillary.power.row_power import read_row_power

    if Path(path).is_dir():
        run = RowResult.load(Path(path))
        return PowerHistory(run.meter_s, run.readings_w, servers or run.servers, run.budget_w)
    power = read_row_power(path)
    interval_s = power.step_s
    place = power.time_s / interval_s
    if np.abs(place - np.rint(place)).max() > SPREAD * max(1.0, float(place[-1])) or interval_s <= 0:
        raise InputError(f"readings do not keep an interval of {interval_s:g} s", where=str(path))
    index = np.rint(place).astype(np.int64)
    # Readings that are missing are lost ones.
    power_w = np.full(int(index[-1]) + 1, np.nan)
    power_w[index] = power.power_w
    return PowerHistory(interval_s, power_w, servers or row.servers, row.budget_w)


def _name(gpu: str | Path | Gpu) -> str | Path:
    return gpu.name if isinstance(gpu, Gpu) else gpu


def _inputs(history: str | Path | PowerHistory, row: Row) -> Mapping[str, str]:
    readings = content_key(history.power_w) if isinstance(history, PowerHistory) else Path(history).name
    return {"history": readings, "row": content_key(row.model_dump(mode="json", by_alias=True))}
