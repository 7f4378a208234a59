"""Benchmarks: how fast Armillary is, beside peers that compute the same result in the same process run.

In:  `python -m bench [--only PREFIX] [--record | --compare]` (`make bench`, `bench-record`, `bench-compare`).
Out: a table, `bench/latest.json`; a line of the committed `bench/history.jsonl`; drifts against its last line.
CPU time of one core, medians of runs in turns. Machines are noisy: ratios gate, absolute figures are reported.
"""
