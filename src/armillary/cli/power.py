"""`armillary power`: power of language-model serving, rows of servers, and their control.

In:  arguments. Out: see each verb.
"""

from __future__ import annotations

from cyclopts import App

app = App(name="power", help="Power of language-model serving: rows of servers, policies, live control.")
app.command("armillary.cli.power_control:app", name="control", help="Control the power of a row, live or simulated.")
