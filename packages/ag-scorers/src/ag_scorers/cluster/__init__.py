"""Scoring on many machines: shards of a run are scored by Dask workers, and kept by the process that started them."""
