"""One hour of the Azure conversation trace on 40 servers, beside the same model in SimPy.

In:  `azure_llm_2023_conv.csv` of the data root; BLOOM-176B on eight A100 a server, continuous batching, POLCA.
Out: simulated requests a second of CPU time; both must give every request the same start and end.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from bench.benchmark import Benchmark, Measured, Target
from bench.measure import medians_s, timed

SERVERS, SLOTS, BUFFER = 40, 16, 1
MODEL, GPU, GPUS = "bloom-176b", "a100-80gb", 8
IDLE_W, BUSY_W, RATED_W = 1500, 900, 6500  # of a server besides its GPUs, and what is provisioned for it
PERIOD, CAP, BRAKE = 2_000_000, 40_000_000, 5_000_000  # ticks of 1 us
BRAKE_MHZ = 288
SAMPLE, WINDOWS = 100_000, (2_000_000, 40_000_000)


@cache
def trace() -> tuple[Any, Any, Any]:
    """Arrival ticks from 1 s on, prompt and output tokens of the requests."""
    import polars as pl

    from armillary.store.data_root import data_file

    frame = pl.read_csv(data_file("data/power/azure_llm_2023_conv.csv"))
    moment = frame["TIMESTAMP"].str.slice(0, 26).str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us")
    ticks = moment.dt.epoch("us").to_numpy()
    return ticks - ticks[0] + 1_000_000, frame["ContextTokens"].to_numpy(), frame["GeneratedTokens"].to_numpy()


@cache
def records() -> tuple[Any, ...]:
    """Return arrival, classes, lanes, requests and batches: even requests of low, odd ones of high priority."""
    from armillary.hardware.gpu import load_gpu
    from armillary.power.row import records as at
    from armillary.power.service import service_columns
    from armillary.workload.language_models import load_language_model

    arrival, prompt, output = trace()
    columns = service_columns(
        load_language_model(MODEL),
        load_gpu(GPU),
        tensor_parallel=GPUS,
        prompt=prompt,
        output=output,
        largest_batch=SLOTS,
    )
    classes = np.zeros(2, at.CLASS)
    classes["first"], classes["lanes"], classes["priority"] = [0, SERVERS // 2], SERVERS // 2, [at.LOW, at.HIGH]
    classes["slots"], classes["buffer"], classes["decode_bound"] = SLOTS, BUFFER, columns.decode_bound
    classes["idle_mw"], classes["busy_mw"] = IDLE_W * 1000 + columns.idle_mw, BUSY_W * 1000
    lanes = np.zeros(SERVERS, at.LANE)
    lanes["group"], lanes["servers"] = np.repeat([0, 1], SERVERS // 2), 1
    requests = np.zeros(len(arrival), at.REQUEST)
    requests["group"] = np.arange(len(arrival)) % 2
    requests["prefill"], requests["prefill_mw"] = columns.prefill_ticks, columns.prefill_dynamic_mw
    requests["prefill_bound"], requests["cache_step"] = columns.prefill_bound, columns.cache_step_ticks
    requests["tokens"] = columns.tokens
    batches = np.zeros((2, SLOTS + 1), at.BATCH)
    batches["step"], batches["dynamic_mw"] = columns.batch_step_ticks, columns.batch_dynamic_mw
    return arrival, classes, lanes, requests, batches


def new_run() -> Any:
    """Return our row, ready to play."""
    from armillary.engine import calendar
    from armillary.engine.calendar import POLICY, Stream, new_calendar
    from armillary.engine.deciding import new_decider
    from armillary.engine.drive import Run
    from armillary.power.policies.polca import DEFAULTS, polca
    from armillary.power.row import records as at
    from armillary.power.row.handler import ARRIVES, CLOSES, READS, advance
    from armillary.power.row.state import Control, Meter, Watch, more_room, new_state

    arrival, classes, lanes, requests, batches = records()
    until = int(arrival[-1]) + 600_000_000
    state = new_state(
        budget_mw=SERVERS * RATED_W * 1000,
        classes=classes,
        lanes=lanes,
        requests=requests,
        batches=batches,
        segments=np.zeros(1, at.SEGMENT),
        clocks=clocks(),
        meter=Meter(PERIOD, PERIOD),
        control=Control(CAP, CAP, BRAKE, BRAKE_MHZ),
        watch=Watch(SAMPLE, WINDOWS, 60_000_000, until, 10_000_000, np.zeros(2000)),
        decider=new_decider(polca, compiled=True, **DEFAULTS),
    )
    readings = np.arange(PERIOD, until, PERIOD)
    streams = [
        Stream(ARRIVES, arrival),
        Stream(READS, readings, np.zeros_like(readings), order=POLICY),
        Stream(CLOSES, np.array([until]), order=calendar.SAMPLE),
    ]
    return Run(advance, state, new_calendar(streams, timers=128, burst=64), grow=more_room)


def clocks() -> Any:
    from armillary.hardware.gpu import load_gpu
    from armillary.power.row.state import clock_table

    gpu = load_gpu(GPU)
    return clock_table(gpu.boost_mhz, gpu.power.exponent.value)


def in_simpy() -> Any:
    """Return a function that plays the same in SimPy."""
    from armillary.power.policies.polca import DEFAULTS, polca
    from bench.peers.simpy_row import Group, Request, play_row

    arrival, classes, _, requests, batches = records()
    groups = [
        Group(
            **{name: int(row[name]) for name in ("first", "lanes", "priority", "slots", "buffer")},
            decode_bound=float(row["decode_bound"]),
            idle_mw=int(row["idle_mw"]),
            busy_mw=int(row["busy_mw"]),
            step=batches["step"][index].tolist(),
            dynamic_mw=batches["dynamic_mw"][index].tolist(),
        )
        for index, row in enumerate(classes)
    ]
    names = ("group", "prefill", "prefill_mw", "prefill_bound", "tokens", "cache_step")
    rows = zip(arrival.tolist(), *(requests[name].tolist() for name in names), strict=True)
    table = clocks()
    mind = dict(DEFAULTS) | {"level": 0}

    def decide(seen: dict[str, int]) -> dict[str, int]:
        command = {"low_mhz": -1, "high_mhz": -1, "brake": -1}
        polca.function([seen], mind, [command])
        return command

    listed = [Request(*row) for row in rows]
    return lambda: (
        play_row(
            listed,
            groups,
            speed=table["speed"].tolist(),
            power=table["power"].tolist(),
            budget_mw=SERVERS * RATED_W * 1000,
            brake_mhz=BRAKE_MHZ,
            latency=[CAP, CAP, BRAKE],
            period=PERIOD,
            sample=SAMPLE,
            windows=[window // SAMPLE for window in WINDOWS],
            until=int(arrival[-1]) + 600_000_000,
            decide=decide,
        ),
        listed,
    )


def azure_hour() -> Measured:
    run = new_run()
    run.advance()
    row, listed = in_simpy()()
    ours = run.state.requests
    for name in ("started", "ended"):
        other = np.array([getattr(request, name) for request in listed])
        assert np.array_equal(ours[name], other), f"SimPy has {np.count_nonzero(ours[name] != other)} other {name}"
    assert (ours["ended"] > 0).all(), "requests are left over"
    assert int(run.state.statistics["peak_mw"][0]) == row.peak_mw, "SimPy saw another peak"
    assert run.state.windows["rise_mw"].tolist() == row.rises_mw, "SimPy saw other rises"
    count = len(ours)
    mine, theirs = medians_s(3, timed(new_run, lambda fresh: fresh.advance()), timed(in_simpy, lambda play: play()))
    return Measured(count / mine, count / theirs)


BENCHMARKS = (
    Benchmark(
        "power.azure_hour",
        "request/s",
        azure_hour,
        "batches that change at every arrival: each walks the requests in decode",
        Target("ratio", 50.0),
        "SimPy, one process a server",
    ),
)
