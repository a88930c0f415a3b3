"""Benchmarks, one idea in each module; names, defaults and data are declared in `ag_eval.plugin`."""
