"""Suites: several benchmarks, their report and their result card."""
