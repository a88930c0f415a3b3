"""Evaluations of variant effects: tables of variants against a model's scores."""
