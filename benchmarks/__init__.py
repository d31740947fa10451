"""Benchmarks: hmminfer against the floor of its own work and against peers; ``python -m benchmarks`` runs them all."""
