"""Vela, Arm's compiler for Ethos-U, and the cycles that it estimates.

In:  bytes of an int8 `.tflite` file, names of accelerator, system and memory mode of Vela's `Arm/vela.ini`.
Out: cycles of its summary: each operator takes the largest of its MAC, SRAM and flash cycles, a network their sum.
Vela runs within this process, so that neither its imports nor those of Armillary count. Source: ethos-u-vela 5.2.
"""

from __future__ import annotations

import csv
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Estimate:
    """What Vela's summary says of one inference."""

    cycles: float
    mac_cycles: float
    weight_memory_cycles: float  # of flash or DRAM, whichever holds the weights
    clock_hz: float
    weights: int  # of the network
    encoded_bytes: int  # weights as stored, compressed

    @property
    def latency_s(self) -> float:
        """Seconds of one inference."""
        return self.cycles / self.clock_hz


def is_installed() -> bool:
    """Whether Vela can be imported (the extra `bench` installs it)."""
    return find_spec("ethosu") is not None


def estimate(
    model: bytes,
    *,
    accelerator: str = "ethos-u55-128",
    system: str = "Ethos_U55_High_End_Embedded",
    memory: str = "Shared_Sram",
) -> Estimate:
    """Compile `model` with Vela and return what it estimates.

    Raises:
        ImportError: Vela is not installed.
        RuntimeError: Vela refuses the model; carries what it printed.
    """
    from ethosu.vela import vela

    printed = StringIO()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.tflite")
        path.write_bytes(model)
        options = ("--accelerator-config", accelerator, "--system-config", system, "--memory-mode", memory)
        with redirect_stdout(printed), redirect_stderr(printed):
            status = vela.main([str(path), "--config", "Arm/vela.ini", *options, "--output-dir", folder])
        if status:
            raise RuntimeError(f"Vela refuses the model: {printed.getvalue()}")
        summary = Path(folder, f"network_summary_{system}.csv").read_text(encoding="utf-8")
    (row,) = csv.DictReader(StringIO(summary))
    return Estimate(
        cycles=float(row["cycles_total"]),
        mac_cycles=float(row["cycles_npu"]),
        weight_memory_cycles=float(row["cycles_off_chip_flash_access"]) + float(row["cycles_dram_access"]),
        clock_hz=float(row["core_clock"]),
        weights=int(float(row["total_original_weights"])),
        encoded_bytes=int(float(row["total_npu_encoded_weights"])),
    )
