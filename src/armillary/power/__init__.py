"""Power: what language models draw and take on GPUs, and how many servers fit under the budget of a row.

In:  a language model and a GPU by name (`profile`), arrays of cases (`phases`), the requests of a service
     (`service_columns`).
Out: `PhaseProfile`, `Phases`, and the columns that a row of servers plays (`row/`, which imports numba: import it
inside functions only). `training_iteration` and `capped_training` are the same for training jobs.
`characterize` tabulates a GPU, `derive` finds thresholds in a history, `size` the largest safe row, `compare` policies.
"""

from __future__ import annotations

from armillary.power.capping import Capped, settled_clock_mhz, under_cap
from armillary.power.characterize import Characterization, characterize
from armillary.power.compare import Comparison, compare
from armillary.power.derive_result import Derivation
from armillary.power.derive_row import derive
from armillary.power.history import PowerHistory
from armillary.power.memory import require_fit
from armillary.power.phases import Phases, dynamic_factor, phases, slow_down
from armillary.power.profile import profile
from armillary.power.profile_result import PhaseProfile
from armillary.power.service import ServiceColumns, service_columns
from armillary.power.size import Sizing, size
from armillary.power.slo import Slo
from armillary.power.training import CapTraining, Iteration, capped_training, training_iteration

__all__ = [
    "CapTraining",
    "Capped",
    "Characterization",
    "Comparison",
    "Derivation",
    "Iteration",
    "PhaseProfile",
    "Phases",
    "PowerHistory",
    "ServiceColumns",
    "Sizing",
    "Slo",
    "capped_training",
    "characterize",
    "compare",
    "derive",
    "dynamic_factor",
    "phases",
    "profile",
    "require_fit",
    "service_columns",
    "settled_clock_mhz",
    "size",
    "slow_down",
    "training_iteration",
    "under_cap",
]
