"""Benchmarks of every claim about speed, and the generated corpora that they use."""
