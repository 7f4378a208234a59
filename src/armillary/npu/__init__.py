"""NPU: latency, power and energy of a network on an accelerator, event by event.

In:  a network (zoo name, model file or `Graph`) and a chip (catalogue name, YAML file or `Chip`).
Out: `NpuResult`, measured on the timeline of the compiled task graph.
"""
