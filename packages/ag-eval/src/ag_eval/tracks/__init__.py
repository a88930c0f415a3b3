"""Evaluations of genome tracks: what was measured in windows against what a model predicts there."""
