"""Published and measured figures that results are compared with.

In:  `references/SYSTEM.yaml`. Out: frozen `Reference` records with their source; `scorecard.scorecard` runs them.
"""

from __future__ import annotations

from armillary.validation.references_file import Reference, load_references

__all__ = ["Reference", "load_references"]
