"""The cache beside its peers: one run, one machine, the same value. `python -m benchmarks.cache --help`."""
