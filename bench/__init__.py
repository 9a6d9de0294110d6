"""Benchmarks: every figure beside its reference, in alternating rounds of one run. `python -m bench`."""
