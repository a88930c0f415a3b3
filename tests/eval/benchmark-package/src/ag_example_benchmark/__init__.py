"""A benchmark and a suite from outside the suite's packages."""
