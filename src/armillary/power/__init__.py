"""Power of LLM serving: phases, rows, oversubscription policies, control.

In:  models, GPUs, rows, policies. Out: results of simulated rows.
"""
