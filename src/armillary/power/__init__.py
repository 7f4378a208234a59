"""Power: what language models draw and take on GPUs, and how many servers fit under the budget of a row.

In:  a language model and a GPU by name (`profile`), arrays of cases (`phases`), the requests of a service
     (`service_columns`).
Out: `PhaseProfile`, `Phases`, and the columns that a row of servers plays (`row/`, which imports numba: import it
inside functions only). `training_iteration` and `capped_training` are the same for training jobs.
"""

from __future__ import annotations

from armillary.power.capping import Capped, settled_clock_mhz, under_cap
from armillary.power.memory import require_fit
from armillary.power.phases import Phases, dynamic_factor, phases, slow_down
from armillary.power.profile import profile
from armillary.power.profile_result import PhaseProfile
from armillary.power.service import ServiceColumns, service_columns
from armillary.power.training import CapTraining, Iteration, capped_training, training_iteration

__all__ = [
    "CapTraining",
    "Capped",
    "Iteration",
    "PhaseProfile",
    "Phases",
    "ServiceColumns",
    "capped_training",
    "dynamic_factor",
    "phases",
    "profile",
    "require_fit",
    "service_columns",
    "settled_clock_mhz",
    "slow_down",
    "training_iteration",
    "under_cap",
]
