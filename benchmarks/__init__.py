"""Benchmarks: this library against the published way of training, and against what the machine can do."""
