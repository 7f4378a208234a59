"""Power: what language models draw and take on GPUs, and how many servers fit under the budget of a row.

In:  a language model and a GPU by name (`profile`), arrays of cases (`phases`), the requests of a service
     (`service_columns`); a row of servers by name or file, and a policy (`simulate`).
Out: `PhaseProfile`, `Phases`, and the columns that a row of servers plays; `RowResult` of a simulated row (`row/`, of
which most modules import numba: import them inside functions only). `training_iteration` and `capped_training` are the
same for training jobs. `profile_of` takes what another ring measured (`ActivityProfile`), on an NPU say.
`characterize` tabulates a GPU, `derive` finds thresholds in a history, `size` the largest safe row, `compare` policies.
"""

from __future__ import annotations

from armillary.power.activity import DeviceProfile, profile_of
from armillary.power.capping import Capped, settled_clock_mhz, under_cap
from armillary.power.characterize import Characterization, characterize
from armillary.power.compare import Comparison, compare
from armillary.power.derive_result import Derivation
from armillary.power.derive_row import derive
from armillary.power.history import PowerHistory
from armillary.power.memory import require_fit
from armillary.power.phases import Phases, dynamic_factor, phases, slow_down
from armillary.power.policies.registry import RowPolicy, load_policy, policy_names
from armillary.power.profile import profile
from armillary.power.profile_result import PhaseProfile
from armillary.power.row.result import RowResult
from armillary.power.service import ServiceColumns, service_columns
from armillary.power.simulate import simulate
from armillary.power.size import Sizing, size
from armillary.power.slo import Slo
from armillary.power.topology import Row, is_row_file, load_row, row_names, row_schema, row_text
from armillary.power.training import CapTraining, Iteration, capped_training, training_iteration

__all__ = [
    "CapTraining",
    "Capped",
    "Characterization",
    "Comparison",
    "Derivation",
    "DeviceProfile",
    "Iteration",
    "PhaseProfile",
    "Phases",
    "PowerHistory",
    "Row",
    "RowPolicy",
    "RowResult",
    "ServiceColumns",
    "Sizing",
    "Slo",
    "capped_training",
    "characterize",
    "compare",
    "derive",
    "dynamic_factor",
    "is_row_file",
    "load_policy",
    "load_row",
    "phases",
    "policy_names",
    "profile",
    "profile_of",
    "require_fit",
    "row_names",
    "row_schema",
    "row_text",
    "service_columns",
    "settled_clock_mhz",
    "simulate",
    "size",
    "slow_down",
    "training_iteration",
    "under_cap",
]
