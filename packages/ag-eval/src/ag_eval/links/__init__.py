"""Evaluations of links between regulatory elements and genes."""
