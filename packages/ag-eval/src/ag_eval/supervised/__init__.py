"""Evaluations that learn on top of a model's scores."""
