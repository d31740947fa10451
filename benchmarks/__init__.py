"""Benchmarks of hmminfer against the bare linear algebra it needs and against peers; ``python -m benchmarks`` runs them all."""

import os

ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
}
os.environ.update(ONE_THREAD)  # before any library starts its threads
