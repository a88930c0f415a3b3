"""Predictors of others and baselines; names and options are declared in `ag_eval.plugin`."""
